//! When a signature matches: one, or many at once.
//!
//! A signature `R ‖ s` of bytes `m` under a key `A` matches if `R` and `A` are points of the curve,
//! `s` is below the group's order, `A` is not of small order, and
//!
//! ```text
//! k = SHA-512(R ‖ A ‖ m)
//! 0 = [8]([s]B − R − [k]A)
//! ```
//!
//! The factor 8 of RFC 8032 stands there so that many signatures can be checked by one equation, in
//! a third of the time, with the very answer that each gives alone. Without it a point of small
//! order in `R` or `A` could make two honest machines answer differently. Encodings of points are
//! read as ZIP 215 says, which also is how the engine of the chain checks votes.
//!
//! ```text
//! 0 = [8]([Σ zᵢsᵢ]B − Σ [zᵢ]Rᵢ − Σ [zᵢkᵢ]Aᵢ)
//! ```
//!
//! The `zᵢ` have 128 bits and come from a hash of everything that is checked. Who wants a wrong
//! signature to pass has to guess one of 2¹²⁸ of them.

use std::collections::BTreeMap;

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::ED25519_BASEPOINT_POINT,
    edwards::CompressedEdwardsY,
    traits::{IsIdentity as _, VartimeMultiscalarMul as _},
};
use sha2::{Digest as _, Sha512};

use crate::{PublicKey, Signature};

/// So many are checked one by one when not all of them match.
const FEW: usize = 8;
/// Into so many parts more of them are divided then.
const PARTS: usize = 8;

/// That a key signed some bytes, which is to be checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    key: PublicKey,
    signature: Signature,
    /// `k`.
    challenge: Scalar,
}

impl Statement {
    /// States that `key` signed `bytes` with `signature`.
    pub(crate) fn new(key: &PublicKey, bytes: &[u8], signature: &Signature) -> Self {
        let (commitment, _) = halves(signature);
        let hash = Sha512::new().chain_update(commitment).chain_update(key.as_bytes());
        let hash = hash.chain_update(bytes).finalize();
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.into());
        Self { key: *key, signature: *signature, challenge }
    }

    /// Returns whether it did.
    pub(crate) fn holds(&self) -> bool {
        point(&self.key).and_then(|key| Equation::of(self, key)).is_some_and(|it| it.holds())
    }
}

/// Returns for each statement whether it holds.
pub(crate) fn which_hold(statements: &[Statement]) -> Vec<bool> {
    // Many may be of one key, and to find a point takes as long as a quarter of the rest.
    let mut points = BTreeMap::new();
    let equations = statements.iter().enumerate().filter_map(|(place, statement)| {
        let key = *points.entry(statement.key).or_insert_with(|| point(&statement.key));
        Some((place, Equation::of(statement, key?)?))
    });
    let equations: Vec<_> = equations.collect();
    let mut held = vec![false; statements.len()];
    let mut hold = |place: usize| held.get_mut(place).map_or((), |held| *held = true);
    let mut open = vec![equations.as_slice()];
    while let Some(some) = open.pop() {
        if some.len() > FEW && all_hold(some) {
            some.iter().for_each(|(place, _)| hold(*place));
        } else if some.len() > FEW {
            open.extend(some.chunks(some.len().div_ceil(PARTS)));
        } else {
            some.iter().filter(|(_, one)| one.holds()).for_each(|(place, _)| hold(*place));
        }
    }
    held
}

/// What has to be nothing if a statement holds.
struct Equation {
    statement: Statement,
    key: EdwardsPoint,
    commitment: EdwardsPoint,
    response: Scalar,
}

impl Equation {
    /// Reads a signature; there is no equation where nothing can match.
    fn of(statement: &Statement, key: EdwardsPoint) -> Option<Self> {
        let (commitment, response) = halves(&statement.signature);
        Some(Self {
            statement: *statement,
            key,
            commitment: CompressedEdwardsY(commitment).decompress()?,
            response: Scalar::from_canonical_bytes(response).into_option()?,
        })
    }

    #[expect(clippy::arithmetic_side_effects, reason = "points and scalars do not overflow")]
    fn holds(&self) -> bool {
        let Self { statement, key, commitment, response } = self;
        let (challenge, minus_key) = (&statement.challenge, -key);
        let sum =
            EdwardsPoint::vartime_double_scalar_mul_basepoint(challenge, &minus_key, response);
        (sum - commitment).mul_by_cofactor().is_identity()
    }
}

/// Returns whether all of some equations hold.
#[expect(clippy::arithmetic_side_effects, reason = "points and scalars do not overflow")]
fn all_hold(equations: &[(usize, Equation)]) -> bool {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"idlewild signatures\0");
    for (_, Equation { statement, .. }) in equations {
        hasher.update(statement.key.as_bytes()).update(statement.signature.as_bytes());
        hasher.update(&statement.challenge.to_bytes());
    }
    let mut drawn = hasher.finalize_xof();
    let mut of_base = Scalar::ZERO;
    let mut of_keys = BTreeMap::new();
    let mut factors = Vec::with_capacity(equations.len().saturating_mul(2));
    let mut points = Vec::with_capacity(equations.len().saturating_mul(2));
    for (_, Equation { statement, key, commitment, response }) in equations {
        let mut bytes = [0; 16];
        drawn.fill(&mut bytes);
        let factor = Scalar::from(u128::from_le_bytes(bytes));
        of_base -= factor * response;
        of_keys.entry(statement.key).or_insert((Scalar::ZERO, key)).0 +=
            factor * statement.challenge;
        factors.push(factor);
        points.push(*commitment);
    }
    for (factor, key) in of_keys.into_values() {
        factors.push(factor);
        points.push(*key);
    }
    factors.push(of_base);
    points.push(ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(factors, points).mul_by_cofactor().is_identity()
}

