//! What a tenant pays that does not say how much, where a stranger asks for a lot.

use api::Client;
use types::{Action, Amount, ContentHash, Hash};

use crate::common::{Home, Up, example};
use crate::seller::{account, amount, key, offer_terms, order_of, seller, spec};

/// Pages of memory that any job here asks for.
const PAGES: u32 = 8_192;

/// Posts an offer with each of these minimums, by a provider that starts nothing, with one slot.
/// Takes the slot of the first `full`.
pub(crate) async fn post(up: &Up, minimums: &[Amount], full: usize) {
    let client = Client::new(&up.url()).unwrap();
    let genesis: Hash = up.started["genesis"].as_str().unwrap().parse().unwrap();
    let tenant = account(&client, genesis, key(1)).await;
    for (number, minimum) in (0_u8..).zip(minimums) {
        let mut terms = offer_terms(PAGES, *minimum);
        terms.slots = 1;
        let posted = seller(&client, genesis, 10 + 2 * number, terms).await;
        if usize::from(number) < full {
            let order = order_of(&spec(ContentHash::of(b"any"), None), posted.offer);
            tenant.submit(Action::PlaceOrder(Box::new(order))).await.unwrap();
        }
    }
}

fn hello() -> String {
    example("hello.wasm").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_offer_that_nobody_could_pay_keeps_no_job_from_running() {
    let up = Home::default().up();
    post(&up, &[amount(1_000_000 * Amount::MICRO)], 0).await;
    let quote = up.run(["quote", &hello(), "--private"]).with_code(0);
    assert!(quote.stdout.contains("without --max-price, `run` pays at most $0.01"), "{quote:?}");
    up.run(["run", &hello()]).with_code(0);
}

#[tokio::test]
async fn a_dear_offer_gains_nothing_by_the_cheap_ones_being_taken() {
    let up = Home::default().up_alone();
    post(&up, &[amount(1_543), amount(50 * Amount::MICRO)], 1).await;
    let ended = up.run(["run", &hello(), "--private", "--wait", "1s"]).with_code(125);
    for said in ["nobody who asks at most $0.01", "hint: ", "--max-price", "may cost $50.00"] {
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
    let leases = |up: &Up| {
        let shown = up.run(["ps", "--all", "--json"]).with_code(0).json();
        shown["leases"].as_array().unwrap().len()
    };
    assert_eq!(leases(&up), 0);

    // Whoever wants it can have it.
    let words = ["run", &hello(), "--private", "--max-price", "60", "--start-wait", "10ms"];
    let ended = up.run(words).with_code(125);
    assert!(ended.stderr.contains("it did not start"), "{ended:?}");
    assert!(leases(&up) > 0);
}
