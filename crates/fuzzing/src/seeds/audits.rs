//! Audits and disputes, as answers show them.

use types::{
    Accuser, Argument, Assignment, Audit, Auditor, AuditorTerms, Bisection, Blob, ClassId, Dispute,
    Finding, Game, Hash, LeaseId, List, Outcome, Rerun, Ruled, Ruling, SecretKey, Time, Turn,
};

use super::api::{address, amount};

const LEASE: LeaseId = LeaseId::from_bytes([4; 32]);

fn work() -> Finding {
    Finding::Work { result_root: Hash::from_bytes([1; 32]), trace_root: Hash::ZERO }
}

/// Returns an auditor.
pub(super) fn auditor() -> Auditor {
    let terms = Blob::new(vec![1, 2]).expect("short");
    let terms = AuditorTerms { class: ClassId(1), terms };
    let seats = List::new(vec![0, 7]).expect("few");
    Auditor { terms, seats, open: 1, free_at: Time::from_ms(7), barred_until: Time::from_ms(5) }
}

/// Returns an audit of two rounds.
pub(super) fn audit() -> Audit {
    let assignment = |round, commitment, finding| {
        let time = types::Duration::from_ms(40);
        Assignment { auditor: address(), round, time, commitment, finding }
    };
    let assignments = vec![
        assignment(1, None, None),
        assignment(1, Some(Hash::ZERO), Some(Finding::Unavailable)),
        assignment(2, Some(Hash::ZERO), Some(work())),
    ];
    Audit {
        lease: LEASE,
        work_root: Hash::from_bytes([8; 32]),
        fee: amount(1_543),
        round: 2,
        beacon: Hash::from_bytes([9; 32]),
        assignments: List::new(assignments).expect("few"),
    }
}

/// Returns a dispute that validators judge.
pub(super) fn dispute() -> Dispute {
    let validator = SecretKey::from_bytes([7; 32]).public();
    let root = Hash::from_bytes([8; 32]);
    let rulings = [Ruling::Root { root }, Ruling::Differs, Ruling::Unavailable];
    let rulings = rulings.map(|ruling| Ruled { validator, ruling }).to_vec();
    Dispute {
        lease: LEASE,
        opened: Time::from_ms(5),
        accuser: Accuser::Tenant { bond: amount(10_000) },
        work_root: root,
        game: Game::Rerun(Rerun { rulings: List::new(rulings).expect("few") }),
        outcome: Some(Outcome::Overturned { root: Some(root) }),
    }
}

/// Returns a dispute that narrows down.
pub(super) fn bisection() -> Dispute {
    let roots = List::new(vec![Hash::ZERO; 15]).expect("as many as there may be");
    let game = Bisection {
        first: 3,
        steps: 99,
        before: Hash::ZERO,
        after: Hash::from_bytes([1; 32]),
        turn: Turn::Pick { roots },
    };
    let accuser = Accuser::Auditor { address: address() };
    Dispute { accuser, game: Game::Bisection(game), outcome: None, ..dispute() }
}

/// Returns a move of each kind.
pub(super) fn arguments() -> Vec<Argument> {
    let roots = List::new(vec![Hash::ZERO; 3]).expect("few");
    vec![
        Argument::Rule { ruling: Ruling::Differs },
        Argument::Divide { roots },
        Argument::Pick { part: 2 },
        Argument::Show { witness: Blob::new(vec![1, 2, 3]).expect("short") },
    ]
}

/// Returns what an auditor found.
pub(super) fn findings() -> [Finding; 2] {
    [work(), Finding::Unavailable]
}
