//! What to do about offers: the difference between those that stand and the one that is wanted.
//!
//! One offer stands for all slots. It is renewed by taking it down and posting another; leases of
//! the old one go on, so the new one has only the slots that these leave. It is therefore best
//! renewed when nothing runs, and that is done from a third of its time on; after two thirds it
//! is renewed as soon as a slot is free, and one with too few slots is replaced once nothing runs.

use api::OfferView;
use classes::job::{self, Terms};
use types::{Amount, Blob, Claims, Decode, Duration, Encode, OfferId, OfferTerms, Rate, Time};

/// The offer that shall stand.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The class's terms.
    pub(crate) terms: Terms,
    /// What is claimed of this machine.
    pub(crate) claims: Claims,
    /// The price of units.
    pub(crate) rate: Rate,
    /// The least that a lease costs.
    pub(crate) minimum: Amount,
    /// Leases at the same time.
    pub(crate) slots: u32,
    /// How long it stands.
    pub(crate) lifetime: Duration,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfferStep {
    /// Take the offer down.
    Retire(OfferId),
    /// Post an offer of these terms.
    Post(Box<OfferTerms>),
}

/// Returns what to do at `now` for exactly the wanted offer to stand, in order; `open` is the
/// number of all leases of the provider that are not closed.
pub(crate) fn plan(
    now: Time,
    standing: &[OfferView],
    open: usize,
    wanted: Option<&Wanted>,
) -> Vec<OfferStep> {
    let ours = standing.iter().filter(|view| view.offer.terms.class == job::ID);
    let Some(wanted) = wanted else {
        return ours.map(|view| OfferStep::Retire(view.offer.id)).collect();
    };
    let open = u32::try_from(open).unwrap_or(u32::MAX);
    let room = wanted.slots.saturating_sub(open);
    let current = ours
        .clone()
        .filter(|view| {
            is_wanted(&view.offer.terms, wanted)
                && (room == 0 || !is_due(now, &view.offer.terms, wanted, open))
        })
        .min_by_key(|view| (view.offer.posted, view.offer.id))
        .map(|view| view.offer.id);
    let mut steps: Vec<OfferStep> = ours
        .filter(|view| Some(view.offer.id) != current)
        .map(|view| OfferStep::Retire(view.offer.id))
        .collect();
    if current.is_none() && room > 0 {
        let terms = OfferTerms {
            class: job::ID,
            terms: Blob::new(wanted.terms.to_bytes()).expect("a job's terms are 18 bytes"),
            claims: wanted.claims.clone(),
            rate: wanted.rate,
            minimum: wanted.minimum,
            slots: room,
            expires: now.after(wanted.lifetime),
        };
        steps.push(OfferStep::Post(Box::new(terms)));
    }
    steps
}

/// Returns whether an offer says what is wanted. What was merely observed may differ a little:
/// it is brought up to date when the offer is renewed.
fn is_wanted(terms: &OfferTerms, wanted: &Wanted) -> bool {
    let Ok(found) = Terms::from_bytes(terms.terms.as_slice()) else { return false };
    let speed = u64::from(wanted.terms.mfuel_per_second);
    let claimed = u64::from(found.mfuel_per_second);
    let region = |claims: &Claims| claims.get("region").map(|claim| claim.value.clone());
    found.metering == wanted.terms.metering
        && found.memory_pages == wanted.terms.memory_pages
        && found.output_bytes == wanted.terms.output_bytes
        && claimed <= speed.saturating_mul(2)
        && speed <= claimed.saturating_mul(2)
        && terms.rate == wanted.rate
        && terms.minimum == wanted.minimum
        && terms.slots <= wanted.slots
        && region(&terms.claims) == region(&wanted.claims)
}

