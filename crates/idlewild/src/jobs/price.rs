//! What a job may cost where its tenant does not say.
//!
//! Anybody may post an offer at any price, and an order locks what the dearest of the offers that
//! it names could take. So without a bound a tenant reaches no further than
//!
//! ```text
//! reach = 2 · min(what each offer that fits could take)
//! ```
//!
//! over those that could take it now and those whose slots are taken: nobody becomes the cheapest
//! by being the only one that is free. Whoever asks for more is paid more only where `--max-price`
//! says so.

use api::{Client, OfferView, Quote, QuotedOffer};
use types::{Amount, OfferTerms, OrderTerms, Time, Truth, Units, constraint::evaluate};

use crate::failure::{Exit, Failure, Outcome};
use crate::output::usd;

/// How many times as much as the cheapest an offer may take.
const DEARER_MAX: u64 = 2;

/// Offers on one page.
const PAGE_OFFERS: usize = 200;

/// Pages that are looked through for an offer that fits, cheapest first.
const PAGES_MAX: usize = 8;

/// What the market asks for a job.
#[derive(Debug)]
pub(crate) struct Market {
    /// Who could take it now.
    pub(crate) quote: Quote,
    /// What the cheapest busy offers that fit could take; none are looked for where the quote
    /// leaves nobody out.
    standing: Vec<Amount>,
    /// What the tenant allows, if it says so.
    max_price: Option<Amount>,
}

impl Market {
    /// Looks at what stands beside a quote for the order `asked`.
    pub(crate) async fn look(
        client: &Client,
        asked: &OrderTerms,
        max_price: Option<Amount>,
        quote: Quote,
    ) -> Outcome<Self> {
        let mut standing = Vec::new();
        let mut after = None;
        // A bound needs nobody beside it, and a quote that has somebody no reason to wait.
        let is_enough = max_price.is_some() && !quote.offers.is_empty();
        let pages = if quote.excluded.is_empty() || is_enough { 0 } else { PAGES_MAX };
        for _ in 0..pages {
            let page = client.offers(asked.class, after, Some(PAGE_OFFERS)).await?;
            let now = api::now();
            standing.extend(page.items.iter().filter_map(|view| could_take(asked, view, now)));
            after = page.next;
            if after.is_none() || !standing.is_empty() {
                break;
            }
        }
        Ok(Self { quote, standing, max_price })
    }

    /// Returns the most that the job may cost; nothing if nobody could take it, free or not.
    pub(crate) fn reach(&self) -> Option<Amount> {
        let quoted = self.quote.offers.iter().map(total);
        let asked = quoted.chain(self.standing.iter().copied());
        self.max_price.or_else(|| asked.min().map(dearest_beside))
    }

    /// Returns whether somebody within reach fits, and may be free later.
    pub(crate) fn is_worth_waiting(&self) -> bool {
        self.reach().is_some_and(|reach| self.standing.iter().any(|price| *price <= reach))
    }

    /// Returns the quoted offers within reach, cheapest first.
    pub(crate) fn within_reach(&self) -> impl Iterator<Item = &QuotedOffer> {
        let reach = self.reach().unwrap_or(Amount::ZERO);
        self.quote.offers.iter().filter(move |offer| total(offer) <= reach)
    }

    /// Returns what the cheapest of those beyond reach could take.
    pub(crate) fn beyond_reach(&self) -> Option<Amount> {
        let reach = self.reach()?;
        self.quote.offers.iter().map(total).filter(|price| *price > reach).min()
    }

    /// Returns the failure of a job that nobody took in time.
    pub(crate) fn nobody_free(&self) -> Failure {
        let hint = "allow more time with --wait, or come back later";
        match (self.reach(), self.beyond_reach()) {
            (Some(reach), Some(beyond)) => {
                let text = format!("nobody who asks at most {} was free for the job", usd(reach));
                Failure::new(Exit::NoProvider, text).hint(format_args!(
                    "allow more time with --wait, or a higher price with --max-price: the \
                     cheapest that is free may cost {}",
                    usd(beyond)
                ))
            }
            _ => Failure::new(Exit::NoProvider, "nobody was free for the job").hint(hint),
        }
    }
}

/// Returns the most that an offer could cost, its audits included.
pub(crate) fn total(offer: &QuotedOffer) -> Amount {
    offer.price.saturating_plus(offer.premium)
}

fn dearest_beside(cheapest: Amount) -> Amount {
    Amount::new(cheapest.get().saturating_mul(DEARER_MAX)).unwrap_or(Amount::MAX)
}

