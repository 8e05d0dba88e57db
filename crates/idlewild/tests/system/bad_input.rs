//! Bad input in one table. Each row says what comes in, with which code it is answered and
//! whether anything is owed for it; the words are a snapshot. After each row, within a bound of
//! time, the tenants' money is where it was but for what is owed, and a good job still runs and
//! still gives the same.

#![expect(clippy::print_stdout, reason = "what a row took is part of its result")]

mod inputs;
mod market;
mod receipts;
mod world;

use std::fmt::Write;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use world::{Said, World};

/// The longest that a row may take on a slow machine that does other things.
const ROW_MAX: Duration = Duration::from_secs(30);

/// The least that a lease with a receipt costs, in micro-USD.
const MINIMUM: u64 = 1_543;

/// What the tenant owes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// Nothing.
    Nothing,
    /// The least that work costs, for so many leases.
    Work(u64),
}

use Owed::{Nothing, Work};

type Row = (&'static str, &'static str, Owed, fn(&World) -> Said);

const PROGRAMS: &[Row] = &[
    ("a program that loops for ever", "152", Work(1), |w| w.hostile("loop")),
    ("a start function that loops for ever", "152", Work(1), |w| w.hostile("start-loop")),
    ("a program that takes all memory", "0", Work(1), |w| w.hostile("memory-grow")),
    ("… that asks for ever", "152", Work(1), |w| w.hostile("memory-grow-forever")),
    ("… that asks for too much at once", "126", Work(1), |w| w.hostile("memory-huge-initial")),
    ("a program that recurses for ever", "139", Work(1), |w| w.hostile("recurse")),
    ("a program that floods standard output", "51", Work(1), |w| w.hostile("flood-stdout")),
    ("… standard error, for ever", "152", Work(1), |w| w.hostile("flood-stderr-forever")),
    ("… a file", "51", Work(1), |w| w.hostile("flood-file")),
    ("… with files", "51", Work(1), |w| w.hostile("flood-files")),
    ("a program that gives up", "134", Work(1), |w| w.hostile("trap-unreachable")),
    ("… that divides by zero", "136", Work(1), |w| w.hostile("trap-divide")),
    ("… that leaves its memory", "139", Work(1), |w| w.hostile("trap-memory")),
    ("… that calls what is not there", "132", Work(1), |w| w.hostile("trap-null-call")),
    ("… that imports what is not there", "126", Work(1), |w| w.hostile("import-unknown")),
    ("… that passes wild pointers", "21", Work(1), |w| w.hostile("pointers-outside")),
    ("a script instead of a program", "125", Nothing, inputs::no_program),
    ("… ordered by the API", "unrunnable", Work(1), inputs::no_program_ordered),
    ("nothing instead of a program", "125", Nothing, inputs::empty_program),
    ("… ordered by the API", "unrunnable", Work(1), |w| w.ordered(Vec::new(), None)),
    ("a program of a gigabyte", "125", Nothing, inputs::gigabyte),
    ("an upload of more than a gigabyte", "request/too-large", Nothing, inputs::gigabyte_upload),
    ("an upload of other bytes", "content/mismatch", Nothing, inputs::other_bytes),
    ("a device without end as a program", "125", Nothing, inputs::endless_program),
    ("… as standard input", "125", Nothing, inputs::endless_stdin),
];

const INPUTS: &[Row] = &[
    ("an input above its directory", "unrunnable", Work(1), inputs::path_above),
    ("an input from the root", "unrunnable", Work(1), inputs::path_from_root),
    ("a link that leads out", "125", Nothing, inputs::link_out),
    ("… ordered by the API", "unrunnable", Work(1), inputs::link_out_ordered),
    ("a link to nothing", "125", Nothing, inputs::link_to_nothing),
    ("a link in a circle", "125", Nothing, inputs::link_to_itself),
    ("a pipe among the inputs", "125", Nothing, inputs::pipe),
    ("a device as the inputs", "125", Nothing, inputs::device),
    ("more inputs than a list holds", "125", Nothing, inputs::too_many),
    ("more inputs than a job may have", "unrunnable", Work(1), inputs::too_many_ordered),
];