/// Returns whether an offer that says what is wanted is to be replaced now.
fn is_due(now: Time, terms: &OfferTerms, wanted: &Wanted, open: u32) -> bool {
    let left = terms.expires.since(now).as_ms();
    let third = wanted.lifetime.as_ms() / 3;
    let idle = open == 0;
    left <= third
        || (idle && left <= third.saturating_mul(2))
        || (idle && terms.slots < wanted.slots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::{Offer, SecretKey, Units};

    use super::*;
    use crate::detect::Machine;

    const NOW: Time = Time::from_ms(10_000_000);
    const LIFETIME: Duration = Duration::from_seconds(3_000);

    fn wanted() -> Wanted {
        let machine = Machine {
            cores: 4,
            architecture: "x86_64",
            system: "linux",
            processor: None,
            memory_bytes: None,
            disk_bytes: Some(5),
        };
        Wanted {
            terms: Terms {
                metering: 1,
                mfuel_per_second: 1_000,
                memory_pages: 16,
                output_bytes: 100,
            },
            claims: machine.claims(Some("eu"), NOW),
            rate: Rate::new(5_000).unwrap(),
            minimum: Amount::new(1_543).unwrap(),
            slots: 4,
            lifetime: LIFETIME,
        }
    }

    fn standing(number: u8, terms: OfferTerms) -> OfferView {
        let key = SecretKey::from_bytes([1; 32]);
        let offer = Offer {
            id: OfferId::from_bytes([number; 32]),
            provider: key.address(),
            node_key: key.public(),
            posted: Time::from_ms(u64::from(number)),
            capacity: Units::ZERO,
            terms,
        };
        OfferView { offer, leased: 0 }
    }

    fn posted(steps: &[OfferStep]) -> Option<OfferTerms> {
        steps.iter().find_map(|step| match step {
            OfferStep::Post(terms) => Some((**terms).clone()),
            OfferStep::Retire(_) => None,
        })
    }

    fn fresh() -> OfferTerms {
        posted(&plan(NOW, &[], 0, Some(&wanted()))).unwrap()
    }

    fn retire(number: u8) -> OfferStep {
        OfferStep::Retire(OfferId::from_bytes([number; 32]))
    }

    #[test]
    fn the_wanted_offer_stands_once() {
        let terms = fresh();
        assert_eq!((terms.slots, terms.expires), (4, NOW.after(LIFETIME)));
        assert_eq!(plan(NOW, &[standing(1, terms.clone())], 4, Some(&wanted())), []);
        let two = [standing(1, terms.clone()), standing(2, terms.clone())];
        assert_eq!(plan(NOW, &two, 0, Some(&wanted())), [retire(2)]);
        assert_eq!(plan(NOW, &two, 0, None), [retire(1), retire(2)]);
        let mut other = standing(3, terms);
        other.offer.terms.class = types::ClassId(9);
        assert_eq!(plan(NOW, &[other], 4, Some(&wanted())), []);
    }

    #[test]
    fn an_offer_that_says_something_else_is_replaced() {
        let check = |change: fn(&mut Wanted), replaced: bool| {
            let mut wanted = wanted();
            change(&mut wanted);
            let steps = plan(NOW, &[standing(1, fresh())], 1, Some(&wanted));
            let expected = if replaced { Some(&retire(1)) } else { None };
            assert_eq!(steps.first(), expected);
            assert_eq!(posted(&steps).map(|terms| terms.slots), replaced.then(|| wanted.slots - 1));
        };
        check(|_| {}, false);
        check(|wanted| wanted.rate = Rate::new(4_999).unwrap(), true);
        check(|wanted| wanted.minimum = Amount::new(1_544).unwrap(), true);
        check(|wanted| wanted.slots = 3, true);
        check(|wanted| wanted.terms.memory_pages = 17, true);
        check(|wanted| wanted.terms.mfuel_per_second = 2_001, true);
        check(|wanted| wanted.terms.mfuel_per_second = 1_999, false);
        check(|wanted| drop(wanted.claims.remove("region")), true);
        check(|wanted| drop(wanted.claims.remove("disk")), false);
    }

    #[test]
    fn an_offer_is_renewed_when_nothing_runs_or_time_is_short() {
        let check = |left_seconds: u64, open: usize, slots: Option<u32>| {
            let mut terms = fresh();
            terms.expires = NOW.after(Duration::from_seconds(left_seconds));
            let steps = plan(NOW, &[standing(1, terms)], open, Some(&wanted()));
            assert_eq!(posted(&steps).map(|terms| terms.slots), slots, "{left_seconds} {open}");
            assert_eq!(steps.len(), if slots.is_some() { 2 } else { 0 });
        };
        check(2_001, 0, None);
        check(2_000, 0, Some(4));
        check(2_000, 1, None);
        check(1_001, 1, None);
        check(1_000, 1, Some(3));
        check(1_000, 4, None);
        let mut small = fresh();
        small.slots = 2;
        assert_eq!(plan(NOW, &[standing(1, small.clone())], 1, Some(&wanted())), []);
        let steps = plan(NOW, &[standing(1, small)], 0, Some(&wanted()));
        assert_eq!(posted(&steps).map(|terms| terms.slots), Some(4));
    }

    #[test]
    fn no_more_is_offered_than_is_free() {
        assert_eq!(plan(NOW, &[], 4, Some(&wanted())), []);
        let terms = posted(&plan(NOW, &[], 3, Some(&wanted()))).unwrap();
        assert_eq!(terms.slots, 1);
    }

    proptest! {
        #[test]
        fn a_plan_is_done_once(
            lefts in prop::collection::vec((0..3_000_u64, 1..6_u32), 0..4),
            open in 0..6_usize,
        ) {
            let mut offers: Vec<OfferView> = lefts
                .into_iter()
                .zip(1..)
                .map(|((left, slots), number)| {
                    let mut terms = fresh();
                    terms.expires = NOW.after(Duration::from_seconds(left));
                    terms.slots = slots;
                    standing(number, terms)
                })
                .collect();
            for step in plan(NOW, &offers, open, Some(&wanted())) {
                match step {
                    OfferStep::Retire(id) => offers.retain(|view| view.offer.id != id),
                    OfferStep::Post(terms) => offers.push(standing(9, *terms)),
                }
            }
            prop_assert_eq!(plan(NOW, &offers, open, Some(&wanted())), []);
            prop_assert!(offers.len() <= 1);
        }
    }
}
