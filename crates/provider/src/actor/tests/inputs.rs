//! What jobs read: for whom it is taken, how long it may be, and what is started without it.

use types::manifest::{Entry, EntryKind, RelativePath};

use super::*;

/// Returns how often content was asked for.
fn fetched(market: &FakeMarket, hash: ContentHash) -> usize {
    market.world().fetches.iter().filter(|(asked, _)| *asked == hash).count()
}

#[tokio::test(start_paused = true)]
async fn what_is_here_for_one_tenant_is_not_taken_for_another() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(1), FakeRunner::default());
    let secret = market.world().show(2, b"secret");
    let reading = |stdin| Spec { stdin: Some(stdin), ..spec() };
    add(&market, pending_of(1, 2, &reading(secret)));
    let mut first = start(data.path(), &market, &runner);
    first.status.wait_for(|status| status.done == 1).await.unwrap();

    // Another tenant has the program, too, and the names of what the first gave and got.
    market.world().show(3, PROGRAM);
    let result = Manifest::default().hash();
    add(&market, pending_of(2, 3, &reading(secret)));
    add(&market, pending_of(3, 3, &Spec { input: Some(result), ..spec() }));
    first.status.wait_for(|status| status.failed == 2).await.unwrap();
    assert_eq!((*runner.runs.lock().unwrap(), market.world().receipts.len()), (1, 1));

    // Once it is shown for that tenant it is taken from the disk, after a restart as well.
    market.world().show(3, b"secret");
    add(&market, pending_of(4, 3, &reading(secret)));
    first.status.wait_for(|status| status.done == 2).await.unwrap();
    first.task.abort();
    let _ = first.task.await;
    add(&market, pending_of(5, 2, &reading(secret)));
    add(&market, pending_of(6, 3, &reading(secret)));
    let mut second = start(data.path(), &market, &runner);
    second.status.wait_for(|status| status.done == 2).await.unwrap();
    assert_eq!(fetched(&market, secret), 1);
    assert_eq!(fetched(&market, ContentHash::of(PROGRAM)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_as_long_as_its_manifest_says_or_not_taken() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(0), FakeRunner::default());
    let mut running = start(data.path(), &market, &runner);
    let mut number = 0;
    let mut order = |content: &[u8], bytes: u64| {
        number += 1;
        let mut world = market.world();
        let hash = world.show(2, content);
        let path = RelativePath::new("file").unwrap();
        let kind = EntryKind::File { hash, bytes };
        let manifest = Manifest::new(vec![Entry { path, kind }]).unwrap();
        let input = Some(world.show(2, &manifest.to_bytes()));
        drop(world);
        add(&market, pending_of(number, 2, &Spec { input, ..spec() }));
        hash
    };
    let bounds = |hash| -> Vec<u64> {
        let world = market.world();
        let asked = world.fetches.iter().filter(|(asked, _)| *asked == hash);
        asked.map(|(_, bound)| *bound).collect()
    };
    let longer = order(&[1; 20], 0);
    running.status.wait_for(|status| status.failed == 1).await.unwrap();
    assert_eq!(bounds(longer), [0]);
    let shorter = order(&[2; 20], 21);
    running.status.wait_for(|status| status.failed == 2).await.unwrap();
    assert_eq!(bounds(shorter), [21]);
    // All inputs of a job are at most a hundred bytes here.
    let large = order(&[3; 20], 100);
    running.status.wait_for(|status| status.failed == 3).await.unwrap();
    assert!(bounds(large).is_empty());
    assert_eq!(*runner.runs.lock().unwrap(), 0);
    order(&[4; 20], 20);
    running.status.wait_for(|status| status.done == 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_names_a_program_that_nobody_has_is_started_only_for_the_offers_sake() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(0), FakeRunner::default());
    let program = ContentHash::of(b"it never was");
    for number in 1..=5 {
        add(&market, pending_of(number, 2, &Spec { program, ..spec() }));
    }
    let mut running = start(data.path(), &market, &runner);
    running.status.wait_for(|status| status.failed == 5).await.unwrap();
    market.until(|world| world.notices == 3).await;
    assert_eq!(market.world().states(is_pending), 2);
    assert_eq!(*runner.runs.lock().unwrap(), 0);
    assert!(fetched(&market, program) > 5, "it is looked for again");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_not_started_before_its_inputs_are_there() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(0), FakeRunner::default());
    let program = ContentHash::of(b"late");
    add(&market, pending_of(1, 2, &Spec { program, ..spec() }));
    let mut running = start(data.path(), &market, &runner);
    market.until(|world| world.fetches.len() > 5).await;
    assert_eq!(market.world().states(is_pending), 1);
    market.world().show(2, b"late");
    running.status.wait_for(|status| status.done == 1).await.unwrap();
    assert_eq!(running.status.borrow().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_started_while_its_inputs_are_on_their_way() {
    let data = tempfile::tempdir().unwrap();
    let (mut market, runner) = (market(1), FakeRunner::default());
    let transfers = Arc::new(Notify::new());
    market.transfers = Some(Arc::clone(&transfers));
    let mut running = start(data.path(), &market, &runner);
    market.until(|world| world.states(is_pending) == 0).await;
    assert_eq!(*runner.runs.lock().unwrap(), 0);
    transfers.notify_one();
    running.status.wait_for(|status| status.done == 1).await.unwrap();
}
