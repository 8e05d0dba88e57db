//! The game in which a computation is narrowed down to one step, which the ledger recomputes.
//!
//! A computation of `n` steps is a chain of roots `r₀ … rₙ`. Both sides know `r₀`, and `rₙ` is the
//! result root of the receipt's reading. The provider divides the stretch on which they disagree
//! into up to sixteen equal parts and says the roots between; the accuser picks the first part in
//! which it disagrees: both agree on the root before it and disagree on the root after it, which is
//! where the next division begins. So `n` steps take `⌈log₁₆ n⌉` rounds. An honest side always has
//! a right move, and who does not move has lost.

use types::{Argument, Bisection, Hash, List, Outcome, Reject, Turn, limits::BISECTION_ROOTS_MAX};

use super::{Arguer, Case, Play};

/// Parts into which one move divides a stretch, at most.
const PARTS_MAX: u64 = BISECTION_ROOTS_MAX as u64 + 1;

impl Play for Bisection {
    fn argue(
        &mut self,
        case: &Case<'_>,
        by: &Arguer,
        argument: &Argument,
    ) -> Result<Option<Outcome>, Reject> {
        let is_theirs = match self.turn {
            Turn::Pick { .. } => by.is_accuser,
            Turn::Divide | Turn::Show => by.is_provider,
        };
        if !is_theirs {
            return Err(Reject::DisputeNotYours);
        }
        match (&self.turn, argument) {
            (Turn::Divide, Argument::Divide { roots }) => divide(self, roots),
            (Turn::Pick { roots }, &Argument::Pick { part }) => {
                let roots = roots.clone();
                pick(self, &roots, part)
            }
            (Turn::Show, Argument::Show { witness }) => show(self, case, witness.as_slice()),
            _ => Err(Reject::DisputeArgument),
        }
    }

    /// Returns that who had to move has lost.
    fn lapse(&self) -> Outcome {
        match self.turn {
            Turn::Pick { .. } => Outcome::Upheld,
            Turn::Divide | Turn::Show => Outcome::Overturned { root: None },
        }
    }
}

fn divide(
    game: &mut Bisection,
    roots: &List<Hash, BISECTION_ROOTS_MAX>,
) -> Result<Option<Outcome>, Reject> {
    if u64::try_from(roots.len()).ok() != parts(game.steps).checked_sub(1) {
        return Err(Reject::DisputeArgument);
    }
    game.turn = Turn::Pick { roots: roots.clone() };
    Ok(None)
}

fn pick(game: &mut Bisection, roots: &[Hash], part: u8) -> Result<Option<Outcome>, Reject> {
    let (parts, part) = (parts(game.steps), u64::from(part));
    if part >= parts {
        return Err(Reject::DisputeArgument);
    }
    let next = part.saturating_add(1);
    let (begin, end) = (boundary(part, parts, game.steps), boundary(next, parts, game.steps));
    // The root at a boundary between parts; the stretch's own ends are not among them.
    let root = |boundary: u64| {
        let index = usize::try_from(boundary.checked_sub(1)?).ok()?;
        roots.get(index).copied()
    };
    game.before = root(part).unwrap_or(game.before);
    game.after = root(next).unwrap_or(game.after);
    game.first = game.first.saturating_add(begin);
    game.steps = end.saturating_sub(begin);
    game.turn = next_turn(game.steps);
    Ok(None)
}

fn show(game: &Bisection, case: &Case<'_>, witness: &[u8]) -> Result<Option<Outcome>, Reject> {
    let steps = case.steps.ok_or(Reject::Invariant)?;
    let after = steps.step(case.spec, game.first, &game.before, witness);
    let after = after.map_err(|_| Reject::DisputeArgument)?;
    Ok(Some(judged(after == game.after)))
}

const fn judged(is_right: bool) -> Outcome {
    if is_right { Outcome::Upheld } else { Outcome::Overturned { root: None } }
}

pub(super) const fn next_turn(steps: u64) -> Turn {
    if steps == 1 { Turn::Show } else { Turn::Divide }
}

/// Returns into how many parts a stretch is divided.
const fn parts(steps: u64) -> u64 {
    if steps < PARTS_MAX { steps } else { PARTS_MAX }
}

/// Returns how many steps come before a part.
fn boundary(part: u64, parts: u64, steps: u64) -> u64 {
    let product = u128::from(part).saturating_mul(u128::from(steps));
    let steps = product.checked_div(u128::from(parts)).unwrap_or(0);
    u64::try_from(steps).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
