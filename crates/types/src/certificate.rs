//! Certificates: the signatures by which a block is final, checked from the genesis alone.
//!
//! A validator signs, with its ed25519 key:
//!
//! ```text
//! message  = |domain| ‖ domain ‖ proposal                        |…| as a varint
//! domain   = "idlewild chain " ‖ genesis hash ‖ "_FINALIZE"
//! proposal = epoch ‖ view ‖ parent view ‖ header hash            the first three as varints
//! ```
//!
//! Of `n` validators up to `f = ⌊(n − 1) / 3⌋` may be dishonest; `n − f` signatures make a block
//! final, and with it all blocks that it stands on.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Genesis, Hash, Header, List, SecretKey, Signature, limits::VALIDATORS_MAX};

/// Most headers between one and the certificate that makes it final.
pub const LATER_HEADERS_MAX: usize = 64;

/// A validator's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Vote {
    /// The validator's place among those of the genesis.
    pub validator: u32,
    /// What it signed with.
    pub signature: Signature,
}
codec!(struct Vote { validator, signature });

/// Signatures by which a block is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// The epoch of validators.
    pub epoch: u64,
    /// The view in which they agreed.
    pub view: u64,
    /// The view of the block's parent.
    pub parent_view: u64,
    /// The signatures, in the order of the validators' places.
    pub votes: List<Vote, VALIDATORS_MAX>,
}
codec!(struct Certificate { epoch, view, parent_view, votes });

/// Why a header is not shown to be final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// A signature is missing, twice there, of a stranger, or does not match.
    #[error("the block is not signed by more than two thirds of the network's validators")]
    Votes,
    /// The headers up to the certificate do not follow each other.
    #[error("the certificate is of a block that does not follow this one")]
    Chain,
}

impl Certificate {
    /// Returns what each validator signed.
    fn message(&self, genesis: &Hash, header: &Hash) -> Vec<u8> {
        let domain = [b"idlewild chain ", &genesis.as_bytes()[..], b"_FINALIZE"].concat();
        let mut message = Vec::with_capacity(128);
        varint(domain.len() as u64, &mut message);
        message.extend_from_slice(&domain);
        for number in [self.epoch, self.view, self.parent_view] {
            varint(number, &mut message);
        }
        message.extend_from_slice(header.as_bytes());
        message
    }

    /// Signs the header with this hash in the first view, as validators whose keys somebody has.
    ///
    /// # Errors
    /// [`CertificateError::Votes`] when a key is no validator's.
    pub fn sign(
        genesis: &Genesis,
        header: &Hash,
        keys: &[SecretKey],
    ) -> Result<Self, CertificateError> {
        let mut certificate = Self { epoch: 0, view: 1, parent_view: 0, votes: List::default() };
        let message = certificate.message(&genesis.hash(), header);
        let vote = |key: &SecretKey| {
            let place = genesis.place_of(&key.public()).ok_or(CertificateError::Votes)?;
            let validator = u32::try_from(place).map_err(|_| CertificateError::Votes)?;
            Ok(Vote { validator, signature: key.sign_bytes(&message) })
        };
        let votes = keys.iter().map(vote).collect::<Result<_, _>>()?;
        certificate.votes = List::new(votes).map_err(|_| CertificateError::Votes)?;
        Ok(certificate)
    }

    /// Checks that enough validators of the network signed the header with this hash.
    ///
    /// # Errors
    /// [`CertificateError::Votes`] when they did not.
    pub fn verify(&self, genesis: &Genesis, header: &Hash) -> Result<(), CertificateError> {
        let message = self.message(&genesis.hash(), header);
        let mut voted = BTreeSet::new();
        for vote in self.votes.iter() {
            let place = usize::try_from(vote.validator).unwrap_or(usize::MAX);
            let validator = genesis.validators.get(place).ok_or(CertificateError::Votes)?;
            let is_good = validator.key.verify_bytes(&message, &vote.signature).is_ok();
            if !is_good || !voted.insert(place) {
                return Err(CertificateError::Votes);
            }
        }
        if voted.len() < quorum(genesis.validators.len()) {
            return Err(CertificateError::Votes);
        }
        Ok(())
    }
}

