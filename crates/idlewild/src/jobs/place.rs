//! From a specification to an order that somebody takes.

use std::time::{Duration, Instant};

use api::{Client, ClientError, Quote, QuotedOffer, SubmitError};
use classes::job::Spec;
use types::{
    Action, Amount, Blob, Encode, List, OfferId, OrderId, OrderTerms, Reject,
    limits::ORDER_OFFERS_MAX,
};

use super::price::{Market, total};
use super::{Jobs, Step, Terms, follow};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Signer;
use crate::output::{one_line, usd};

/// How long somebody who waits for a free slot looks by itself before its order joins the
/// ledger's queue.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The longest wait between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What to do about a budget that nothing can be had for.
const TOO_CHEAP: &str = "raise --max-price: nothing costs as little on this network";

/// Returns an order for a job that names these offers.
pub(crate) fn order_terms(
    spec: &Spec,
    terms: &Terms,
    duration: Duration,
    budget: Amount,
    offers: Vec<OfferId>,
) -> Outcome<OrderTerms> {
    let spec = Blob::new(spec.to_bytes()).map_err(|_| {
        Failure::usage("arguments and environment together are too long for an order")
            .hint("put them into a file of --input")
    })?;
    let ms = |length: Duration| {
        types::Duration::from_ms(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
    };
    Ok(OrderTerms {
        class: classes::job::ID,
        spec,
        constraint: terms.constraint.clone(),
        budget,
        offers: List::new(offers).expect("at most as many offers as an order may name"),
        audit: terms.audit,
        duration: ms(duration),
        expires: api::now().after(ms(terms.order_wait.max(Duration::from_secs(1)))),
    })
}

/// Asks who could serve an order.
pub(crate) async fn ask_for_quote(client: &Client, terms: &OrderTerms) -> Outcome<Quote> {
    client.quote(terms).await.map_err(|error| {
        let refused = refusal(&error);
        let failure = Failure::from(error).context("cannot get a quote");
        match refused {
            Some(Reject::OrderBudget) => failure.exit(Exit::Refused).hint(TOO_CHEAP),
            Some(Reject::OrderDuration) => {
                failure.exit(Exit::Refused).hint("choose another --timeout")
            }
            Some(_) => failure.exit(Exit::Refused),
            None => failure,
        }
    })
}

/// Returns why the ledger would refuse an order, if that is why there is no quote.
fn refusal(error: &ClientError) -> Option<Reject> {
    let ClientError::Problem { code, .. } = error else { return None };
    Reject::ALL.iter().copied().find(|reject| reject.code() == code)
}

/// What became of an attempt to place an order.
enum Placed {
    /// It is leased.
    Leased(OrderId),
    /// Nobody took it, but somebody in this market may soon.
    Busy(Box<Market>),
}

impl Jobs {
    /// Places an order for a job; it is leased, or waits in the ledger's queue. Nothing is placed
    /// after another job has failed, or the tenant wants no more.
    pub(super) async fn place(
        &self,
        index: usize,
        spec: &Spec,
        duration: Duration,
        step: &follow::Step<'_>,
    ) -> Outcome<Option<OrderId>> {
        let _turn = self.turn.lock().await;
        let mut news = self.news.subscribe();
        let began = Instant::now();
        let mut told = false;
        let look_max = LOOK_MAX.min(self.terms.order_wait);
        loop {
            if self.state().ending {
                return Ok(None);
            }
            match self.take(index, spec, duration).await? {
                Placed::Leased(order) => return Ok(Some(order)),
                Placed::Busy(market) if began.elapsed() >= look_max => {
                    return self.queue(spec, duration, &market).await.map(Some);
                }
                Placed::Busy(market) if !told => {
                    let (reach, beyond) = (market.reach(), market.beyond_reach());
                    step(Step::Waiting { reach, beyond });
                    told = true;
                }
                Placed::Busy(_) => {}
            }
            news.wait(LOOK_EVERY, |_| true).await;
        }
    }

    /// Returns what the market asks now.
    async fn market(&self, spec: &Spec, duration: Duration) -> Outcome<Market> {
        let most = self.terms.max_price;
        let budget = most.unwrap_or(Amount::MAX);
        let asked = order_terms(spec, &self.terms, duration, budget, Vec::new())?;
        let quote = ask_for_quote(&self.signer.client, &asked).await?;
        Market::look(&self.signer.client, &asked, most, quote).await
    }

    /// Orders from offers that a fresh quote names and that are within reach.
    async fn take(&self, index: usize, spec: &Spec, duration: Duration) -> Outcome<Placed> {
        let market = self.market(spec, duration).await?;
        let offers = self.ranked(index, &market);
        let Some(budget) = offers.iter().map(|offer| total(offer)).max() else {
            if !market.is_worth_waiting() {
                // Who was busy at the quote may be free since.
                let again = self.market(spec, duration).await?;
                if again.quote.offers.is_empty() && !again.is_worth_waiting() {
                    return Err(nobody(&again.quote));
                }
            }
            return Ok(Placed::Busy(Box::new(market)));
        };
        let names = offers.iter().map(|offer| offer.offer).collect();
        let terms = order_terms(spec, &self.terms, duration, budget, names)?;
        if self.state().ending {
            return Ok(Placed::Busy(Box::new(market)));
        }
        match self.order(terms).await {
            Ok(order) => Ok(Placed::Leased(order)),
            Err(error) if error.reject() == Some(Reject::OrderUnmatched) => {
                Ok(Placed::Busy(Box::new(market)))
            }
            Err(error) => Err(self.refused(error, budget).await),
        }
    }

    /// Returns the offers to name: those of providers that let no job down if there are any; and
    /// among equally cheap ones, another first for each job.
    fn ranked<'q>(&self, index: usize, market: &'q Market) -> Vec<&'q QuotedOffer> {
        let state = self.state();
        let (mut offers, shunned): (Vec<_>, Vec<_>) =
            market.within_reach().partition(|offer| !state.shunned.contains(&offer.provider));
        if offers.is_empty() {
            offers = shunned;
        }
        offers.truncate(ORDER_OFFERS_MAX);
        spread(&mut offers, index);
        offers
    }

    /// Places an order that names no offers and waits in the ledger for one.
    async fn queue(&self, spec: &Spec, duration: Duration, market: &Market) -> Outcome<OrderId> {
        let budget = market.reach().ok_or_else(|| nobody(&market.quote))?;
        let terms = order_terms(spec, &self.terms, duration, budget, Vec::new())?;
        match self.order(terms).await {
            Ok(order) => Ok(order),
            Err(error) => Err(self.refused(error, budget).await),
        }
    }

    /// Places an order. It is noted before it is sent: however this ends, what may have become of
    /// it can be closed.
    async fn order(&self, terms: OrderTerms) -> Result<OrderId, SubmitError> {
        let mut noted = None;
        let note = |id| {
            let order = OrderId::from(id);
            if let Some(refused) = noted.replace(order) {
                self.forget(refused);
            }
            self.note(order);
        };
        let action = Action::PlaceOrder(Box::new(terms));
        let placed = self.signer.submitter.submit_noted(action, note).await;
        if let (Err(SubmitError::Refused(_)), Some(refused)) = (&placed, noted) {
            self.forget(refused);
        }
        placed.map(|accepted| OrderId::from(accepted.id))
    }

    /// Returns the failure of a job whose order nobody took while it stood.
    pub(super) async fn untaken(&self, spec: &Spec, duration: Duration) -> Failure {
        match self.market(spec, duration).await {
            Ok(market) => market.nobody_free(),
            Err(failure) => failure,
        }
    }

    async fn refused(&self, error: SubmitError, budget: Amount) -> Failure {
        let funds = error.reject();
        let failure = Failure::from(error).context("the order was refused");
        match funds {
            Some(Reject::FundsShort | Reject::AccountUnknown) => {
                short_of_funds(&self.signer, budget).await
            }
            Some(Reject::OrderBudget) => failure.hint(TOO_CHEAP),
            _ => failure,
        }
    }
}

