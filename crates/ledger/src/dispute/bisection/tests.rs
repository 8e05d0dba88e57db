//! Bisection with a toy computation: each step multiplies a number and adds to it.
#![expect(clippy::arithmetic_side_effects, reason = "the computations of these tests are short")]

use classes::{Malformed, Steps};
use proptest::prelude::*;
use types::{Address, Blob, PublicKey};

use super::*;

/// The state is a number, its root the hash of it, and a step's witness the number.
#[derive(Debug)]
struct Toy;

fn root(state: u64) -> Hash {
    Hash::of("toy", &[&state.to_le_bytes()])
}

fn step(state: u64, number: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn number(bytes: &[u8]) -> Result<u64, Malformed> {
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| Malformed("not a number"))
}

impl Steps for Toy {
    fn first(&self, spec: &[u8]) -> Result<Hash, Malformed> {
        number(spec).map(root)
    }

    fn count(&self, _: &[u8], usage: &[u8]) -> Result<u64, Malformed> {
        number(usage)
    }

    fn step(
        &self,
        _: &[u8],
        number_of_step: u64,
        before: &Hash,
        witness: &[u8],
    ) -> Result<Hash, Malformed> {
        let state = number(witness)?;
        if root(state) != *before {
            return Err(Malformed("another state"));
        }
        Ok(root(step(state, number_of_step)))
    }
}

/// A computation, right or with one wrong step, as one side remembers it.
#[derive(Debug, Clone)]
struct Trace(Vec<u64>);

impl Trace {
    fn right(first: u64, steps: u64) -> Self {
        let mut states = vec![first];
        for number in 0..steps {
            states.push(step(states[states.len() - 1], number));
        }
        Self(states)
    }

    /// Computes wrongly in one step, and rightly from there on.
    fn wrong(first: u64, steps: u64, at: u64) -> Self {
        let mut states = vec![first];
        for number in 0..steps {
            let right = step(states[states.len() - 1], number);
            states.push(if number == at { right ^ 1 } else { right });
        }
        Self(states)
    }

    fn root(&self, at: u64) -> Hash {
        root(self.0[index(at)])
    }

    /// Returns how many steps it has.
    fn steps(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap() - 1
    }

    /// Moves as the provider whose computation this is.
    fn provide(&self, game: &Bisection) -> Argument {
        match game.turn {
            Turn::Divide => {
                let parts = parts(game.steps);
                let at = |part| game.first + boundary(part, parts, game.steps);
                let roots = (1..parts).map(|part| self.root(at(part))).collect();
                Argument::Divide { roots: List::new(roots).unwrap() }
            }
            Turn::Show => {
                let state = self.0[index(game.first)];
                Argument::Show { witness: Blob::new(state.to_le_bytes().to_vec()).unwrap() }
            }
            Turn::Pick { .. } => unreachable!("the accuser's move"),
        }
    }

    /// Moves as an accuser who computed this.
    fn accuse(&self, game: &Bisection) -> Argument {
        let Turn::Pick { roots } = &game.turn else { unreachable!("the provider's move") };
        let parts = parts(game.steps);
        let after = |part| self.root(game.first + boundary(part + 1, parts, game.steps));
        let said = |part: u64| roots.get(index(part)).copied().unwrap_or(game.after);
        let part = (0..parts).find(|part| said(*part) != after(*part)).unwrap_or(parts - 1);
        Argument::Pick { part: u8::try_from(part).unwrap() }
    }
}

/// Returns what the game is about.
fn case() -> Case<'static> {
    let (work_root, steps) = (Hash::ZERO, Some(&Toy as &dyn Steps));
    Case { work_root, validators: &[], steps, spec: &[], is_accused: true }
}

/// Returns the game over a computation as its provider remembers it.
fn start(provider: &Trace) -> Bisection {
    let steps = provider.steps();
    let (before, after) = (provider.root(0), provider.root(steps));
    Bisection { first: 0, steps, before, after, turn: next_turn(steps) }
}

const fn side(is_provider: bool) -> Arguer {
    let signer = Address::new(PublicKey::from_bytes([1; 32]));
    Arguer { signer, is_provider, is_accuser: !is_provider }
}

/// Plays to the end; returns the outcome and how many moves it took.
fn play(provider: &Trace, accuser: &Trace) -> (Outcome, u32) {
    let mut game = start(provider);
    for moves in 1.. {
        let is_provider = !matches!(game.turn, Turn::Pick { .. });
        let argument = if is_provider { provider.provide(&game) } else { accuser.accuse(&game) };
        let ended = game.argue(&case(), &side(is_provider), &argument).unwrap();
        if let Some(outcome) = ended {
            return (outcome, moves);
        }
    }
    unreachable!("a stretch cannot shrink for ever")
}

proptest! {
    #[test]
    fn who_computed_rightly_wins(first: u64, steps in 1..5_000u64, at: prop::sample::Index) {
        let right = Trace::right(first, steps);
        let wrong = Trace::wrong(first, steps, u64::try_from(at.index(index(steps))).unwrap());
        prop_assert_eq!(play(&wrong, &right).0, Outcome::Overturned { root: None });
        prop_assert_eq!(play(&right, &wrong).0, Outcome::Upheld);
        // A show, and a division with its pick for each power of sixteen.
        let rounds = (1..).find(|rounds| 16_u64.pow(*rounds) >= steps).unwrap_or(1);
        let rounds = if steps == 1 { 0 } else { rounds };
        prop_assert!(play(&right, &wrong).1 <= 1 + 2 * rounds);
    }
}

#[test]
fn a_move_out_of_turn_or_of_another_form_changes_nothing() {
    let (right, wrong) = (Trace::right(7, 100), Trace::wrong(7, 100, 50));
    let mut game = start(&wrong);
    let refused = |game: &Bisection, by: bool, argument: &Argument, reject| {
        let mut tried = game.clone();
        assert_eq!(tried.argue(&case(), &side(by), argument), Err(reject), "{argument:?}");
        assert_eq!(tried, *game);
    };
    refused(&game, false, &wrong.provide(&game), Reject::DisputeNotYours);
    let short = Argument::Divide { roots: List::new(vec![root(1); 14]).unwrap() };
    refused(&game, true, &short, Reject::DisputeArgument);
    refused(&game, true, &Argument::Pick { part: 0 }, Reject::DisputeArgument);
    game.argue(&case(), &side(true), &wrong.provide(&game)).unwrap();
    refused(&game, false, &Argument::Pick { part: 16 }, Reject::DisputeArgument);
    refused(&game, true, &right.accuse(&game), Reject::DisputeNotYours);
    game.argue(&case(), &side(false), &right.accuse(&game)).unwrap();
    game.argue(&case(), &side(true), &wrong.provide(&game)).unwrap();
    game.argue(&case(), &side(false), &right.accuse(&game)).unwrap();
    assert_eq!((game.first, game.steps, &game.turn), (50, 1, &Turn::Show));
    // A witness of another state shows nothing; time goes on against the provider.
    let other = Argument::Show { witness: Blob::new(vec![0; 8]).unwrap() };
    refused(&game, true, &other, Reject::DisputeArgument);
}

#[test]
fn who_does_not_move_has_lost() {
    let right = Trace::right(7, 100);
    let mut game = start(&right);
    assert_eq!(game.lapse(), Outcome::Overturned { root: None });
    game.argue(&case(), &side(true), &right.provide(&game)).unwrap();
    assert_eq!(game.lapse(), Outcome::Upheld);
}
