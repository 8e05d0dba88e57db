//! The table of the plan, row by row, and what holds of every plan.

use classes::job::Limits;
use proptest::prelude::*;
use types::{
    Amount, AuditTerms, Blob, CloseReason, Constraint, ContentHash, Encode, Hash, List, OfferId,
    Order, OrderId, OrderTerms, Rate, SecretKey, Settlement, Units,
};

use super::*;

const NOW: Time = Time::from_ms(1_000_000);
const ENDS: Time = Time::from_ms(1_100_000);

fn id(number: u8) -> LeaseId {
    LeaseId::from_bytes([number; 32])
}

fn node_key() -> PublicKey {
    SecretKey::from_bytes([1; 32]).public()
}

fn policy() -> Policy {
    Policy {
        provider: SecretKey::from_bytes([2; 32]).address(),
        node_key: node_key(),
        slots: 2,
        accepting: true,
        memory_pages_max: 16,
        output_bytes_max: 100,
        time_left_min: Duration::from_seconds(1),
        look_interval: Duration::from_seconds(2),
        keep_interval: Duration::from_seconds(600),
        keep_after: Duration::from_seconds(60),
        record_age_max: Duration::from_seconds(3_600),
        reclaim_notice: Duration::from_seconds(10),
    }
}

fn spec() -> Spec {
    Spec {
        metering: METERING_VERSION,
        program: ContentHash::of(b"program"),
        input: None,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel: 1, memory_pages: 16, output_bytes: 100 },
    }
}

fn view_of(number: u8, state: LeaseState, spec: &Spec) -> LeaseView {
    let tenant = Address::new(SecretKey::from_bytes([2; 32]).public());
    let order = OrderId::from_bytes([number; 32]);
    let terms = OrderTerms {
        class: job::ID,
        spec: Blob::new(spec.to_bytes()).unwrap(),
        constraint: Constraint::default(),
        budget: Amount::ZERO,
        offers: List::default(),
        audit: AuditTerms::NONE,
        duration: Duration::from_seconds(100),
        expires: ENDS,
    };
    let lease = Lease {
        id: id(number),
        order,
        offer: OfferId::from_bytes([0; 32]),
        class: job::ID,
        tenant,
        provider: tenant,
        node_key: node_key(),
        rate: Rate::ZERO,
        minimum: Amount::ZERO,
        units_max: Units::ZERO,
        audit: AuditTerms::NONE,
        escrow: Amount::ZERO,
        created: Time::from_ms(u64::from(number)),
        ends: ENDS,
        state,
        receipts: u32::from(matches!(state, LeaseState::Closed { .. })),
        settlement: Settlement::default(),
        check: types::CheckState::Unchecked,
        exposure: Amount::ZERO,
        release: None,
    };
    let order = Order { id: order, tenant, placed: NOW, terms };
    LeaseView { lease, order, receipts: Vec::new(), audit: None, dispute: None, archived: false }
}

fn view(number: u8, state: LeaseState) -> LeaseView {
    view_of(number, state, &spec())
}

const PENDING: LeaseState = LeaseState::Pending { start_by: ENDS };
const ACTIVE: LeaseState = LeaseState::Active { since: Time::from_ms(5) };
const RECLAIMING: LeaseState = LeaseState::Reclaiming { since: Time::from_ms(5), deadline: ENDS };
const CLOSING: LeaseState =
    LeaseState::Closing { since: Time::from_ms(5), until: ENDS, reason: CloseReason::TenantClosed };
const CLOSED: LeaseState = LeaseState::Closed { at: NOW, reason: CloseReason::ProviderCompleted };

fn known(stage: Stage) -> LocalLease {
    LocalLease { stage, looked: Time::from_ms(0), kept: Time::from_ms(0), ends: ENDS }
}

fn listing(views: impl IntoIterator<Item = LeaseView>) -> Listing {
    let leases = views.into_iter().map(|view| (view.lease.id, view)).collect();
    Listing { leases, complete: true }
}