const ORDERS: &[Row] = &[
    ("a tenant without funds", "125", Nothing, market::without_funds),
    ("… without an account", "account/unknown", Nothing, market::without_account),
    ("… with too little", "funds/short", Nothing, market::with_too_little),
    ("a price below every offer", "125", Nothing, market::below_every_offer),
    ("… below the least of all", "125", Nothing, market::below_everything),
    ("a constraint that is none", "125", Nothing, market::unparsable_constraint),
    ("… in a quote", "request/malformed", Nothing, market::unparsable_constraint_quoted),
    ("a constraint that nobody meets", "125", Nothing, market::unmet_constraint),
    ("a node key against its will", "transaction/signature", Nothing, receipts::no_consent),
    ("an offer without stake", "provider/stake-short", Nothing, receipts::no_stake),
    ("a start by another provider", "lease/not-yours", Nothing, receipts::anothers_start),
    ("a provider that never starts", "order/unmatched", Nothing, receipts::never_starts),
];

const RECEIPTS: &[Row] = &[
    ("a receipt of another key", "receipt/key", Work(1), receipts::other_key),
    ("… under the right key's name", "transaction/signature", Work(1), receipts::other_signature),
    ("… without a signature", "transaction/signature", Work(1), receipts::no_signature),
    ("… signed for another network", "transaction/signature", Work(1), receipts::other_network),
    ("a receipt once more", "lease/state", Work(1), receipts::replayed),
    ("a second receipt", "lease/state", Work(1), receipts::second),
    ("a receipt out of sequence", "receipt/sequence", Work(1), receipts::out_of_sequence),
    ("… that begins before its lease", "receipt/range", Work(1), receipts::before_its_start),
    ("… of a time to come", "receipt/range", Work(1), receipts::in_the_future),
    ("… of more fuel than allowed", "receipt/malformed", Work(1), receipts::more_than_allowed),
    ("… of nothing that is a usage", "receipt/malformed", Work(1), receipts::no_usage),
    ("… for another's lease", "receipt/key", Work(1), receipts::for_anothers_lease),
    ("… moved to another lease", "transaction/signature", Work(2), receipts::for_another_lease),
    ("… for no lease", "lease/unknown", Work(1), receipts::for_no_lease),
];

const TRANSACTIONS: &[Row] = &[
    ("a transaction of another key", "transaction/signature", Nothing, market::other_signature),
    ("… without a signature", "transaction/signature", Nothing, market::no_signature),
    ("… changed after it was signed", "transaction/signature", Nothing, market::changed),
    ("… signed for another network", "transaction/signature", Nothing, market::other_network),
    ("… that has expired", "transaction/expired", Nothing, market::expired),
    ("… that expires too late", "transaction/lifetime", Nothing, market::too_far_ahead),
    ("… whose nonce was used", "nonce/stale", Nothing, market::nonce_used),
    ("… whose nonce is to come", "nonce/ahead", Nothing, market::nonce_ahead),
    ("… of nothing", "amount/zero", Nothing, market::of_nothing),
    ("… that issues credits", "issuer/not-one", Nothing, market::issued_by_nobody),
    ("… that is too long", "request/malformed", Nothing, market::huge),
    ("… that is none", "request/malformed", Nothing, market::no_transaction),
    ("too many transactions at once", "request/too-large", Nothing, market::too_many),
];

/// Sends in a row's input and checks what must hold after it; returns what was said.
fn check(world: &mut World, (name, code, owed, act): &Row) -> String {
    let (before, began) = (world.held(), Instant::now());
    let said = act(world);
    let took = began.elapsed();
    let cost = world.cost_of_new();
    let after = world.held();
    world.still_works();
    println!("{name}: {} in {took:?}, {cost} micro-USD", said.code);
    assert_eq!(said.code, *code, "{name}: {said:?}");
    assert!(took < ROW_MAX, "{name} took {took:?}");
    assert_eq!(before - after, cost, "{name}: money went elsewhere");
    let due = if let Work(leases) = owed { MINIMUM * leases } else { 0 };
    assert_eq!(cost, due, "{name}");
    world.plain(&said.text)
}

#[test]
fn bad_input_is_refused_clearly_and_costs_only_what_is_owed() {
    let mut world = World::new();
    let began = Instant::now();
    let mut table = String::new();
    let groups = [PROGRAMS, INPUTS, ORDERS, RECEIPTS, TRANSACTIONS];
    for row in groups.into_iter().flatten() {
        let said = check(&mut world, row);
        writeln!(table, "{}: {}\n  {}", row.0, row.1, said.replace('\n', "\n  ")).unwrap();
    }
    let rows: usize = groups.iter().map(|rows| rows.len()).sum();
    println!("{rows} rows in {:?}", began.elapsed());
    let (_, code) = world.up.end();
    assert_eq!(code, 0);
    insta::with_settings!({ omit_expression => true }, {
        assert_snapshot!("bad_input", table);
    });
}