/// Returns the failure of a tenant that cannot pay.
async fn short_of_funds(signer: &Signer, budget: Amount) -> Failure {
    let address = signer.address();
    let held = match signer.client.account(address).await {
        Ok(view) => view.balances.usd,
        Err(error) => return error.into(),
    };
    let text = format!("a job may cost up to {} and {address} holds {}", usd(budget), usd(held));
    Failure::new(Exit::Refused, text).hint(
        "get funds (`idlewild wallet` says how), or lower the bounds with --fuel or --max-price",
    )
}

/// Returns the failure of an order that nobody can serve.
fn nobody(quote: &Quote) -> Failure {
    if quote.examined == 0 {
        return Failure::new(Exit::NoProvider, "nobody offers to run jobs on this network")
            .hint("offer this machine with `idlewild provide`");
    }
    let mut text = match quote.examined {
        1 => "the one offer there is cannot take the job".to_owned(),
        number => format!("none of {number} offers can take the job"),
    };
    for exclusion in quote.excluded.iter().take(4) {
        let reason = one_line(&exclusion.reason);
        text.push_str(&format!("\n{}: {reason}", exclusion.offers));
    }
    Failure::new(Exit::NoProvider, text)
        .hint("ask for less with --require, --memory or --fuel, or pay more with --max-price")
}