fn check(state: Option<LeaseState>, stage: Option<Stage>, expected: &[Step]) {
    let listing = listing(state.map(|state| view(1, state)));
    let local = stage.map(|stage| (id(1), known(stage))).into_iter().collect();
    assert_eq!(plan(NOW, &listing, &local, &policy()), expected, "{state:?} {stage:?}");
}

#[test]
fn each_cell_of_the_table_holds() {
    let (serve, deliver) = (Step::Serve(id(1)), Step::Deliver(id(1)));
    let (notice, stop) = (Step::Notice(id(1)), Step::Stop(id(1)));
    let (look, keep, forget) = (Step::Look(id(1)), Step::Keep(id(1)), Step::Forget(id(1)));
    let at_work = [Stage::Serving, Stage::Delivering];
    for state in [PENDING, ACTIVE, RECLAIMING] {
        check(Some(state), None, std::slice::from_ref(&serve));
    }
    for state in [CLOSING, CLOSED] {
        check(Some(state), None, &[]);
    }
    for stage in at_work {
        for state in [PENDING, ACTIVE, RECLAIMING, CLOSING] {
            check(Some(state), Some(stage), &[]);
        }
    }
    check(Some(CLOSED), Some(Stage::Serving), std::slice::from_ref(&stop));
    check(Some(CLOSED), Some(Stage::Delivering), &[]);
    check(Some(PENDING), Some(Stage::Finished), std::slice::from_ref(&serve));
    for state in [ACTIVE, RECLAIMING, CLOSING] {
        check(Some(state), Some(Stage::Finished), std::slice::from_ref(&deliver));
    }
    for stage in [Stage::Finished, Stage::Delivered] {
        check(Some(CLOSED), Some(stage), std::slice::from_ref(&keep));
    }
    for state in [PENDING, ACTIVE, RECLAIMING, CLOSING] {
        check(Some(state), Some(Stage::Delivered), &[]);
    }
    for stage in [Stage::GivenUp, Stage::Refused] {
        for state in [PENDING, RECLAIMING, CLOSING] {
            check(Some(state), Some(stage), &[]);
        }
        check(Some(ACTIVE), Some(stage), std::slice::from_ref(&notice));
        check(Some(CLOSED), Some(stage), std::slice::from_ref(&forget));
    }
    check(Some(ACTIVE), Some(Stage::Noticed), &[]);
    for stage in STAGES {
        check(None, Some(stage), std::slice::from_ref(&look));
    }
    check(None, None, &[]);
}

#[test]
fn a_delivery_is_stopped_only_if_the_lease_closed_without_a_receipt() {
    let mut closed = view(1, CLOSED);
    closed.lease.receipts = 0;
    let local = BTreeMap::from([(id(1), known(Stage::Delivering))]);
    assert_eq!(plan(NOW, &listing([closed]), &local, &policy()), [Step::Stop(id(1))]);
}

#[test]
fn a_result_that_nobody_pays_for_is_forgotten_at_once() {
    let mut closed = view(1, CLOSED);
    closed.lease.receipts = 0;
    for stage in [Stage::Finished, Stage::Delivered] {
        let local = BTreeMap::from([(id(1), known(stage))]);
        let steps = plan(NOW, &listing([closed.clone()]), &local, &policy());
        assert_eq!(steps, [Step::Forget(id(1))]);
    }
}

#[test]
fn what_was_started_goes_first_then_what_is_oldest_within_the_slots() {
    let views = [view(1, PENDING), view(2, PENDING), view(3, ACTIVE), view(4, PENDING)];
    let all = listing(views);
    let steps = |local: &BTreeMap<_, _>| plan(NOW, &all, local, &policy());
    assert_eq!(steps(&BTreeMap::new()), [Step::Serve(id(3)), Step::Serve(id(1))]);
    let one = BTreeMap::from([(id(3), known(Stage::Serving))]);
    assert_eq!(steps(&one), [Step::Serve(id(1))]);
    let full = BTreeMap::from([(id(3), known(Stage::Serving)), (id(1), known(Stage::Serving))]);
    assert_eq!(steps(&full), []);
    let delivering =
        BTreeMap::from([(id(3), known(Stage::Delivering)), (id(1), known(Stage::Serving))]);
    assert_eq!(steps(&delivering), [Step::Serve(id(2))]);
}

