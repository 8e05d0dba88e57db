//! The beacon: randomness in every block that nobody can choose.
//!
//! ```text
//! beacon(0) = BLAKE3("idlewild beacon" ‖ 0 ‖ genesis)
//! share(h)  = BLS signature of beacon(h - 1) by the leader of block h      48 bytes, on G1
//! beacon(h) = BLAKE3("idlewild beacon" ‖ 0 ‖ share(h))
//! ```
//!
//! A key has exactly one valid signature of a message, so a leader cannot choose among shares. All
//! it can do is to skip its turn. Keys come with a proof that their owner knows the secret.

use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_cryptography::bls12381::primitives::{
    group::{G1, G2, Private, Scalar},
    ops,
    variant::MinSig,
};
use zeroize::Zeroizing;

use crate::block::{Hash, Header, SHARE_BYTES, hash};

/// Bytes of a public key.
pub const BEACON_KEY_BYTES: usize = 96;
/// What keeps shares apart from other signatures of the same keys.
const NAMESPACE: &[u8] = b"idlewild beacon";
/// What keeps beacon keys apart from others that are derived from the same secret.
const DERIVATION: &[u8] = b"idlewild beacon key";

/// A validator's public key for the beacon, with the proof that somebody knows its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeaconKey {
    /// The key, on G2.
    pub key: [u8; BEACON_KEY_BYTES],
    /// The proof: a signature of the key by itself.
    pub proof: [u8; SHARE_BYTES],
}

/// A secret key for the beacon.
pub(crate) struct Secret(Private);

impl Secret {
    /// Derives the key that belongs to a validator's secret.
    pub(crate) fn derive(secret: &[u8; 32]) -> Self {
        let secret = Zeroizing::new(*secret);
        Self(Private::new(Scalar::map(DERIVATION, secret.as_ref())))
    }

    fn public(&self) -> BeaconKey {
        let key = ops::compute_public::<MinSig>(&self.0);
        let proof = ops::sign_proof_of_possession::<MinSig>(&self.0, NAMESPACE);
        BeaconKey { key: bytes(&key.encode()), proof: bytes(&proof.encode()) }
    }

    /// Returns the share of a block whose parent has `beacon`.
    pub(crate) fn share(&self, beacon: &Hash) -> [u8; SHARE_BYTES] {
        bytes(&ops::sign_message::<MinSig>(&self.0, NAMESPACE, beacon).encode())
    }
}

fn bytes<const N: usize>(encoded: &[u8]) -> [u8; N] {
    encoded.try_into().expect("points of a group have one length")
}

impl BeaconKey {
    /// Returns the key that belongs to a validator's secret.
    #[must_use]
    pub fn derive(secret: &[u8; 32]) -> Self {
        Secret::derive(secret).public()
    }

    /// Returns the key if it is a point of the group whose secret somebody knows.
    pub(crate) fn open(&self) -> Option<Verifier> {
        let key = G2::decode(Copying(&self.key[..])).ok()?;
        let proof = G1::decode(Copying(&self.proof[..])).ok()?;
        ops::verify_proof_of_possession::<MinSig>(&key, NAMESPACE, &proof).ok()?;
        Some(Verifier(key))
    }

    /// Returns whether it is a key whose secret somebody knows.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.open().is_some()
    }
}

/// A public key that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Verifier(G2);

impl Verifier {
    /// Returns whether a share is this key's signature of `beacon`.
    pub(crate) fn accepts(&self, beacon: &Hash, share: &[u8; SHARE_BYTES]) -> bool {
        let Ok(share) = G1::decode(Copying(&share[..])) else { return false };
        ops::verify_message::<MinSig>(&self.0, NAMESPACE, beacon, &share).is_ok()
    }
}

/// Returns the beacon of a block.
#[must_use]
pub fn beacon(header: &Header) -> Hash {
    if header.height == 0 {
        hash("idlewild beacon", &header.parent)
    } else {
        hash("idlewild beacon", &header.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_one_key_and_one_beacon() {
        let [one, other] = [[1; 32], [2; 32]].map(|secret| Secret::derive(&secret));
        let share = one.share(&[7; 32]);
        assert_eq!(share, one.share(&[7; 32]), "there is one signature only");
        let key = one.public().open().unwrap();
        assert!(key.accepts(&[7; 32], &share));
        assert!(!key.accepts(&[8; 32], &share));
        assert!(!key.accepts(&[7; 32], &other.share(&[7; 32])));
        assert!(!key.accepts(&[7; 32], &[0; SHARE_BYTES]));
    }

    #[test]
    fn a_key_needs_the_proof_of_its_own_secret() {
        let [one, other] = [[1; 32], [2; 32]].map(|secret| BeaconKey::derive(&secret));
        assert!(one.is_valid());
        assert!(!BeaconKey { proof: other.proof, ..one }.is_valid());
        assert!(!BeaconKey { key: [0; BEACON_KEY_BYTES], ..one }.is_valid());
    }

    /// Networks that exist depend on it.
    #[test]
    fn keys_and_shares_keep_their_form() {
        let pin = |bytes: &[u8]| blake3::hash(bytes).to_hex().as_str()[..16].to_owned();
        let key = BeaconKey::derive(&[1; 32]);
        let share = Secret::derive(&[1; 32]).share(&[7; 32]);
        let pins = [pin(&key.key), pin(&key.proof), pin(&share)];
        assert_eq!(pins, ["0bfda7b027b627f0", "beee0e0c7f56b8e1", "dc3500142544d581"]);
    }
}