/// Returns the point of a key; nothing for one that is none, or of small order.
fn point(key: &PublicKey) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*key.as_bytes()).decompress()?;
    (!point.is_small_order()).then_some(point)
}

/// Returns `R` and `s`, encoded.
fn halves(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (mut commitment, mut response) = ([0; 32], [0; 32]);
    let (first, second) = signature.as_bytes().split_at(32);
    commitment.copy_from_slice(first);
    response.copy_from_slice(second);
    (commitment, response)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    use super::*;
    use crate::SecretKey;

    /// Signs as [`Statement::holds`] wants it, with points of small order added to `R` and `A`.
    fn twisted(secret: u64, message: &[u8], of_key: usize, of_commitment: usize) -> Statement {
        let (secret, nonce) = (Scalar::from(secret), Scalar::from(secret + 7));
        let key = ED25519_BASEPOINT_POINT * secret + EIGHT_TORSION[of_key];
        let commitment = ED25519_BASEPOINT_POINT * nonce + EIGHT_TORSION[of_commitment];
        let key = PublicKey::from_bytes(key.compress().to_bytes());
        let unfinished = [commitment.compress().to_bytes(), [0; 32]].concat().try_into().unwrap();
        let statement = Statement::new(&key, message, &Signature::from_bytes(unfinished));
        let response = (nonce + statement.challenge * secret).to_bytes();
        let bytes = [commitment.compress().to_bytes(), response].concat().try_into().unwrap();
        Statement { signature: Signature::from_bytes(bytes), ..statement }
    }

    fn honest(secret: u8, message: &[u8]) -> Statement {
        let key = SecretKey::from_bytes([secret; 32]);
        Statement::new(&key.public(), message, &key.sign_bytes(message))
    }

    proptest! {
        #[test]
        fn many_are_answered_as_each_alone(
            kinds in prop::collection::vec((1_u8..9, 0_u8..8, 0_usize..8, 0_usize..8), 0..40),
        ) {
            let statements: Vec<Statement> = kinds.iter().map(|(secret, kind, one, two)| {
                let good = honest(*secret, b"message");
                match kind {
                    0 => Statement::new(&good.key, b"other", &good.signature),
                    1 => twisted(u64::from(*secret), b"message", *one, *two),
                    _ => good,
                }
            }).collect();
            let alone: Vec<bool> = statements.iter().map(Statement::holds).collect();
            let expected: Vec<bool> = kinds.iter().map(|(_, kind, ..)| *kind != 0).collect();
            prop_assert_eq!(&alone, &expected);
            prop_assert_eq!(which_hold(&statements), expected);
        }
    }

    #[test]
    fn each_of_many_that_does_not_match_is_found() {
        let good: Vec<Statement> = (0..100).map(|message| honest(1, &[message])).collect();
        assert_eq!(which_hold(&good), [true; 100]);
        for wrong in 0..good.len() {
            let mut statements = good.clone();
            statements[wrong].signature = good[(wrong + 1) % good.len()].signature;
            let held = which_hold(&statements);
            assert!(held.iter().enumerate().all(|(place, held)| *held == (place != wrong)));
        }
    }

    #[test]
    fn a_signature_has_no_second_form() {
        let good = honest(1, b"message");
        let (commitment, response) = halves(&good.signature);
        // The order of the group, as RFC 8032 gives it.
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0_u16;
        let above: Vec<u8> = response
            .iter()
            .zip(order)
            .map(|(one, other)| {
                let sum = u16::from(*one) + other + carry;
                carry = sum >> 8;
                u8::try_from(sum & 0xff).unwrap()
            })
            .collect();
        let bytes = [&commitment[..], &above].concat().try_into().unwrap();
        let again = Statement { signature: Signature::from_bytes(bytes), ..good };
        assert!(good.holds() && !again.holds());
        assert_eq!(which_hold(&vec![again; 20]), [false; 20]);
    }

    #[test]
    fn keys_of_small_order_sign_nothing() {
        for point in EIGHT_TORSION {
            let key = PublicKey::from_bytes(point.compress().to_bytes());
            for commitment in EIGHT_TORSION {
                let bytes = [commitment.compress().to_bytes(), [0; 32]].concat();
                let signature = Signature::from_bytes(bytes.try_into().unwrap());
                let statement = Statement::new(&key, b"anything", &signature);
                assert!(!statement.holds());
                assert_eq!(which_hold(&[statement; 9]), [false; 9]);
            }
        }
    }
}