/// Returns how many of so many validators make a block final; none do if there are none.
#[must_use]
pub const fn quorum(validators: usize) -> usize {
    match validators.checked_sub(1) {
        Some(others) => validators.saturating_sub(others / 3),
        None => usize::MAX,
    }
}

/// Writes a number, seven bits a byte, the lowest first.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// A header that is shown to be final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// The headers after it, up to the one with a certificate; mostly none, as most have their
    /// own.
    pub later: List<Header, LATER_HEADERS_MAX>,
    /// The certificate of the last of these headers.
    pub certificate: Certificate,
}
codec!(struct CertifiedHeader { header, later, certificate });

impl CertifiedHeader {
    /// Checks that the network's validators made the header final.
    ///
    /// # Errors
    /// [`CertificateError`] when they did not.
    pub fn verify(&self, genesis: &Genesis) -> Result<(), CertificateError> {
        let mut last = (self.header.height, self.header.hash());
        for header in self.later.iter() {
            if header.parent != last.1 || Some(header.height) != last.0.checked_add(1) {
                return Err(CertificateError::Chain);
            }
            last = (header.height, header.hash());
        }
        self.certificate.verify(genesis, &last.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BeaconShare, Parameters, Text, Time, Validator};

    fn keys() -> Vec<SecretKey> {
        (1..=4).map(|byte| SecretKey::from_bytes([byte; 32])).collect()
    }

    fn genesis() -> Genesis {
        let validators = keys().iter().map(|key| Validator::without_beacon(key.public())).collect();
        Genesis {
            network: Text::new("test").unwrap(),
            time: Time::from_ms(0),
            rules: 1,
            token: false,
            validators: Validator::in_order(validators).unwrap(),
            issuers: List::default(),
            wallets: List::default(),
            parameters: Parameters::local(),
        }
    }

    fn header(height: u64, parent: Hash) -> Header {
        Header {
            height,
            time: Time::from_ms(height),
            parent,
            leader: 0,
            share: BeaconShare::from_bytes([0; 48]),
            body: Hash::ZERO,
            state: Hash::ZERO,
        }
    }

    #[test]
    fn a_header_is_final_by_signatures_of_it_or_of_one_that_follows() {
        let genesis = genesis();
        let first = header(1, genesis.hash());
        let second = header(2, first.hash());
        let sign = |header: &Header, keys: &[SecretKey]| {
            Certificate::sign(&genesis, &header.hash(), keys).unwrap()
        };
        let certified = |later: Vec<Header>, certificate| CertifiedHeader {
            header: first,
            later: List::new(later).unwrap(),
            certificate,
        };
        let three = &keys()[1..];
        assert_eq!(certified(vec![], sign(&first, three)).verify(&genesis), Ok(()));
        assert_eq!(certified(vec![second], sign(&second, three)).verify(&genesis), Ok(()));
        let votes = Err(CertificateError::Votes);
        assert_eq!(certified(vec![], sign(&first, &three[1..])).verify(&genesis), votes);
        assert_eq!(certified(vec![], sign(&second, three)).verify(&genesis), votes);
        assert_eq!(certified(vec![second], sign(&first, three)).verify(&genesis), votes);
        let twice: Vec<_> = keys().into_iter().chain(keys()).collect();
        assert_eq!(certified(vec![], sign(&first, &twice)).verify(&genesis), votes);
        let mut elsewhere = genesis.clone();
        elsewhere.time = Time::from_ms(1);
        assert_eq!(certified(vec![], sign(&first, three)).verify(&elsewhere), votes);
        let chain = Err(CertificateError::Chain);
        let other = header(2, Hash::ZERO);
        assert_eq!(certified(vec![other], sign(&other, three)).verify(&genesis), chain);
        let skips = header(3, first.hash());
        assert_eq!(certified(vec![skips], sign(&skips, three)).verify(&genesis), chain);
    }

    #[test]
    fn more_than_two_thirds_are_needed() {
        let needed = [(0, usize::MAX), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (7, 5), (10, 7)];
        for (validators, votes) in needed {
            assert_eq!(quorum(validators), votes, "of {validators}");
        }
    }

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        let written = |number| {
            let mut out = Vec::new();
            varint(number, &mut out);
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [0x7f]);
        assert_eq!(written(300), [0xac, 0x02]);
        assert_eq!(written(u64::MAX).len(), 10);
    }
}
