//! What becomes of an order whose answer does not come, or that nobody waits for any more.
//!
//! Between the command and the node stands something that sees when an order is on its way. The
//! provider starts nothing, so that what is closed is free.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use api::{Client, LeaseQuery};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use types::{Hash, LeaseState};

use crate::common::{Ended, Home, Up, ended, example};
use crate::prices::post;
use crate::seller::{amount, offer_terms, seller};

/// How a submission begins.
const SUBMISSION: &[u8] = b"POST /v1/transactions";

/// How it begins to ask what an order would find.
const QUOTE: &[u8] = b"POST /v1/quote";

/// What becomes of submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The node gets them, and the answer to the first does not come.
    FirstHeld,
    /// The node gets them, and the answers are lost.
    Unanswered,
    /// They are lost.
    Lost,
    /// They pass; what is told is that a quote was asked for.
    Quoted,
}

/// Stands between commands and a node.
struct Between {
    url: String,
    /// Says that the node answered a submission, or a quote.
    answered: Receiver<()>,
    /// What is held is held as long as this is.
    _hold: Sender<()>,
}

impl Between {
    fn new(up: &Up, fate: Fate) -> Self {
        let node = up.url().strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, answered) = channel();
        let (hold, held) = channel();
        let held = Arc::new(Mutex::new(Some(held)));
        // Ends with the process of the test.
        thread::spawn(move || {
            for command in listener.incoming() {
                let (command, node) = (command.unwrap(), TcpStream::connect(&node).unwrap());
                let (tell, held) = (tell.clone(), Arc::clone(&held));
                thread::spawn(move || pass(&command, &node, fate, &tell, &held));
            }
        });
        Self { url, answered, _hold: hold }
    }

    /// Waits until the node answered: a command that ended before is not waited for.
    fn wait(&self) {
        self.answered.recv_timeout(Duration::from_secs(60)).expect("the command submits something");
    }
}

/// Passes on what either side says until one of them ends.
fn pass(
    command: &TcpStream,
    node: &TcpStream,
    fate: Fate,
    tell: &Sender<()>,
    held: &Mutex<Option<Receiver<()>>>,
) {
    let submits = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            copy(command, node, |bytes| {
                let told = if fate == Fate::Quoted { QUOTE } else { SUBMISSION };
                submits.store(bytes.starts_with(told), Ordering::SeqCst);
                fate != Fate::Lost || !bytes.starts_with(SUBMISSION)
            });
        });
        copy(node, command, |_| {
            if !submits.load(Ordering::SeqCst) {
                return true;
            }
            // Who does not listen any more has seen enough.
            let _ = tell.send(());
            let first = held.lock().unwrap().take();
            match (fate, first) {
                (Fate::FirstHeld, Some(held)) => held.recv().is_ok(),
                (Fate::FirstHeld, None) | (Fate::Quoted, _) => true,
                _ => false,
            }
        });
    });
}

/// Copies bytes while they may pass, and ends both connections then.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut may_pass: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !may_pass(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // They may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// A network with a provider that starts nothing.
async fn network() -> Up {
    let up = Home::default().up_alone();
    let genesis: Hash = up.started["genesis"].as_str().unwrap().parse().unwrap();
    let client = Client::new(&up.url()).unwrap();
    seller(&client, genesis, 10, offer_terms(8_192, amount(1_543))).await;
    up
}

fn run(up: &Up, between: &Between) -> Command {
    let mut command = up.home.command();
    command.env("IDLEWILD_NODE", &between.url).args(["run", "--json"]);
    command.arg(example("hello.wasm")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns the leases that the ledger knows, which must all be closed.
async fn closed_leases(up: &Up) -> Vec<String> {
    let client = Client::new(&up.url()).unwrap();
    let leases = client.leases(&LeaseQuery::default()).await.unwrap().items;
    let is_closed = |state: LeaseState| matches!(state, LeaseState::Closed { .. });
    assert!(leases.iter().all(|view| is_closed(view.lease.state)), "{leases:?}");
    leases.iter().map(|view| view.lease.id.to_string()).collect()
}

fn named(ended: &Ended, field: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    let names = value[field].as_array().unwrap_or_else(|| panic!("{ended:?}"));
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_order_that_is_on_its_way_at_ctrl_c_is_closed() {
    let up = network().await;
    let between = Between::new(&up, Fate::FirstHeld);
    let process = run(&up, &between).spawn().unwrap();
    between.wait();
    kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    let ended = ended(&process.wait_with_output().unwrap()).with_code(130);
    let closed = closed_leases(&up).await;
    assert_eq!(closed.len(), 1, "{ended:?}");
    assert_eq!(named(&ended, "given_up"), closed);
}

#[tokio::test]
async fn jobs_that_wait_for_a_provider_at_ctrl_c_are_no_success() {
    let up = Home::default().up_alone();
    post(&up, &[amount(1_543)], 1).await;
    let between = Between::new(&up, Fate::Quoted);
    let mut command = run(&up, &between);
    let process = command.args(["--wait", "1h", "--split", "2"]).spawn().unwrap();
    // Who asks again found everybody busy.
    for _ in 0..2 {
        between.wait();
    }
    kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    let ended = ended(&process.wait_with_output().unwrap()).with_code(130);
    let shown: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(shown["ok"], false, "{ended:?}");
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_closed_or_named() {
    let up = network().await;
    let between = Between::new(&up, Fate::Unanswered);
    let ended = ended(&run(&up, &between).output().unwrap()).with_code(125);
    let closed = closed_leases(&up).await;
    assert_eq!(closed.len(), 1, "{ended:?}");
    // That it is closed was not answered either.
    assert_eq!(named(&ended, "unknown"), closed);
    assert!(ended.stderr.contains(&format!("`idlewild lease {}`", closed[0])), "{ended:?}");
}

#[tokio::test]
async fn an_order_that_never_came_to_the_node_is_named() {
    let up = network().await;
    let between = Between::new(&up, Fate::Lost);
    let ended = ended(&run(&up, &between).output().unwrap()).with_code(125);
    assert!(closed_leases(&up).await.is_empty());
    assert_eq!(named(&ended, "unknown").len(), 1, "{ended:?}");
}
