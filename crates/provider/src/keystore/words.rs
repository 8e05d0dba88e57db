//! Keys as 24 words.

use std::fmt;

use bip39::{Language, Mnemonic};
use thiserror::Error;
use types::SecretKey;
use zeroize::Zeroizing;

/// Words of a key.
const WORDS: usize = 24;

/// Why words are not those of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WordsError {
    /// There are more or fewer than 24.
    #[error("a key is {WORDS} words, not {0}")]
    Count(usize),
    /// One of them is not on the list; counted from 1.
    #[error("word {0} is not on the list")]
    Unknown(usize),
    /// They do not fit together.
    #[error("the words do not fit together: one is wrong, or they are in another order")]
    Checksum,
}

/// The 24 words of a key. They are wiped when dropped, and shown only by [`Words::expose`].
pub struct Words(Zeroizing<String>);

impl Words {
    /// Returns the words of a key.
    #[must_use]
    pub fn of(key: &SecretKey) -> Self {
        let entropy = Zeroizing::new(key.expose());
        let mnemonic = Mnemonic::from_entropy(entropy.as_slice()).expect("32 bytes are 24 words");
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        Self(text)
    }

    /// Takes words as they were written down, in any case and spacing.
    ///
    /// # Errors
    /// [`WordsError`] says what is wrong, as far as it can be known.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let count = text.split_whitespace().count();
        if count != WORDS {
            return Err(WordsError::Count(count));
        }
        let mut plain = Zeroizing::new(String::with_capacity(text.len()));
        for word in text.split_whitespace() {
            if !plain.is_empty() {
                plain.push(' ');
            }
            plain.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        }
        match Mnemonic::parse_in_normalized(Language::English, &plain) {
            Ok(_) => Ok(Self(plain)),
            Err(bip39::Error::UnknownWord(index)) => Err(WordsError::Unknown(index + 1)),
            Err(_) => Err(WordsError::Checksum),
        }
    }

    /// Returns the words, for their owner to write down.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &self.0)
            .expect("the words were checked when they were taken");
        let (bytes, _) = mnemonic.to_entropy_array();
        let bytes = Zeroizing::new(bytes);
        let secret = bytes.first_chunk().expect("33 bytes hold 32");
        SecretKey::from_bytes(*secret)
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_words_are_those_of_the_standard() {
        let words = Words::of(&SecretKey::from_bytes([0; 32]));
        let expected = [&["abandon"; 23][..], &["art"]].concat().join(" ");
        assert_eq!(words.expose(), expected);
        assert!(!format!("{words:?}").contains("abandon"));
    }

    #[test]
    fn wrong_words_are_named() {
        let check = |text: &str, expected| {
            assert_eq!(Words::parse(text).map(|_| ()).unwrap_err(), expected);
        };
        let all = Words::of(&SecretKey::from_bytes([0; 32])).expose().to_owned();
        check("", WordsError::Count(0));
        check(&all["abandon ".len()..], WordsError::Count(23));
        check(&all.replace("art", "artt"), WordsError::Unknown(24));
        check(&all.replace("art", "ability"), WordsError::Checksum);
    }

    proptest! {
        #[test]
        fn words_restore_the_key(bytes: [u8; 32]) {
            let key = SecretKey::from_bytes(bytes);
            let written = Words::of(&key).expose().to_uppercase().replace(' ', "\n ");
            prop_assert_eq!(Words::parse(&written).unwrap().key().expose(), bytes);
        }
    }
}
