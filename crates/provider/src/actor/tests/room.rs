//! Room for results: who gets it, and what becomes of those who do not.

use super::*;
use crate::config::result_bytes;

/// Ends a lease without a receipt.
fn close_unpaid(market: &FakeMarket, number: u8) {
    let mut world = market.world();
    let view = world.leases.get_mut(&LeaseId::from_bytes([number; 32])).unwrap();
    let at = api::now();
    view.lease.state = LeaseState::Closed { at, reason: CloseReason::NetworkEnded };
}

/// Starts an agent with room for one result, which that of a lease takes up: no node takes it.
async fn start_full(data: &Path, market: &FakeMarket, runner: &FakeRunner) -> Running {
    market.world().is_full = true;
    let room = result_bytes(spec().limits.output_bytes);
    let mut running = start_with_room(data, market, runner, room);
    running.status.wait_for(|status| status.delivering == 1).await.unwrap();
    running
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_for_its_result_is_not_started() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(1), FakeRunner::default());
    let mut small = start_with_room(data.path(), &market, &runner, 1);
    small.status.wait_for(|status| status.failed == 1).await.unwrap();
    assert_eq!(market.world().states(is_pending), 1);
    assert_eq!((*runner.runs.lock().unwrap(), market.world().notices), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_pays_for_makes_room_at_once() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(1), FakeRunner::default());
    let mut running = start_full(data.path(), &market, &runner).await;
    close_unpaid(&market, 1);
    market.world().is_full = false;
    add(&market, pending(2));
    running.status.wait_for(|status| status.done + status.failed == 1).await.unwrap();
    assert_eq!(running.status.borrow().failed, 0);
    running.status.wait_for(|status| status.kept == 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn results_of_others_that_take_up_the_room_take_no_offer_down() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(1), FakeRunner::default());
    let mut running = start_full(data.path(), &market, &runner).await;
    (2..=5).for_each(|number| add(&market, pending(number)));
    running.status.wait_for(|status| status.failed == 4).await.unwrap();
    market.until(|world| world.notices == 2).await;
    assert_eq!(market.world().states(is_pending), 2);
    assert_eq!(*runner.runs.lock().unwrap(), 1);
}
