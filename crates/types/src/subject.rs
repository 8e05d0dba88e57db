//! What can be proved of the state: a kind of row, and whose it is.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Address, AddressError, LeaseId, NotAnIdentifier, OfferId, OrderId};

/// What can be proved about the state; each is named by an identifier of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// An account's counters, by address.
    Account,
    /// What a wallet holds in credits, by address.
    Usd,
    /// What a wallet holds in token, by address.
    Wild,
    /// A provider, by address.
    Provider,
    /// An offer.
    Offer,
    /// An order.
    Order,
    /// A lease.
    Lease,
    /// A receipt, by `lease.sequence`.
    Receipt,
    /// The audit of a lease, by the lease.
    Audit,
    /// The dispute over a lease, by the lease.
    Dispute,
}

impl ProofKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Account,
        Self::Usd,
        Self::Wild,
        Self::Provider,
        Self::Offer,
        Self::Order,
        Self::Lease,
        Self::Receipt,
        Self::Audit,
        Self::Dispute,
    ];

    /// Returns the kind's name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Usd => "usd",
            Self::Wild => "wild",
            Self::Provider => "provider",
            Self::Offer => "offer",
            Self::Order => "order",
            Self::Lease => "lease",
            Self::Receipt => "receipt",
            Self::Audit => "audit",
            Self::Dispute => "dispute",
        }
    }
}

impl FromStr for ProofKind {
    type Err = NotASubject;

    fn from_str(text: &str) -> Result<Self, NotASubject> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(NotASubject::Kind)
    }
}

/// Why text names nothing that can be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotASubject {
    /// There is no such kind.
    #[error("nothing of this name is proved")]
    Kind,
    /// It is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is no identifier.
    #[error(transparent)]
    Identifier(#[from] NotAnIdentifier),
    /// It is no receipt's name.
    #[error("a receipt is named LEASE.SEQUENCE, such as that of a lease's first: LEASE.1")]
    Receipt,
}

/// A row of the state that can be proved to be there, or not to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An account's counters.
    Account(Address),
    /// What a wallet holds in credits.
    Usd(Address),
    /// What a wallet holds in token.
    Wild(Address),
    /// A provider.
    Provider(Address),
    /// An offer.
    Offer(OfferId),
    /// An order.
    Order(OrderId),
    /// A lease.
    Lease(LeaseId),
    /// A receipt of a lease, by its place in their sequence.
    Receipt(LeaseId, u32),
    /// The audit of a lease.
    Audit(LeaseId),
    /// The dispute over a lease.
    Dispute(LeaseId),
}
codec!(enum Subject {
    0 = Account(address),
    1 = Usd(address),
    2 = Wild(address),
    3 = Provider(address),
    4 = Offer(offer),
    5 = Order(order),
    6 = Lease(lease),
    7 = Receipt(lease, sequence),
    8 = Audit(lease),
    9 = Dispute(lease),
});

impl Subject {
    /// Reads the name of something of a kind.
    ///
    /// # Errors
    /// [`NotASubject`] when the text is no such name.
    pub fn new(kind: ProofKind, name: &str) -> Result<Self, NotASubject> {
        Ok(match kind {
            ProofKind::Account => Self::Account(name.parse()?),
            ProofKind::Usd => Self::Usd(name.parse()?),
            ProofKind::Wild => Self::Wild(name.parse()?),
            ProofKind::Provider => Self::Provider(name.parse()?),
            ProofKind::Offer => Self::Offer(name.parse()?),
            ProofKind::Order => Self::Order(name.parse()?),
            ProofKind::Lease => Self::Lease(name.parse()?),
            ProofKind::Receipt => {
                let (lease, digits) = name.split_once('.').ok_or(NotASubject::Receipt)?;
                let sequence = digits.parse().map_err(|_| NotASubject::Receipt)?;
                Self::Receipt(lease.parse()?, sequence)
            }
            ProofKind::Audit => Self::Audit(name.parse()?),
            ProofKind::Dispute => Self::Dispute(name.parse()?),
        })
    }

    /// Returns its kind.
    #[must_use]
    pub const fn kind(&self) -> ProofKind {
        match self {
            Self::Account(_) => ProofKind::Account,
            Self::Usd(_) => ProofKind::Usd,
            Self::Wild(_) => ProofKind::Wild,
            Self::Provider(_) => ProofKind::Provider,
            Self::Offer(_) => ProofKind::Offer,
            Self::Order(_) => ProofKind::Order,
            Self::Lease(_) => ProofKind::Lease,
            Self::Receipt(..) => ProofKind::Receipt,
            Self::Audit(_) => ProofKind::Audit,
            Self::Dispute(_) => ProofKind::Dispute,
        }
    }

    /// Returns its name among those of its kind.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Account(address)
            | Self::Usd(address)
            | Self::Wild(address)
            | Self::Provider(address) => address.to_string(),
            Self::Offer(offer) => offer.to_string(),
            Self::Order(order) => order.to_string(),
            Self::Lease(lease) | Self::Audit(lease) | Self::Dispute(lease) => lease.to_string(),
            Self::Receipt(lease, sequence) => format!("{lease}.{sequence}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().name(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decode, Encode, PublicKey};

    #[test]
    fn a_kind_and_a_name_say_what_it_is() {
        let address = Address::new(PublicKey::from_bytes([7; 32])).to_string();
        let identifier = "0a".repeat(32);
        let receipt = format!("{identifier}.3");
        let mut tags = Vec::new();
        for kind in ProofKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let name = match kind {
                ProofKind::Account | ProofKind::Usd | ProofKind::Wild | ProofKind::Provider => {
                    &address
                }
                ProofKind::Receipt => &receipt,
                _ => &identifier,
            };
            let subject = Subject::new(kind, name).unwrap();
            assert_eq!((subject.kind(), &subject.name()), (kind, name));
            assert_eq!(subject.to_string(), format!("{} {name}", kind.name()));
            let bytes = subject.to_bytes();
            assert_eq!(Subject::from_bytes(&bytes), Ok(subject));
            tags.push(bytes[0]);
        }
        assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn other_text_names_nothing() {
        let identifier = "0a".repeat(32);
        assert_eq!("money".parse::<ProofKind>(), Err(NotASubject::Kind));
        let address = Subject::new(ProofKind::Usd, &identifier);
        assert_eq!(address, Err(NotASubject::Address(AddressError)));
        let lease = Subject::new(ProofKind::Lease, &identifier[1..]);
        assert_eq!(lease, Err(NotASubject::Identifier(NotAnIdentifier)));
        for name in [identifier.clone(), format!("{identifier}."), format!("{identifier}.x")] {
            assert_eq!(Subject::new(ProofKind::Receipt, &name), Err(NotASubject::Receipt));
        }
    }
}