#[test]
fn what_cannot_be_served_is_refused_with_the_reason() {
    let check = |change: fn(&mut LeaseView, &mut Spec), expected| {
        let mut spec = spec();
        let mut changed = view(1, PENDING);
        change(&mut changed, &mut spec);
        if changed.order.terms.spec.as_slice().len() > 1 {
            changed.order.terms.spec = Blob::new(spec.to_bytes()).unwrap();
        }
        let steps = plan(NOW, &listing([changed]), &BTreeMap::new(), &policy());
        assert_eq!(steps, [Step::Refuse(id(1), expected)]);
    };
    check(|view, _| view.lease.class = types::ClassId(9), Refusal::Class);
    let other = |view: &mut LeaseView, _: &mut Spec| {
        view.lease.node_key = SecretKey::from_bytes([7; 32]).public();
    };
    check(other, Refusal::NodeKey);
    let garbage = |view: &mut LeaseView, _: &mut Spec| {
        view.order.terms.spec = Blob::new(vec![1]).unwrap();
    };
    check(garbage, Refusal::Specification);
    check(|_, spec| spec.metering = METERING_VERSION + 1, Refusal::Metering);
    check(|_, spec| spec.limits.memory_pages = 17, Refusal::Memory);
    check(|_, spec| spec.limits.output_bytes = 101, Refusal::Output);
    check(|view, _| view.lease.ends = NOW.after(Duration::from_ms(999)), Refusal::TooLate);
}

#[test]
fn results_are_kept_until_they_are_paid_and_a_while_longer() {
    let check = |release: Option<u64>, kept: u64, now: u64, expected: &[Step]| {
        let mut view = view(1, CLOSED);
        view.lease.release = release.map(Time::from_ms);
        let mut known = known(Stage::Finished);
        known.kept = Time::from_ms(kept);
        let local = BTreeMap::from([(id(1), known)]);
        let steps = plan(Time::from_ms(now), &listing([view]), &local, &policy());
        assert_eq!(steps, expected, "{release:?} {kept} {now}");
    };
    check(None, 1_000_000, 1_060_000, &[]);
    check(None, 1_000_000, 1_060_001, &[Step::Forget(id(1))]);
    check(Some(2_000_000), 1_500_000, 2_060_000, &[]);
    check(Some(2_000_000), 1_500_000, 2_060_001, &[Step::Forget(id(1))]);
    check(Some(2_000_000), 1_399_999, 1_999_999, &[Step::Keep(id(1))]);
}

#[test]
fn a_lease_that_cannot_be_seen_is_looked_up_and_never_ended() {
    let mut partial = listing([]);
    partial.complete = false;
    for stage in STAGES {
        let local = BTreeMap::from([(id(1), known(stage))]);
        assert_eq!(plan(NOW, &partial, &local, &policy()), []);
        let mut looked = known(stage);
        looked.looked = NOW;
        let local = BTreeMap::from([(id(1), looked)]);
        assert_eq!(plan(NOW, &listing([]), &local, &policy()), []);
    }
    let long_after = ENDS.after(Duration::from_seconds(3_601));
    let local = BTreeMap::from([(id(1), known(Stage::Serving)), (id(2), known(Stage::GivenUp))]);
    let steps = plan(long_after, &listing([]), &local, &policy());
    assert_eq!(steps, [Step::Look(id(1)), Step::Forget(id(2))]);
}

#[test]
fn nothing_is_begun_by_an_agent_that_stops() {
    let policy = Policy { accepting: false, ..policy() };
    let all = listing([view(1, PENDING), view(2, ACTIVE)]);
    let local = BTreeMap::from([(id(2), known(Stage::Finished))]);
    assert_eq!(plan(NOW, &all, &local, &policy), [Step::Deliver(id(2))]);
}

