//! What each class of service means to the market.
//!
//! A class says what its offers and orders contain, which offer can serve which order, how many
//! units a meter reading is worth, and how its work is assured. All of it is pure: bytes in,
//! numbers and verdicts out. How the work is done is the executor's business.
//!
//! The ledger knows classes only as rows of [`CLASSES`]: it holds their offers, specifications
//! and readings as opaque bounded bytes and asks the class what they mean. A new class is one
//! file here, with one line in the table.
//!
//! ```
//! let class = classes::find(types::ClassId(1)).expect("the first class");
//! assert_eq!(class.name(), "job");
//! assert_eq!(class.unit(), "Mfuel");
//! ```
#![forbid(unsafe_code)]
#![deny(
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests may panic"))]

use std::fmt;

use types::{BasisPoints, Claims, ClassId, ContentHash, Duration, Hash, Rate, Receipt, Units};

pub mod job;

/// How a class's work is assured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// Auditors re-execute and must get the same bits.
    Exact,
    /// Auditors observe or redo; the ledger tallies; refunds, no slash.
    Quorum,
    /// Hardware evidence.
    Attested,
    /// The tenant's word: receipts carry the tenant's signature.
    Countersigned,
}

/// Why a class does not understand bytes, or finds them contradictory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Why an offer cannot serve an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch(pub &'static str);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What one kind of service means to the market. Total: any bytes give an answer, never a panic.
pub trait Class: fmt::Debug + Sync {
    /// Returns the class's number, stable on the wire.
    fn id(&self) -> ClassId;

    /// Returns the class's name, which the command line, the API and the metrics use.
    fn name(&self) -> &'static str;

    /// Returns what is metered, priced and rewarded, such as `Mfuel`.
    fn unit(&self) -> &'static str;

    /// Returns how its work is assured.
    fn assurance(&self) -> Assurance;

    /// Returns the least probability of an audit that an order may ask for, unless it lets nobody
    /// read its inputs.
    fn audit_probability_min(&self) -> BasisPoints;

    /// Returns the least rate of an offer, in micro-USD for a million units: what the power costs,
    /// so that nobody has others' machines redo work for nothing.
    fn rate_min(&self) -> Rate;

    /// Returns how many receipts a lease may have.
    fn receipts_max(&self) -> u32;

    /// Returns the units that an offer with these terms and slots claims to serve in an epoch.
    ///
    /// # Errors
    /// [`Malformed`] when the terms are not this class's.
    fn capacity(&self, terms: &[u8], slots: u32, epoch: Duration) -> Result<Units, Malformed>;

    /// Checks a specification and returns the most units that it can use.
    ///
    /// # Errors
    /// [`Malformed`] when it is not this class's, or contradicts itself.
    fn units_max(&self, spec: &[u8]) -> Result<Units, Malformed>;

    /// Checks that an offer can serve a specification; both were accepted before.
    ///
    /// # Errors
    /// The [`Mismatch`].
    fn matches(&self, spec: &[u8], terms: &[u8], claims: &Claims) -> Result<(), Mismatch>;

    /// Returns the billable units of a cumulative reading; more usage never gives fewer units.
    ///
    /// # Errors
    /// [`Malformed`] when the reading is not this class's or is impossible for the specification.
    fn units(&self, spec: &[u8], usage: &[u8]) -> Result<Units, Malformed>;

    /// Returns how long a machine with these terms of an offer takes for so many units.
    ///
    /// # Errors
    /// [`Malformed`] when the terms are not this class's.
    fn time(&self, terms: &[u8], units: Units) -> Result<Duration, Malformed>;

    /// Returns how long a validator takes at most to judge so many units, without what bringing the
    /// inputs takes.
    fn judging_time(&self, units: Units) -> Duration;

    /// Checks that a machine with these terms of an offer may audit: it is fast enough for nobody
    /// to wait long for it.
    ///
    /// # Errors
    /// [`Malformed`] when the terms are not this class's, or it is too slow.
    fn audits(&self, terms: &[u8]) -> Result<(), Malformed>;

    /// Returns how the ledger recomputes one step of the class's work, if it can: then a dispute
    /// narrows down to one. Otherwise validators redo the work.
    fn steps(&self) -> Option<&'static dyn Steps>;

    /// Returns the content that a provider needs to serve a specification.
    ///
    /// # Errors
    /// [`Malformed`] when the specification is not this class's.
    fn inputs(&self, spec: &[u8]) -> Result<Vec<ContentHash>, Malformed>;

    /// Returns the content that a reading names as the result.
    ///
    /// # Errors
    /// [`Malformed`] when the reading is not this class's.
    fn results(&self, usage: &[u8]) -> Result<Vec<ContentHash>, Malformed>;

    /// Returns the root over everything that a reading says: what it costs, and what came of it.
    ///
    /// # Errors
    /// [`Malformed`] when the reading is not this class's.
    fn result_root(&self, usage: &[u8]) -> Result<Hash, Malformed>;

