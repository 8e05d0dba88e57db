//! `docs/adversaries.md`: the table, what was computed beside what was played, and what is not
//! covered.

use std::fmt::Write;
use std::path::Path;

use types::Parameters;

use crate::detection::Detection;
use crate::mixes::{CHEATS, detections, found};
use crate::rows::{ROWS, Row, check};
use crate::world::World;
use crate::{is_long, setting};

/// Seeds of each trial.
const SEEDS: u64 = 200;

const HEAD: &str = "\
# Adversaries

Strategies of cheats, what they come to under the shipped parameters, and what is not prevented.
Made by `crates/ledger/tests/adversaries`, which plays all of them by transactions against the
ledger and holds this page against what it found. p is the probability of an audit, k how many
auditors it draws, ρ the part of the auditors that are the cheat's friends. Nobody honest lost
stake in any of the plays, nor in any mix of strategies
(`whoever_is_honest_keeps_its_stake_in_any_mix`).
";

const MODEL: &str = "
## What it comes to

In USD. A gain is the change of what the cheat and its friends have, token at `stake_price`,
over the same world with an honest player in their place. Doing work is taken to cost its whole
price (`gain_max`), more than it ever does, so that a cheat saves the most that it can; the gain
over doing nothing at all needs no such measure. The stake is 100 WILD, and a provider that
fakes has leases as many and as dear as that covers: it uses its limit to the full. Computed is
the formula in `trial.rs` or, where it says ≤, a bound; played is the mean over 200 seeds (up to
1,000 where what decides is rare) with its standard error. Being found costs 50 USD, so that
where few are found chance is great and the computed gain says more.
`IDLEWILD_LONG=1 cargo test --release -p ledger --test adversaries` plays 10,000 and more, and
20,000 mixes.

The rule: to fake work of price R does not pay iff g·(1 + p·k·ρ^k)·R < d·(S + n·R), with
d = p·(1 − ρ^k), S what is lost of the stake for good, and n the part of a price that the provider
gets. Of the half that is slashed, half is burned, and up to ρ of the other half may come back
through friends who accuse. The ledger lets no provider have more open than makes that so, with ρ
at 1/2 (`exposure` and `cover`).

";

const OPEN: &str = "
## What is not covered

- Floods of validators: what a judge does not come to in the window of a dispute is undecided, and
  nobody is slashed, though who is accused is not paid. A judge takes those first in which somebody
  accuses, and of these what is the least work: each that is to come before a fake costs a bond or a
  stake, and has to be less work than the fake. A long one that is begun holds up other long ones.
  No work is checked that takes an interpreter of 20 Mfuel a second, and then a compiler of 50,
  longer than the window.
- Validators that are slower than that.
- Work that few machines can do, such as jobs with more memory than most have: auditors are drawn
  among those who can, who may be friends of whoever serves such work.
- Auditors that are kept off the network until friends are drawn instead, twice a lease.
- One validator: it decides every dispute, and knows the beacon first. The software says
  \"audits: not independent\".
- More than half of the seats with the cheat's friends. Seats are by stake, at most 64 for a
  name.
- More than a third of the validators lying. Of 4, one may.
- A p below the class's minimum, and orders that nobody may check (`--private`): they are paid
  unverified.
- Faults of honest machines: who differs by a fault loses as a cheat does. Auditors do work twice
  before they accuse, on two engines if the second is fast enough.
- Validators that repeat what others ruled: rulings are open, and nobody is paid for one.
- Friends who keep back what they committed to, once they see that an honest auditor accuses: they
  lose their seats, not their stake.
- What is not on the ledger: bribes, or several who share one machine.
- Results that are not handed over: the ledger does not see them.
";

const PARTIAL: &str = "
## How soon partial work is found

Of a provider that fakes a part of its leases, at p 5 % and k 1, the least that there is, within
3 epochs. To be found in 99 % of cases it must serve as many leases an epoch as are needed.
Played was a little more, at 0.003 USD each: what 100 WILD cover of them, around the clock.
Honest leases between the faked ones are played in one more kind only; they change nothing but
time.

| faked | ρ | needed an epoch | played an epoch | computed | found |
|---|---|---|---|---|---|
";

/// Writes micro-USD as USD.
fn usd(micro: f64) -> String {
    format!("{:+.4}", micro / 1e6)
}

fn measured(page: &mut String, row: &Row, base: &World, parameters: &Parameters) {
    let Some((verdict, trials)) = row.measured else { return };
    for trial in trials(parameters) {
        let measured = check(verdict, &trial, base, SEEDS);
        let bound = if trial.is_bound { "≤ " } else { "" };
        writeln!(
            page,
            "| {} | {} | {bound}{} | {} ± {:.4} | {} | {:.1} % |",
            row.adversary,
            trial.setting,
            usd(trial.computed),
            usd(measured.gain),
            measured.error / 1e6,
            usd(measured.over_nothing),
            measured.found * 100.0,
        )
        .unwrap();
    }
}

fn partial_work(page: &mut String, base: &World) {
    page.push_str(PARTIAL);
    for kind in detections() {
        let found = found(base, &kind, CHEATS, false);
        let Detection { one_in, leases_per_epoch, colluding } = kind;
        let (part, needed, computed) = (100 / one_in, kind.needed(), kind.computed() * 100.0);
        write!(page, "| {part} % | {colluding}/8 | {needed} | {leases_per_epoch} ").unwrap();
        writeln!(page, "| {computed:.2} % | {found} of {CHEATS} |").unwrap();
    }
}

fn text() -> String {
    let parameters = Parameters::public();
    let base = World::new(parameters.clone());
    let mut page = HEAD.to_owned();
    page.push_str("\n| adversary | what it does | what it gains | what it loses |");
    page.push_str(" when it is found | test |\n|---|---|---|---|---|---|\n");
    for row in ROWS {
        let Row { adversary, does, gains, loses, found, test, .. } = row;
        writeln!(page, "| {adversary} | {does} | {gains} | {loses} | {found} | `{test}` |")
            .unwrap();
    }
    page.push_str(MODEL);
    page.push_str("| adversary | setting | computed | played | over doing nothing | found |\n");
    page.push_str("|---|---|---|---|---|---|\n");
    for row in ROWS {
        measured(&mut page, row, &base, &parameters);
    }
    partial_work(&mut page, &base);
    page.push_str(OPEN);
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the page is held against what is played")]
fn the_page_of_adversaries_is_what_is_played() {
    // The figures are those of the short size.
    if is_long() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/adversaries.md");
    let made = text();
    if setting("IDLEWILD_WRITE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/adversaries.md differs from what is played: set IDLEWILD_WRITE_DOCS"
    );
}

#[test]
fn every_row_names_a_test_that_is_there() {
    let sources =
        [include_str!("rows.rs"), include_str!("mixes.rs"), include_str!("refusals.rs")].concat();
    for row in ROWS {
        let is_there = sources.contains(&format!("fn {}()", row.test))
            || sources.contains(&format!("{}: \"{}\",", row.test, row.adversary));
        assert!(is_there, "{} of {}", row.test, row.adversary);
    }
}
