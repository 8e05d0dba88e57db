//! The game in which every validator does the work once more.
//!
//! Of `n` validators more than `2n/3` must say the same root: as long as no more than a third of
//! them lie, no root is decided that an honest one did not find.

use types::{Argument, Hash, List, Outcome, Reject, Rerun, Ruled, Ruling};

use super::{Arguer, Case, Play};

impl Play for Rerun {
    fn argue(
        &mut self,
        case: &Case<'_>,
        by: &Arguer,
        argument: &Argument,
    ) -> Result<Option<Outcome>, Reject> {
        let &Argument::Rule { ruling } = argument else {
            return Err(Reject::DisputeArgument);
        };
        let validator = *by.signer.key();
        if !case.validators.contains(&validator) {
            return Err(Reject::DisputeNotYours);
        }
        if self.rulings.iter().any(|ruled| ruled.validator == validator) {
            return Err(Reject::DisputeTwice);
        }
        let mut rulings = std::mem::take(&mut self.rulings).into_inner();
        rulings.push(Ruled { validator, ruling });
        self.rulings = List::new(rulings).map_err(|_| Reject::Invariant)?;
        Ok(decide(&self.rulings, case))
    }

    /// Returns that it is undecided: no root had more than two thirds.
    fn lapse(&self) -> Outcome {
        Outcome::Undecided
    }
}

/// Returns the outcome, once no ruling that is missing could change what follows.
fn decide(rulings: &[Ruled], case: &Case<'_>) -> Option<Outcome> {
    let validators = case.validators.len();
    let roots = || {
        rulings.iter().filter_map(|ruled| match ruled.ruling {
            Ruling::Root { root } => Some(root),
            Ruling::Differs | Ruling::Unavailable => None,
        })
    };
    let count = |root: Hash| roots().filter(|other| *other == root).count();
    let suffices = |count: usize| count.saturating_mul(3) > validators.saturating_mul(2);
    if let Some(root) = roots().find(|root| suffices(count(*root))) {
        return Some(match root == case.work_root {
            true => Outcome::Upheld,
            false => Outcome::Overturned { root: Some(root) },
        });
    }
    let most = roots().map(count).max().unwrap_or(0);
    let missing = validators.saturating_sub(rulings.len());
    // Where nobody accuses, it counts how many validators could not do the work.
    let counts = missing > 0 && !case.is_accused;
    (!counts && !suffices(most.saturating_add(missing))).then_some(Outcome::Undecided)
}

#[cfg(test)]
mod tests {
    use types::{Address, PublicKey};

    use super::*;

    const RIGHT: Hash = Hash::from_bytes([1; 32]);
    const OTHER: Hash = Hash::from_bytes([2; 32]);

    fn validator(number: u8) -> PublicKey {
        PublicKey::from_bytes([number; 32])
    }

    const fn case(validators: &[PublicKey], is_accused: bool) -> Case<'_> {
        Case { work_root: RIGHT, validators, steps: None, spec: &[], is_accused }
    }

    fn argue(rerun: &mut Rerun, of: u8, by: u8, ruling: Ruling) -> Result<Option<Outcome>, Reject> {
        argue_where(true, rerun, of, by, ruling)
    }

    fn argue_where(
        is_accused: bool,
        rerun: &mut Rerun,
        of: u8,
        by: u8,
        ruling: Ruling,
    ) -> Result<Option<Outcome>, Reject> {
        let validators: Vec<PublicKey> = (0..of).map(validator).collect();
        let case = case(&validators, is_accused);
        let signer = Address::new(validator(by));
        let by = Arguer { signer, is_provider: false, is_accuser: false };
        rerun.argue(&case, &by, &Argument::Rule { ruling })
    }

    /// Lets validators rule one after another and checks that the last ruling, and only that,
    /// decides.
    fn check(of: u8, rulings: &[Ruling], expected: Outcome) {
        let mut rerun = Rerun::default();
        for (number, ruling) in (0_u8..).zip(rulings) {
            let last = usize::from(number) + 1 == rulings.len();
            let found = argue(&mut rerun, of, number, *ruling);
            assert_eq!(found, Ok(last.then_some(expected)), "{rulings:?}, the {number}th");
        }
    }

    #[test]
    fn more_than_two_thirds_of_equal_roots_decide() {
        let (right, other) = (Ruling::Root { root: RIGHT }, Ruling::Root { root: OTHER });
        let overturned = Outcome::Overturned { root: Some(OTHER) };
        check(1, &[right], Outcome::Upheld);
        check(1, &[other], overturned);
        check(4, &[other, other, other], overturned);
        check(4, &[right, other, right, right], Outcome::Upheld);
        // Two of three are not more than two thirds.
        check(3, &[other, other, other], overturned);
        check(3, &[other, right], Outcome::Undecided);
        check(4, &[other, other, right, right], Outcome::Undecided);
    }

    #[test]
    fn engines_that_differ_and_inputs_that_are_missing_decide_nothing() {
        let (other, differs) = (Ruling::Root { root: OTHER }, Ruling::Differs);
        check(1, &[differs], Outcome::Undecided);
        check(4, &[other, differs, Ruling::Unavailable], Outcome::Undecided);
        check(4, &[differs, other, other, other], Outcome::Overturned { root: Some(OTHER) });
    }

    #[test]
    fn where_nobody_accuses_all_are_heard_unless_they_agree() {
        let (right, lacking) = (Ruling::Root { root: RIGHT }, Ruling::Unavailable);
        for (rulings, outcome) in [
            ([lacking, lacking, lacking, right], Outcome::Undecided),
            ([lacking, right, right, right], Outcome::Upheld),
        ] {
            let mut rerun = Rerun::default();
            for (number, ruling) in (0..4).zip(rulings) {
                let found = argue_where(false, &mut rerun, 4, number, ruling);
                assert_eq!(found, Ok((number == 3).then_some(outcome)));
            }
        }
    }

    #[test]
    fn only_validators_rule_and_each_once() {
        let mut rerun = Rerun::default();
        let right = Ruling::Root { root: RIGHT };
        assert_eq!(argue(&mut rerun, 4, 9, right), Err(Reject::DisputeNotYours));
        assert_eq!(argue(&mut rerun, 4, 0, right), Ok(None));
        assert_eq!(argue(&mut rerun, 4, 0, right), Err(Reject::DisputeTwice));
        let case = case(&[], true);
        let signer = Address::new(validator(1));
        let by = Arguer { signer, is_provider: true, is_accuser: true };
        let pick = Argument::Pick { part: 0 };
        assert_eq!(rerun.argue(&case, &by, &pick), Err(Reject::DisputeArgument));
    }
}
