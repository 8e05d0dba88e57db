//! Why the ledger refuses a transaction: stable codes, each with a one-line meaning.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the rejections once: number, variant, code, meaning.
macro_rules! rejections {
    ($($number:literal $variant:ident $code:literal $meaning:literal;)*) => {
        /// Why a transaction was refused. A refused transaction changes nothing, not even its
        /// signer's nonce.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        pub enum Reject {
            $(#[doc = $meaning] #[serde(rename = $code)] $variant,)*
        }

        codec!(enum Reject { $($number = $variant),* });

        impl Reject {
            /// Every rejection, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the stable code, such as `funds/short`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// Returns the one-line meaning.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

rejections! {
    0 AccountUnknown "account/unknown" "the signer has no account on this network; it needs funds first";
    1 NonceStale "nonce/stale" "the nonce was used already";
    2 NonceAhead "nonce/ahead" "an earlier nonce of the signer is missing";
    3 TransactionExpired "transaction/expired" "the transaction's expiry has passed";
    4 TransactionLifetime "transaction/lifetime" "the transaction's expiry is further ahead than the network allows";
    5 AssetAbsent "asset/absent" "this network has no token";
    6 AmountZero "amount/zero" "the amount is zero";
    7 FundsShort "funds/short" "the signer's wallet holds less than this needs";
    8 NotIssuer "issuer/not-one" "the signer is not an issuer of this asset";
    9 IssuerLimit "issuer/limit" "the issuer would have issued more than its limit";
    10 NotProvider "provider/not-one" "the signer is neither a provider nor a provider's node key";
    11 ProviderExists "provider/exists" "the signer is a provider already";
    12 NodeKeyTaken "provider/node-key-taken" "the node key belongs to a provider already";
    13 StakeShort "provider/stake-short" "the provider's stake is below the network's minimum";
    14 StakeInUse "provider/stake-in-use" "the stake is needed while the provider has offers, leases, audits to do or open votes";
    15 UnbondingsFull "provider/unbondings-full" "too many unbondings wait already";
    16 ClassUnknown "class/unknown" "no such class of service";
    17 OfferMalformed "offer/malformed" "the class does not understand the offer's terms, a claim is not declared, or the capacity is beyond counting";
    18 OfferMinimum "offer/minimum" "the offer's minimum is below the network's, or its rate below the class's";
    19 OfferSlots "offer/slots" "the offer has no slots, or more than 4096";
    20 OfferExpiry "offer/expiry" "the offer's expiry has passed or is too far ahead";
    21 OffersFull "offer/full" "the provider has as many offers as the network allows";
    22 OfferUnknown "offer/unknown" "no such offer, or not the signer's";
    23 OrderMalformed "order/malformed" "the class does not understand the order's specification";
    24 OrderExpiry "order/expiry" "the order's expiry has passed or is too far ahead";
    25 OrderDuration "order/duration" "the lease would be too short or too long";
    26 OrderAudit "order/audit" "the audit terms are below the class's minimum, or contradict themselves";
    27 OrderBudget "order/budget" "the budget is below the least that anything costs here";
    28 OrdersFull "order/full" "the account has as many open orders as the network allows";
    29 OrderUnknown "order/unknown" "no such open order, or not the signer's";
    30 OrderUnmatched "order/unmatched" "none of the offers that the order names can take it now";
    31 LeaseUnknown "lease/unknown" "no such lease";
    32 LeaseNotYours "lease/not-yours" "the lease is another's";
    33 LeaseState "lease/state" "the lease's state does not allow this";
    34 NoticeShort "lease/notice-short" "the notice is shorter than the network's, or beyond the lease's end";
    35 ReceiptKey "receipt/key" "the receipt is not signed with the lease's node key";
    36 ReceiptCountersignature "receipt/countersignature" "the receipt needs the tenant's countersignature, or has another's";
    37 ReceiptSequence "receipt/sequence" "the receipt does not follow the last one";
    38 ReceiptRange "receipt/range" "the receipt's range overlaps the last one, or is outside the lease";
    39 ReceiptMalformed "receipt/malformed" "the class does not understand the receipt's usage";
    40 ReceiptUsage "receipt/usage" "the receipt's usage is below the last one's, or above the lease's maximum";
    41 VoteWeight "vote/weight" "the signer has no vote, or too little stake to open one";
    42 VoteChange "vote/change" "the change is not possible, or takes effect too early";
    43 VoteTwice "vote/twice" "the signer has voted for this already";
    44 VotesFull "vote/full" "too many changes are being voted on";
    45 AmountRange "amount/range" "an amount would leave its range";
    46 Invariant "ledger/invariant" "the ledger found itself inconsistent and did nothing; please report this";
    47 AuditorMalformed "auditor/malformed" "the class does not understand the auditor's terms, or its machine is too slow to audit";
    48 AuditorBarred "auditor/barred" "the provider missed an audit or was found cheating, and cannot be drawn for a while";
    49 AuditorUnknown "auditor/unknown" "the provider is no auditor of this class";
    50 AuditState "audit/state" "the lease's audit does not wait for this now";
    51 AuditNotYours "audit/not-yours" "the signer was not drawn for this round, or did not commit";
    52 AuditTwice "audit/twice" "the signer has done this already";
    53 AuditCommitment "audit/commitment" "the finding is not what the signer committed to";
    54 DisputeState "dispute/state" "there is no such dispute, or the lease's state does not allow one";
    55 DisputeUnreadable "dispute/unreadable" "nobody may read the lease's inputs, so nobody can judge its work";
    56 DisputeNotYours "dispute/not-yours" "the signer is no validator, or not the one whose move it is";
    57 DisputeTwice "dispute/twice" "the validator has ruled already";
    58 DisputeArgument "dispute/argument" "the dispute does not take this move now";
    59 OrderUnjudgeable "order/unjudgeable" "validators could not do so much work once more in the time of a dispute; ask for less, or let nobody but the provider read the inputs";
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.meaning(), self.code())
    }
}

impl std::error::Error for Reject {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_in_form() {
        let codes: BTreeSet<_> = Reject::ALL.iter().map(|reject| reject.code()).collect();
        assert_eq!(codes.len(), Reject::ALL.len());
        for code in codes {
            let (subject, problem) = code.split_once('/').expect("subject/problem");
            let in_form = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            };
            assert!(in_form(subject) && in_form(problem), "{code}");
        }
    }
}
