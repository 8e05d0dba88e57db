//! Disks without room, and disks that cannot be written any more: a node says so and ends, and
//! goes on where it was once the disk is well.

use std::time::Duration;

use super::Cluster;
use super::load::Load;
use super::mount::Disk;

/// How long a node may take to find out, and to end.
const END_MAX: Duration = Duration::from_secs(40);
/// Transfers that show that a network goes on.
const SOME: usize = 100;
/// What a node says of a disk without room, and of one that cannot be written.
const FULL: [&str; 2] = ["error: no space left in ", "hint: free some, then start again"];
const READ_ONLY: [&str; 2] = [" is read-only\n", "hint: make it writable, then start again"];

/// Waits until a node has ended, and checks that it said why and what to do.
async fn ends(cluster: &mut Cluster, node: usize, said: [&str; 2]) {
    let service = &mut cluster.members[node].service;
    let code = service.ended(END_MAX).await;
    let log = service.said();
    assert_eq!(code, 1, "{log}");
    let data = cluster.members[node].data.parent().unwrap().to_str().unwrap();
    for text in said.into_iter().chain([data]) {
        assert!(log.contains(text), "{text:?} is not in\n{log}");
    }
    // What panics say may come before it.
    let from = log.rfind("\nerror: ").unwrap_or_default();
    println!("a node ended with {code} and said\n{}", log[from..].trim());
}

/// Fills the disk of a node of which the others can do without, if there are any.
async fn fills_up(mut cluster: Cluster, node: usize) {
    let Some(disk) = Disk::small(&cluster.members[node].data) else { return };
    cluster.start().await;
    let load = Load::begin(&cluster.clients()).await;
    load.goes_on(SOME).await;
    disk.fill();
    ends(&mut cluster, node, FULL).await;
    let has_others = cluster.members.len() > 1;
    if has_others {
        println!("the others acknowledged {SOME} more after {:?}", load.goes_on(SOME).await);
    }
    cluster.members[node].service.start();
    ends(&mut cluster, node, FULL).await;
    disk.free();
    disk.remount("ro");
    cluster.members[node].service.start();
    ends(&mut cluster, node, READ_ONLY).await;
    disk.remount("rw");
    if has_others {
        load.goes_on(SOME).await;
    }
    cluster.members[node].start().await;
    load.goes_on(SOME).await;
    let record = load.end().await;
    let height = cluster.agree(&record).await;
    println!("{} transfers acknowledged and 0 lost, in {height} blocks", record.count());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_without_room_says_so_and_the_others_go_on() {
    fills_up(Cluster::make(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_without_room_says_so_and_goes_on_once_there_is_some() {
    fills_up(Cluster::alone(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_whose_disk_becomes_read_only_says_so_and_the_others_go_on() {
    let node = 2;
    let mut cluster = Cluster::make();
    let image = cluster.home.path("disk.img");
    let Some(disk) = Disk::breakable(&cluster.members[node].data, &image) else { return };
    cluster.start().await;
    let load = Load::begin(&cluster.clients()).await;
    load.goes_on(SOME).await;
    disk.fail();
    ends(&mut cluster, node, READ_ONLY).await;
    println!("the others acknowledged {SOME} more after {:?}", load.goes_on(SOME).await);
    cluster.members[node].service.start();
    ends(&mut cluster, node, READ_ONLY).await;
    disk.repair();
    cluster.members[node].start().await;
    load.goes_on(SOME).await;
    let record = load.end().await;
    let height = cluster.agree(&record).await;
    println!("{} transfers acknowledged and 0 lost, in {height} blocks", record.count());
    cluster.end().await;
}