#[test]
fn notice_is_given_only_if_it_is_shorter_than_the_lease() {
    let mut view = view(1, ACTIVE);
    view.lease.ends = NOW.after(Duration::from_seconds(11));
    let local = BTreeMap::from([(id(1), known(Stage::GivenUp))]);
    assert_eq!(plan(NOW, &listing([view.clone()]), &local, &policy()), []);
    view.lease.ends = NOW.after(Duration::from_ms(11_001));
    assert_eq!(plan(NOW, &listing([view]), &local, &policy()), [Step::Notice(id(1))]);
}

const STAGES: [Stage; 7] = [
    Stage::Serving,
    Stage::Delivering,
    Stage::Finished,
    Stage::Delivered,
    Stage::GivenUp,
    Stage::Refused,
    Stage::Noticed,
];

/// Does what a plan says to the local side, as an agent does.
fn follow(steps: &[Step], local: &mut BTreeMap<LeaseId, LocalLease>) {
    for step in steps {
        match step {
            Step::Serve(id) => drop(local.insert(*id, known(Stage::Serving))),
            Step::Refuse(id, _) => drop(local.insert(*id, known(Stage::Refused))),
            Step::Deliver(id) => local.get_mut(id).unwrap().stage = Stage::Delivering,
            Step::Notice(id) => local.get_mut(id).unwrap().stage = Stage::Noticed,
            Step::Look(id) => local.get_mut(id).unwrap().looked = NOW,
            Step::Keep(id) => local.get_mut(id).unwrap().kept = NOW,
            Step::Stop(id) | Step::Forget(id) => drop(local.remove(id)),
        }
    }
}

fn any_state() -> impl Strategy<Value = LeaseState> {
    prop::sample::select(vec![PENDING, ACTIVE, RECLAIMING, CLOSING, CLOSED])
}

fn any_stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(STAGES.to_vec())
}

proptest! {
    #[test]
    fn a_plan_is_done_once_and_touches_only_what_is_known(
        states in prop::collection::btree_map(0..20_u8, any_state(), 0..20),
        stages in prop::collection::btree_map(0..20_u8, any_stage(), 0..20),
        complete: bool,
        accepting: bool,
        slots in 0..9_usize,
    ) {
        let policy = Policy { slots, accepting, ..policy() };
        let mut listing = listing(states.iter().map(|(number, state)| view(*number, *state)));
        listing.complete = complete;
        let mut local: BTreeMap<_, _> =
            stages.iter().map(|(number, stage)| (id(*number), known(*stage))).collect();
        let before = local.clone();
        let steps = plan(NOW, &listing, &local, &policy);
        for step in &steps {
            match step {
                // Only these act on what is not listed, and they need a complete listing.
                Step::Look(id) => {
                    prop_assert!(complete && !listing.leases.contains_key(id));
                    prop_assert!(before.contains_key(id));
                }
                Step::Stop(id) | Step::Forget(id) => {
                    prop_assert_eq!(listing.leases[id].lease.state, CLOSED);
                    prop_assert!(before.contains_key(id));
                }
                Step::Serve(id) | Step::Refuse(id, _) | Step::Deliver(id)
                | Step::Notice(id) | Step::Keep(id) => {
                    prop_assert!(listing.leases.contains_key(id));
                }
            }
        }
        let looks = steps.iter().filter(|step| matches!(step, Step::Look(_))).count();
        follow(&steps, &mut local);
        let serving = |local: &BTreeMap<_, LocalLease>| {
            local.values().filter(|lease| lease.stage == Stage::Serving).count()
        };
        prop_assert!(serving(&local) <= slots.max(serving(&before)));
        // What was looked up is not so again; only what exceeded the bound is left to look up.
        let again = plan(NOW, &listing, &local, &policy);
        let freed = steps.iter().any(|step| matches!(step, Step::Stop(_)));
        for step in again {
            let late_look = matches!(step, Step::Look(_)) && looks == LOOKS_MAX;
            prop_assert!(late_look || freed && matches!(step, Step::Serve(_)), "{:?}", step);
        }
    }
}
