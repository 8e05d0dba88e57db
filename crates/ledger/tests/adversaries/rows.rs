//! The table of adversaries, and a test for each row that says what it gains.

use types::Parameters;

use crate::auditors::{audits_lazily, denies, frames};
use crate::dodges::{copies_a_receipt, floods, hides, pads, withholds};
use crate::fakes::{at_the_edge, collusions, runs_away, splits, turncoats, wrong_outputs};
use crate::players::Auditing;
use crate::seeds;
use crate::tenants::{deals_with_itself, disputes_falsely, disputes_itself};
use crate::trial::{Measured, Trial};
use crate::world::{World, audits};

/// What a strategy comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It costs more than it brings.
    Loses,
    /// It brings nothing, or is refused.
    Nothing,
}

/// Makes what is measured of a strategy, under some parameters.
pub(crate) type Trials = fn(&Parameters) -> Vec<Trial>;

/// A strategy, as the page tells it.
pub(crate) struct Row {
    pub(crate) adversary: &'static str,
    pub(crate) does: &'static str,
    pub(crate) gains: &'static str,
    pub(crate) loses: &'static str,
    pub(crate) found: &'static str,
    pub(crate) test: &'static str,
    /// What it comes to, and where that is measured; nothing where the ledger refuses it, or it is
    /// another row's by another way.
    pub(crate) measured: Option<(Verdict, Trials)>,
}

/// Seeds of each trial in the short size.
const FEW: u64 = 100;

/// Plays a trial and checks that it comes to what was computed, and to the verdict.
pub(crate) fn check(verdict: Verdict, trial: &Trial, base: &World, seeds: u64) -> Measured {
    let Trial { adversary, setting, computed, .. } = trial;
    let measured = trial.measure(base, seeds * trial.weight);
    let Measured { gain, error, .. } = measured;
    println!("{adversary}, {setting}: computed {computed:.0}, played {gain:.0} ± {error:.0}");
    // The rest is what rounding to whole micro-USD leaves.
    let slack = 4.5 * error + 10.0;
    // Of fewer seeds what is rare may not come at all.
    if seeds >= FEW || trial.weight == 1 {
        assert!(gain < computed + slack, "{adversary}, {setting}: {gain} ± {error}");
    }
    if seeds >= FEW && !trial.is_bound {
        assert!(gain > computed - slack, "{adversary}, {setting}: {gain} ± {error}");
    }
    match verdict {
        Verdict::Loses => assert!(*computed < 0.0, "{adversary}, {setting}: {computed}"),
        Verdict::Nothing => assert!(computed.abs() < 1.0, "{adversary}, {setting}: {computed}"),
    }
    measured
}

fn holds(adversary: &str) {
    let row = ROWS.iter().find(|row| row.adversary == adversary).expect("it is a row");
    let (verdict, trials) = row.measured.expect("it is measured");
    // Neither windows nor the bond that differ between the two decide what a strategy comes to.
    let kinds =
        [(Parameters::public(), seeds(FEW, 10_000)), (Parameters::local(), seeds(FEW / 5, 1_000))];
    for (parameters, seeds) in kinds {
        let base = World::new(parameters.clone());
        for trial in trials(&parameters) {
            check(verdict, &trial, &base, seeds);
        }
    }
}

/// One test for each row that is measured, by the name that stands in it.
macro_rules! rows_hold {
    ($($test:ident: $adversary:literal,)+) => {
        $(#[test]
        fn $test() {
            holds($adversary);
        })+

        #[test]
        fn every_measured_row_has_its_test() {
            let tests = [$(($adversary, stringify!($test))),+];
            let measured = ROWS.iter().filter(|row| row.measured.is_some());
            let rows: Vec<(&str, &str)> =
                measured.map(|row| (row.adversary, row.test)).collect();
            assert_eq!(rows, tests);
        }
    };
}