    /// Returns a receipt's work root: what doing the work once more must give.
    ///
    /// # Errors
    /// [`Malformed`] when its reading is not this class's.
    fn work_root(&self, receipt: &Receipt) -> Result<Hash, Malformed> {
        let result_root = self.result_root(receipt.usage.as_slice())?;
        Ok(Receipt::work_root(&result_root, &receipt.trace))
    }

    /// Returns valid instances drawn from `seed`, for laws, fuzzers and documentation.
    fn sample(&self, seed: u64) -> Sample;
}

/// Work as a chain of roots, each of which follows from the one before by one step that is small
/// enough for the ledger to recompute.
pub trait Steps: fmt::Debug + Sync {
    /// Returns the root before the first step.
    ///
    /// # Errors
    /// [`Malformed`] when the specification is not this class's.
    fn first(&self, spec: &[u8]) -> Result<Hash, Malformed>;

    /// Returns how many steps lead to what a reading says, at least one: the last gives its result
    /// root, if the computation has ended before it.
    ///
    /// # Errors
    /// [`Malformed`] when specification or reading are not this class's.
    fn count(&self, spec: &[u8], usage: &[u8]) -> Result<u64, Malformed>;

    /// Recomputes the step of this number, from 0, and returns the root after it. `witness` shows
    /// what it reads of the state under the root `before`.
    ///
    /// # Errors
    /// [`Malformed`] when the witness is not of that state.
    fn step(
        &self,
        spec: &[u8],
        number: u64,
        before: &Hash,
        witness: &[u8],
    ) -> Result<Hash, Malformed>;
}

/// Valid instances of a class's three encodings, which belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// An offer's terms.
    pub terms: Vec<u8>,
    /// A specification that the offer can serve.
    pub spec: Vec<u8>,
    /// A reading for the specification.
    pub usage: Vec<u8>,
}

/// Every class, by number.
pub static CLASSES: &[&dyn Class] = &[&job::Job];

/// Returns the class of that number.
#[must_use]
pub fn find(id: ClassId) -> Option<&'static dyn Class> {
    CLASSES.iter().copied().find(|class| class.id() == id)
}

/// Returns the class of that name.
#[must_use]
pub fn find_by_name(name: &str) -> Option<&'static dyn Class> {
    CLASSES.iter().copied().find(|class| class.name() == name)
}

#[cfg(test)]
mod laws {
    //! What must hold of every class; a new one is tested by standing in the table.

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        let numbers: BTreeSet<_> = CLASSES.iter().map(|class| class.id()).collect();
        let names: BTreeSet<_> = CLASSES.iter().map(|class| class.name()).collect();
        assert_eq!((numbers.len(), names.len()), (CLASSES.len(), CLASSES.len()));
    }

    proptest! {
        #[test]
        fn samples_are_accepted(seed: u64) {
            for class in CLASSES {
                let Sample { terms, spec, usage } = class.sample(seed);
                prop_assert!(class.capacity(&terms, 1, Duration::from_seconds(60)).is_ok());
                let most = class.units_max(&spec).unwrap();
                prop_assert_eq!(class.matches(&spec, &terms, &Claims::default()), Ok(()));
                prop_assert!(class.units(&spec, &usage).unwrap() <= most);
                prop_assert!(class.inputs(&spec).is_ok() && class.results(&usage).is_ok());
                prop_assert_eq!(class.sample(seed), Sample { terms, spec, usage });
            }
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            for class in CLASSES {
                let Sample { terms, spec, usage } = class.sample(0);
                let _ = class.capacity(&bytes, u32::MAX, Duration::from_ms(u64::MAX));
                let _ = class.units_max(&bytes);
                let _ = class.time(&bytes, Units::MAX);
                let _ = class.matches(&bytes, &terms, &Claims::default());
                let _ = class.matches(&spec, &bytes, &Claims::default());
                let _ = class.units(&bytes, &usage);
                let _ = class.units(&spec, &bytes);
                let _ = (class.inputs(&bytes), class.results(&bytes));
            }
        }

        #[test]
        fn what_is_cut_or_longer_is_no_specification(seed: u64, at: prop::sample::Index, more: u8) {
            for class in CLASSES {
                let spec = class.sample(seed).spec;
                prop_assert!(class.units_max(&spec[..at.index(spec.len())]).is_err());
                prop_assert!(class.units_max(&[spec.as_slice(), &[more]].concat()).is_err());
            }
        }

        #[test]
        fn more_units_take_no_less_time(seed: u64, units in 0..1_000_000_000u64) {
            for class in CLASSES {
                let terms = class.sample(seed).terms;
                let time = |units| class.time(&terms, Units::new(units).unwrap()).unwrap();
                prop_assert!(time(units) <= time(units + 1));
            }
        }

        #[test]
        fn capacity_grows_with_slots_and_time(
            seed: u64, slots in 1..4096u32, seconds in 1..9999u64,
        ) {
            for class in CLASSES {
                let terms = class.sample(seed).terms;
                let capacity = |slots, seconds| {
                    class.capacity(&terms, slots, Duration::from_seconds(seconds)).unwrap()
                };
                prop_assert!(capacity(slots, seconds) <= capacity(slots + 1, seconds));
                prop_assert!(capacity(slots, seconds) <= capacity(slots, seconds + 1));
            }
        }
    }
}
