//! A proof of what the state says of one subject, and its encoding.
//!
//! ```text
//! proof   = MARK ‖ subject ‖ header ‖ |tree| as u32 ‖ tree
//! subject = kind as u8 ‖ name            32 bytes; a receipt's place, as u32, follows its lease
//! header  = as `types::CertifiedHeader`  the header, what follows it, its certificate
//! tree    = as `ledger::map`             the way from the root to the row, and the row
//! ```
//!
//! Nothing in it is left unchecked: the genesis' hash is signed, the header is what is signed or
//! what that stands on, and the tree hashes to the root in the header under the subject's key.

use ledger::map::PROOF_BYTES_MAX;
use thiserror::Error;
use types::{
    Blob, CertificateError, CertifiedHeader, Decode, DecodeError, Encode, Genesis, Header, Reader,
    Subject,
};

use crate::{Record, RowError};

/// What an encoded proof begins with: its name and its version.
pub const MARK: [u8; 16] = *b"idlewild proof 1";

/// What shows to somebody who has the genesis what the state says of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Whose row it is.
    pub subject: Subject,
    /// The header whose state it is a row of.
    pub header: CertifiedHeader,
    /// The encoded proof against the state's root.
    pub tree: Blob<PROOF_BYTES_MAX>,
}

impl Encode for Proof {
    fn encode(&self, out: &mut Vec<u8>) {
        MARK.encode(out);
        self.subject.encode(out);
        self.header.encode(out);
        self.tree.encode(out);
    }
}

impl Decode for Proof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.array()? != MARK {
            return Err(DecodeError::Invalid("proof of the state"));
        }
        Ok(Self {
            subject: Subject::decode(reader)?,
            header: CertifiedHeader::decode(reader)?,
            tree: Blob::decode(reader)?,
        })
    }
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refuted {
    /// The header is not final in this network.
    #[error("the header of the state is not final in this network")]
    Header(#[source] CertificateError),
    /// The row is not shown to be in the state, nor not to be.
    #[error("what is said of the row is not shown to be so")]
    Row(#[source] RowError),
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Whose row it is.
    pub subject: Subject,
    /// The header of the state.
    pub header: Header,
    /// How many validators signed.
    pub votes: usize,
    /// The row, or nothing where the state has none.
    pub record: Option<Record>,
}

impl Proof {
    /// Checks all of it, and returns what it shows.
    ///
    /// # Errors
    /// [`Refuted`] names what does not hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<Proven, Refuted> {
        self.header.verify(genesis).map_err(Refuted::Header)?;
        let header = self.header.header;
        let record = Record::shown(&header.state, self.subject, self.tree.as_slice());
        Ok(Proven {
            subject: self.subject,
            header,
            votes: self.header.certificate.votes.len(),
            record: record.map_err(Refuted::Row)?,
        })
    }
}