rows_hold! {
    wrong_output_costs_more_than_it_saves: "wrong output",
    friends_among_the_auditors_do_not_save_a_cheat: "colluding auditors",
    a_cheat_cannot_run_with_its_stake: "unbonds and runs",
    many_names_do_not_help_a_cheat: "many names",
    an_auditor_that_guesses_loses_stake: "guessing auditor",
    an_auditor_that_always_says_unavailable_gains_nothing: "lazy auditor",
    an_auditor_that_does_nothing_gains_nothing: "absent auditor",
    auditors_that_lie_together_lose_and_slash_nobody: "lying auditors",
    who_disputes_right_work_loses_the_bond: "false disputer",
    a_ring_that_deals_with_itself_drains_nothing: "ring",
    one_lease_at_the_limit_does_not_pay_with_half_the_auditors: "at the edge",
    turncoats_do_not_save_a_cheat: "turncoats",
    who_withholds_inputs_from_auditors_is_judged_by_validators: "withheld inputs",
    full_auditors_do_not_let_a_fake_pass: "floods auditors",
    work_that_may_outlast_its_lease_is_checked: "hides behind limits",
    a_tenant_whose_friends_deny_work_pays_all_the_same: "denies work",
    a_receipt_of_the_same_job_cannot_be_copied: "copied receipt",
    who_bills_more_than_it_did_is_found: "padded bill",
    a_ring_that_accuses_itself_loses_its_stake: "ring that accuses itself",
}