/// Rotates the equally cheap offers at the front, so that jobs spread over them.
fn spread(offers: &mut [&QuotedOffer], index: usize) {
    let Some(best) = offers.first().map(|offer| total(offer)) else { return };
    let equals = offers.iter().take_while(|offer| total(offer) == best).count();
    if let Some(front) = offers.get_mut(..equals) {
        front.rotate_left(index % equals);
    }
}

#[cfg(test)]
mod tests {
    use types::{Address, PublicKey};

    use super::*;

    fn offer(number: u8, price: u64) -> QuotedOffer {
        QuotedOffer {
            offer: OfferId::from_bytes([number; 32]),
            provider: Address::new(PublicKey::from_bytes([number; 32])),
            rate: types::Rate::default(),
            price: Amount::new(price).unwrap(),
            premium: Amount::ZERO,
        }
    }

    #[test]
    fn equally_cheap_offers_take_turns() {
        let offers = [offer(1, 5), offer(2, 5), offer(3, 5), offer(4, 9)];
        let order = |index| {
            let mut ranked: Vec<&QuotedOffer> = offers.iter().collect();
            spread(&mut ranked, index);
            ranked.iter().map(|offer| offer.offer.as_bytes()[0]).collect::<Vec<_>>()
        };
        assert_eq!(order(0), [1, 2, 3, 4]);
        assert_eq!(order(1), [2, 3, 1, 4]);
        assert_eq!(order(5), [3, 1, 2, 4]);
    }

    #[test]
    fn a_refusal_is_known_by_its_code_and_not_by_its_words() {
        let problem = |code: &str, message: &str| ClientError::Problem {
            status: 422,
            code: code.to_owned(),
            message: message.to_owned(),
            hint: String::new(),
        };
        let budget = Reject::OrderBudget.code();
        assert_eq!(refusal(&problem(budget, "")), Some(Reject::OrderBudget));
        assert_eq!(refusal(&problem("node/busy", &format!("({budget})"))), None);
    }

    #[test]
    fn nobody_says_why() {
        let excluded = vec![api::Exclusion { reason: "it is too small".to_owned(), offers: 3 }];
        let failure = nobody(&Quote { offers: Vec::new(), excluded, examined: 3 });
        assert_eq!(failure.code(), 5);
        assert!(failure.to_string().contains("none of 3 offers"), "{failure}");
        assert!(failure.to_string().contains("3: it is too small"), "{failure}");
    }
}
