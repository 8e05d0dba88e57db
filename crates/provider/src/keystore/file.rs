//! The file of one key: what is in it, how it is sealed.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use serde::{Deserialize, Serialize};
use types::{
    Address, Encode, SecretKey,
    text::{from_hex, to_hex},
};
use zeroize::{Zeroize, Zeroizing};

use super::{KeyEntry, KeyName, KeystoreError, Passphrase, Protection};

/// The version of the form.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// What it costs to try a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// About a tenth of a second on one core.
    pub(super) const STANDARD: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// The most that a file may ask for, so that a forged one cannot use up the machine.
    const MOST: Self = Self { memory_kib: 1024 * 1024, passes: 16, lanes: 8 };
    #[cfg(test)]
    pub(super) const CHEAP: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };

    const fn is_bounded(self) -> bool {
        self.memory_kib <= Self::MOST.memory_kib
            && self.passes <= Self::MOST.passes
            && self.lanes <= Self::MOST.lanes
    }
}

/// The file of a key. The secret in it is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    version: u8,
    address: Address,
    protection: Sealing,
    /// The secret in hexadecimal: sealed, or without a passphrase as it is.
    secret: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Sealing {
    None {},
    Passphrase { memory_kib: u32, passes: u32, lanes: u32, salt: String, nonce: String },
}

/// How a secret is sealed, read.
struct Seal {
    cost: Cost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl KeyFile {
    pub(super) fn seal(
        key: &SecretKey,
        passphrase: &Passphrase,
        cost: Cost,
    ) -> Result<Self, KeystoreError> {
        let address = key.address();
        let secret = Zeroizing::new(key.expose());
        if passphrase.is_empty() {
            let secret = to_hex(secret.as_slice());
            return Ok(Self { version: VERSION, address, protection: Sealing::None {}, secret });
        }
        let mut seal = Seal { cost, salt: [0; SALT_BYTES], nonce: [0; NONCE_BYTES] };
        getrandom::fill(&mut seal.salt)?;
        getrandom::fill(&mut seal.nonce)?;
        let cipher = seal.cipher(passphrase).expect("the costs in use are valid");
        let extra = seal.extra(&address);
        let payload = Payload { msg: secret.as_slice(), aad: &extra };
        let sealed = cipher
            .encrypt(&Nonce::from(seal.nonce), payload)
            .expect("32 bytes are within the cipher's bound");
        let protection = Sealing::Passphrase {
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            salt: to_hex(&seal.salt),
            nonce: to_hex(&seal.nonce),
        };
        Ok(Self { version: VERSION, address, protection, secret: to_hex(&sealed) })
    }

    /// Returns the key, or nothing if the passphrase is wrong or the file was changed.
    pub(super) fn unseal(&self, passphrase: &Passphrase) -> Option<SecretKey> {
        let stored = Zeroizing::new(from_hex(&self.secret)?);
        let secret = match &self.protection {
            Sealing::None {} => stored,
            sealing @ Sealing::Passphrase { .. } => {
                let seal = sealing.read().ok()??;
                let extra = seal.extra(&self.address);
                let payload = Payload { msg: stored.as_slice(), aad: &extra };
                let cipher = seal.cipher(passphrase)?;
                Zeroizing::new(cipher.decrypt(&Nonce::from(seal.nonce), payload).ok()?)
            }
        };
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(secret.as_slice()).ok()?);
        let key = SecretKey::from_bytes(*bytes);
        (key.address() == self.address).then_some(key)
    }

    pub(super) const fn protection(&self) -> Protection {
        match self.protection {
            Sealing::None {} => Protection::None,
            Sealing::Passphrase { .. } => Protection::Passphrase,
        }
    }

    pub(super) const fn entry(&self, name: KeyName) -> KeyEntry {
        KeyEntry { name, address: self.address, protection: self.protection() }
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).expect("strings and numbers are JSON");
        json.push(b'\n');
        Zeroizing::new(json)
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let file: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if file.version != VERSION {
            return Err(format!("version {} is not known here", file.version));
        }
        file.protection.read()?;
        Ok(file)
    }
}

impl Sealing {
    /// Reads how the secret is sealed; nothing if it is not.
    fn read(&self) -> Result<Option<Seal>, String> {
        let Self::Passphrase { memory_kib, passes, lanes, salt, nonce } = self else {
            return Ok(None);
        };
        let cost = Cost { memory_kib: *memory_kib, passes: *passes, lanes: *lanes };
        let salt = from_hex(salt).and_then(|salt| salt.try_into().ok());
        let nonce = from_hex(nonce).and_then(|nonce| nonce.try_into().ok());
        match (cost.is_bounded(), salt, nonce) {
            (true, Some(salt), Some(nonce)) => Ok(Some(Seal { cost, salt, nonce })),
            (false, _, _) => Err("opening it would cost too much".to_owned()),
            _ => Err("salt or nonce is malformed".to_owned()),
        }
    }
}

impl Seal {
    fn cipher(&self, passphrase: &Passphrase) -> Option<ChaCha20Poly1305> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(memory_kib, passes, lanes, Some(key.len())).ok()?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, key.as_mut_slice())
            .ok()?;
        Some(ChaCha20Poly1305::new(&Key::from(*key)))
    }

    /// Returns everything else in the file, which is sealed with the secret.
    fn extra(&self, address: &Address) -> Vec<u8> {
        let mut bytes = b"idlewild key 1\0".to_vec();
        address.encode(&mut bytes);
        self.cost.memory_kib.encode(&mut bytes);
        self.cost.passes.encode(&mut bytes);
        self.cost.lanes.encode(&mut bytes);
        self.salt.encode(&mut bytes);
        self.nonce.encode(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_asks_for_too_much_is_refused() {
        let key = SecretKey::from_bytes([5; 32]);
        let passphrase = Passphrase::new("p".to_owned());
        let file = KeyFile::seal(&key, &passphrase, Cost::CHEAP).unwrap();
        let json = String::from_utf8(file.to_json().to_vec()).unwrap();
        assert!(KeyFile::from_json(json.as_bytes()).is_ok());
        let refused = |from: &str, to: &str| {
            assert!(json.contains(from), "{json}");
            KeyFile::from_json(json.replace(from, to).as_bytes()).err().unwrap()
        };
        assert!(refused("\"memory_kib\": 8", "\"memory_kib\": 4294967295").contains("too much"));
        assert!(refused("\"version\": 1", "\"version\": 2").contains("version 2"));
        assert!(refused("\"version\": 1", "\"version\": 1, \"x\": 0").contains("unknown field"));
    }

    #[test]
    fn the_standard_cost_seals_and_opens() {
        let key = SecretKey::from_bytes([6; 32]);
        let passphrase = Passphrase::new("correct horse".to_owned());
        let file = KeyFile::seal(&key, &passphrase, Cost::STANDARD).unwrap();
        assert_eq!(file.unseal(&passphrase).unwrap().expose(), key.expose());
        assert!(!String::from_utf8_lossy(&file.to_json()).contains(&to_hex(&key.expose())));
    }
}