/// Every strategy.
pub(crate) const ROWS: &[Row] = &[
    Row {
        adversary: "wrong output",
        does: "hands in work that it has not done",
        gains: "the price of what is not drawn",
        loses: "half its stake, what is not paid yet, an epoch of offers",
        found: "p of the time, at the reveal",
        test: "wrong_output_costs_more_than_it_saves",
        measured: Some((Verdict::Loses, wrong_outputs)),
    },
    Row {
        adversary: "colluding auditors",
        does: "as above, and up to half of the auditors say what its receipts say",
        gains: "the price of what is not drawn, or drawn to friends, and fees of theirs",
        loses: "as above, and friends beside an honest auditor half of theirs",
        found: "p·(1 − ρ^k) of the time",
        test: "friends_among_the_auditors_do_not_save_a_cheat",
        measured: Some((Verdict::Loses, collusions)),
    },
    Row {
        adversary: "partial work",
        does: "fakes 1, 5 or 20 % of its leases",
        gains: "as wrong output",
        loses: "as wrong output",
        found: "within 3 epochs (below)",
        test: "who_fakes_a_part_is_found_within_three_epochs",
        measured: None,
    },
    Row {
        adversary: "unbonds and runs",
        does: "fakes, takes its offers back and unlocks what stake it may",
        gains: "nothing more",
        loses: "half of what is unlocking too; what covers the lease stays",
        found: "as wrong output",
        test: "a_cheat_cannot_run_with_its_stake",
        measured: Some((Verdict::Loses, |parameters| vec![runs_away(parameters)])),
    },
    Row {
        adversary: "many names",
        does: "fakes under four names with a stake each",
        gains: "four times as much",
        loses: "four times as much",
        found: "each as wrong output",
        test: "many_names_do_not_help_a_cheat",
        measured: Some((Verdict::Loses, |parameters| {
            vec![splits(parameters, 0), splits(parameters, 2)]
        })),
    },
    Row {
        adversary: "root replaced",
        does: "hands in another receipt after the first, or the same again",
        gains: "nothing",
        loses: "nothing",
        found: "refused: lease/state",
        test: "a_receipt_that_is_handed_in_cannot_be_replaced",
        measured: None,
    },
    Row {
        adversary: "other lease's result",
        does: "hands in for one lease what another's work gave",
        gains: "nothing: it is wrong output",
        loses: "as wrong output",
        found: "as wrong output",
        test: "the_result_of_another_lease_is_wrong",
        measured: None,
    },
    Row {
        adversary: "stolen result",
        does: "hands in a receipt under another's node key, or for another's lease",
        gains: "nothing",
        loses: "nothing",
        found: "refused: receipt/key; a receipt under its own key for other work is wrong",
        test: "a_receipt_of_another_providers_key_is_refused",
        measured: None,
    },
    Row {
        adversary: "late provider",
        does: "starts after its time, or hands in after the end",
        gains: "nothing",
        loses: "the lease",
        found: "refused: lease/state",
        test: "who_is_late_is_refused",
        measured: None,
    },
    Row {
        adversary: "late auditor",
        does: "commits or reveals after its time",
        gains: "nothing",
        loses: "the fee, and its seats for an epoch",
        found: "refused: audit/state",
        test: "who_is_late_is_refused",
        measured: None,
    },
    Row {
        adversary: "withheld outputs",
        does: "does the work and hands in the receipt, but no results",
        gains: "nothing: the work is done",
        loses: "nothing by the ledger",
        found: "not by the ledger: providers' program publishes results before it signs",
        test: "work_that_is_right_is_paid_whether_results_came_or_not",
        measured: None,
    },
    Row {
        adversary: "copied commitment",
        does: "commits to what another auditor committed to",
        gains: "nothing",
        loses: "the fee, and its seats for an epoch",
        found: "at the reveal: audit/commitment",
        test: "a_copied_commitment_opens_to_nothing",
        measured: None,
    },
    Row {
        adversary: "repeated roots",
        does: "waits for a round in which others have shown the roots",
        gains: "nothing",
        loses: "nothing",
        found: "no round follows one that has shown a root",
        test: "no_round_follows_one_that_has_shown_a_root",
        measured: None,
    },
    Row {
        adversary: "guessing auditor",
        does: "reveals roots that it made up",
        gains: "the cost of the work",
        loses: "half its stake",
        found: "whenever it is drawn",
        test: "an_auditor_that_guesses_loses_stake",
        measured: Some((Verdict::Loses, |_| {
            vec![audits_lazily("guessing auditor", Auditing::Guesses, 50e6)]
        })),
    },
    Row {
        adversary: "lazy auditor",
        does: "always says that the work could not be had",
        gains: "the cost of the work",
        loses: "the fee",
        found: "not",
        test: "an_auditor_that_always_says_unavailable_gains_nothing",
        measured: Some((Verdict::Nothing, |_| {
            vec![audits_lazily("lazy auditor", Auditing::Unavailable, 0.0)]
        })),
    },
    Row {
        adversary: "absent auditor",
        does: "does not commit, or does not reveal",
        gains: "the cost of the work",
        loses: "the fee, and its seats for an epoch",
        found: "at the end of the window",
        test: "an_auditor_that_does_nothing_gains_nothing",
        measured: Some((Verdict::Nothing, |_| {
            vec![
                audits_lazily("absent auditor", Auditing::Absent, 0.0),
                audits_lazily("absent auditor", Auditing::Silent, 0.0),
            ]
        })),
    },
    Row {
        adversary: "lying auditors",
        does: "half of the auditors, maybe 1 of 4 validators, say that right work is wrong",
        gains: "nothing",
        loses: "each that is drawn half its stake, of which the provider has half",
        found: "by the validators",
        test: "auditors_that_lie_together_lose_and_slash_nobody",
        measured: Some((Verdict::Loses, |_| vec![frames(false), frames(true)])),
    },
    Row {
        adversary: "false disputer",
        does: "disputes right work",
        gains: "nothing",
        loses: "its bond, half of it to the provider",
        found: "by the validators",
        test: "who_disputes_right_work_loses_the_bond",
        measured: Some((Verdict::Loses, |parameters| vec![disputes_falsely(parameters)])),
    },
    Row {
        adversary: "starving tenant",
        does: "lets a lease run shorter than its work takes auditors",
        gains: "nothing: they have the time that it takes them",
        loses: "nothing",
        found: "at the reveal, as ever",
        test: "who_lets_a_lease_run_short_is_audited_all_the_same",
        measured: None,
    },
    Row {
        adversary: "ring",
        does: "is tenant, provider and half of the auditors at once, against not dealing at all",
        gains: "nothing of pool or treasury",
        loses: "the fee, and what honest auditors are paid",
        found: "need not be",
        test: "a_ring_that_deals_with_itself_drains_nothing",
        measured: Some((Verdict::Loses, |parameters| {
            [audits(500, 1), audits(10_000, 7)]
                .map(|audit| deals_with_itself(parameters, audit))
                .into()
        })),
    },
    Row {
        adversary: "votes of a cheat",
        does: "votes with stake that it loses before the vote is counted",
        gains: "nothing",
        loses: "the weight with the stake",
        found: "at the slash",
        test: "stake_that_is_lost_votes_no_more",
        measured: None,
    },
    Row {
        adversary: "at the edge",
        does: "fakes one lease that takes up its whole limit, half of the auditors its friends",
        gains: "what friends' audits would cost, and the fee on what it does not lose",
        loses: "more than it gains: the limit counts with them",
        found: "2.5 % of the time",
        test: "one_lease_at_the_limit_does_not_pay_with_half_the_auditors",
        measured: Some((Verdict::Loses, at_the_edge)),
    },
    Row {
        adversary: "turncoats",
        does: "as colluding auditors, but a friend that is drawn beside an honest auditor accuses",
        gains: "as colluding auditors, and a quarter of the stake that it loses",
        loses: "the rest",
        found: "as colluding auditors",
        test: "turncoats_do_not_save_a_cheat",
        measured: Some((Verdict::Loses, turncoats)),
    },
    Row {
        adversary: "withheld inputs",
        does: "fakes, and neither who is drawn nor one of the validators can have the inputs",
        gains: "as wrong output",
        loses: "as wrong output",
        found: "p of the time, by the validators",
        test: "who_withholds_inputs_from_auditors_is_judged_by_validators",
        measured: Some((Verdict::Loses, |parameters| vec![withholds(parameters, 8)])),
    },
    Row {
        adversary: "floods auditors",
        does: "takes the time of all auditors for a day with jobs of its own, then fakes one at its limit",
        gains: "nothing more: validators do the audit",
        loses: "what its own jobs and their audits cost, and as wrong output",
        found: "as wrong output, by the validators",
        test: "full_auditors_do_not_let_a_fake_pass",
        measured: Some((Verdict::Loses, |parameters| vec![floods(parameters)])),
    },
    Row {
        adversary: "undercuts auditors",
        does: "offers for less than checking costs",
        gains: "nothing",
        loses: "nothing",
        found: "refused: offer/minimum; an audit pays the price, and auditors ask no other",
        test: "who_offers_below_what_power_costs_is_refused",
        measured: None,
    },
    Row {
        adversary: "hides behind limits",
        does: "fakes, and says that it was more units than any auditor does in the lease's time",
        gains: "as wrong output",
        loses: "as wrong output",
        found: "as wrong output: auditors have the time that it takes them",
        test: "work_that_may_outlast_its_lease_is_checked",
        measured: Some((Verdict::Loses, |parameters| vec![hides(parameters)])),
    },
    Row {
        adversary: "denies work",
        does: "orders, and its friends among the auditors say that the inputs could not be had",
        gains: "nothing",
        loses: "their fees",
        found: "by the validators",
        test: "a_tenant_whose_friends_deny_work_pays_all_the_same",
        measured: Some((Verdict::Nothing, |parameters| {
            vec![denies(parameters, 2), denies(parameters, 4)]
        })),
    },
    Row {
        adversary: "copied receipt",
        does: "serves a job that another provider serves too, and copies the root of its receipt",
        gains: "as wrong output",
        loses: "as wrong output",
        found: "as wrong output: a root is sealed to its lease",
        test: "a_receipt_of_the_same_job_cannot_be_copied",
        measured: Some((Verdict::Loses, |parameters| vec![copies_a_receipt(parameters)])),
    },
    Row {
        adversary: "padded bill",
        does: "does the work, and bills twice as much, or names another output",
        gains: "half as much as wrong output",
        loses: "as wrong output",
        found: "as wrong output: the root covers the bill",
        test: "who_bills_more_than_it_did_is_found",
        measured: Some((Verdict::Loses, |parameters| vec![pads(parameters)])),
    },
    Row {
        adversary: "ring that accuses itself",
        does: "is tenant, provider and all auditors, passes its own fake and disputes it",
        gains: "nothing of pool or treasury",
        loses: "half of the stakes of provider and auditors, but what its tenant is given of that",
        found: "it says so itself",
        test: "a_ring_that_accuses_itself_loses_its_stake",
        measured: Some((Verdict::Loses, |_| vec![disputes_itself()])),
    },
    Row {
        adversary: "grinds the draw",
        does: "makes blocks, and leads them with a friend, until one does not draw its work",
        gains: "nothing: the first block after enough leaders draws, one of whom is honest",
        loses: "what the transactions cost",
        found: "as wrong output",
        test: "who_makes_blocks_and_leads_them_does_not_choose_its_draw",
        measured: None,
    },
];