/// Returns what a busy offer could take for an order that it fits. One that is free is in the
/// quote, or may take nothing.
fn could_take(asked: &OrderTerms, view: &OfferView, now: Time) -> Option<Amount> {
    let OfferTerms { terms, claims, rate, minimum, slots, .. } = &view.offer.terms;
    if view.leased < *slots {
        return None;
    }
    let class = classes::find(asked.class)?;
    let units: Units = class.units_max(asked.spec.as_slice()).ok()?;
    class.matches(asked.spec.as_slice(), terms.as_slice(), claims).ok()?;
    if evaluate(&asked.constraint, claims, now) != Truth::True {
        return None;
    }
    let price = rate.cost(units).ok()?.max(*minimum);
    price.plus(asked.audit.premium(price).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use api::Exclusion;
    use classes::Class;
    use types::{
        Address, AuditTerms, Blob, Claims, Duration, List, Offer, OfferId, PublicKey, Rate,
    };

    use super::*;

    fn amount(micro: u64) -> Amount {
        Amount::new(micro).unwrap()
    }

    fn provider() -> Address {
        Address::new(PublicKey::from_bytes([7; 32]))
    }

    fn market(free: &[u64], standing: &[u64], max_price: Option<u64>) -> Market {
        let quoted = |price: &u64| QuotedOffer {
            offer: OfferId::from_bytes([1; 32]),
            provider: provider(),
            rate: Rate::default(),
            price: amount(*price),
            premium: Amount::ZERO,
        };
        let excluded = vec![Exclusion { reason: "any".to_owned(), offers: 1 }];
        let quote = Quote { offers: free.iter().map(quoted).collect(), excluded, examined: 9 };
        let standing = standing.iter().copied().map(amount).collect();
        Market { quote, standing, max_price: max_price.map(amount) }
    }

    fn check(market: &Market, expected: (&[u64], Option<u64>, Option<u64>)) {
        let named: Vec<u64> = market.within_reach().map(|offer| total(offer).get()).collect();
        let found = (market.reach().map(Amount::get), market.beyond_reach().map(Amount::get));
        assert_eq!((named.as_slice(), found.0, found.1), expected, "{market:?}");
    }

    #[test]
    fn nobody_much_dearer_than_the_cheapest_is_named() {
        check(&market(&[5, 9, 10], &[], None), (&[5, 9, 10], Some(10), None));
        check(&market(&[5, 11, 1_000_000], &[], None), (&[5], Some(10), Some(11)));
    }

    #[test]
    fn a_busy_offer_counts_for_the_cheapest() {
        let busy = market(&[99], &[5], None);
        check(&busy, (&[], Some(10), Some(99)));
        assert!(busy.is_worth_waiting());
        let text = busy.nobody_free().to_string();
        assert!(text.contains("asks at most $0.000010"), "{text}");
        assert!(text.contains("--max-price: the cheapest that is free may cost $0.000099"));
    }

    #[test]
    fn max_price_says_what_is_within_reach() {
        check(&market(&[5, 11, 99], &[1], Some(99)), (&[5, 11, 99], Some(99), None));
        assert!(!market(&[], &[100], Some(99)).is_worth_waiting());
        assert!(market(&[], &[99], Some(99)).is_worth_waiting());
    }

    #[test]
    fn where_nobody_fits_there_is_no_reach() {
        let empty = market(&[], &[], None);
        check(&empty, (&[], None, None));
        assert!(!empty.is_worth_waiting());
        assert!(empty.nobody_free().to_string().contains("nobody was free"));
    }

    #[test]
    fn the_largest_amount_has_no_double() {
        let most = Amount::MAX.get();
        check(&market(&[most], &[], None), (&[most], Some(most), None));
    }

    #[test]
    fn an_offer_that_is_full_has_a_price_and_one_that_does_not_fit_has_none() {
        let sample = classes::job::Job.sample(1);
        let asked = |constraint: &str| OrderTerms {
            class: classes::job::ID,
            spec: Blob::new(sample.spec.clone()).unwrap(),
            constraint: constraint.parse().unwrap(),
            budget: Amount::MAX,
            offers: List::default(),
            audit: AuditTerms::NONE,
            duration: Duration::from_seconds(1),
            expires: Time::from_ms(1),
        };
        let view = OfferView {
            offer: Offer {
                id: OfferId::from_bytes([1; 32]),
                provider: provider(),
                node_key: PublicKey::from_bytes([7; 32]),
                posted: Time::from_ms(0),
                capacity: Units::ZERO,
                terms: OfferTerms {
                    class: classes::job::ID,
                    terms: Blob::new(sample.terms.clone()).unwrap(),
                    claims: Claims::new(),
                    rate: Rate::default(),
                    minimum: amount(1_543),
                    slots: 1,
                    expires: Time::from_ms(1),
                },
            },
            leased: 1,
        };
        let price = |constraint| could_take(&asked(constraint), &view, Time::from_ms(0));
        assert_eq!(price("true"), Some(amount(1_543)));
        let free = OfferView { leased: 0, ..view.clone() };
        assert_eq!(could_take(&asked("true"), &free, Time::from_ms(0)), None, "not in the quote");
        assert_eq!(price("region == \"eu\""), None);
    }
}
