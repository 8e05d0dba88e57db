//! What a tenant believes: proofs and its own keys, not the node and not the provider.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{Home, ended, example};

fn hello() -> String {
    example("hello.wasm").to_str().unwrap().to_owned()
}

/// A command that runs until it is killed.
struct Running {
    home: Home,
    process: Child,
}

impl Running {
    /// Starts a network in which nobody sells; returns it with what it said of itself.
    fn network(variables: &[(&str, &str)]) -> (Self, Value) {
        let home = Home::default();
        let mut command = home.command();
        command.args(["up", "--json", "--port", "0", "--no-provider"]);
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let started = serde_json::from_str(&line);
        (Self { home, process }, started.expect("`up` prints an object when it is up"))
    }

    /// Starts a provider with one slot and waits until its offer stands.
    fn provider(home: Home) -> Self {
        let mut command = home.command();
        command.args(["provide", "--slots", "1"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.any(|line| line.contains("selling as")), "the provider ended");
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Self { home, process }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already if this fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the names of an account's events, the first one first, with the lease of each.
fn history(tenant: &Home) -> Vec<(String, String)> {
    let words = ["wallet", "history", "--limit", "200", "--json"];
    let value = tenant.run(words).with_code(0).json();
    let mut events: Vec<(String, String)> = value["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let text = |name: &str| record["event"][name].as_str().unwrap_or_default().to_owned();
            (text("event"), text("lease"))
        })
        .collect();
    events.reverse();
    events
}

#[test]
fn a_part_that_is_not_started_is_closed_before_it_is_placed_again() {
    let (network, started) = Running::network(&[]);
    let tenant = &network.home;
    let home = Home::default();
    home.run(["join", started["url"].as_str().unwrap()]).with_code(0);
    let provider = Running::provider(home);
    provider.signal(Signal::STOP);
    let words = ["run", &hello(), "--start-wait", "100ms"];
    let ended = tenant.run(words).with_code(125);
    assert!(ended.stderr.contains("it did not start"), "{ended:?}");
    let events = history(tenant);
    let mut open = None;
    let mut leases = 0;
    for (name, lease) in &events {
        match name.as_str() {
            "lease-opened" => {
                assert_eq!(open, None, "placed again while a lease stood: {events:?}");
                (open, leases) = (Some(lease), leases + 1);
            }
            "lease-closed" => assert_eq!(open.take(), Some(lease), "{events:?}"),
            "lease-started" => panic!("{events:?}"),
            _ => {}
        }
    }
    assert!(leases > 1 && open.is_none(), "{events:?}");
    let held = tenant.run(["wallet", "--json"]).with_code(0).json()["usd"].clone();
    assert_eq!(held, 100.0, "nothing is owed for what did not start");

    // The provider comes back, too late for those and in time for the next.
    provider.signal(Signal::CONT);
    tenant.run(["run", &hello()]).with_code(0);
    let started = history(tenant).iter().filter(|(name, _)| name == "lease-started").count();
    assert_eq!(started, 1);
}

#[test]
fn parts_that_are_paid_are_kept_when_another_cannot_be() {
    let up = Home::default().up();
    let words = ["run", &hello(), "--split", "2", "--output", "results", "--bundle", "bundle"];
    let bundle = up.home.path("bundle");
    // A place that is taken shows before anything is paid.
    fs::create_dir(bundle.with_extension("1")).unwrap();
    let refused = up.run(words).with_code(125);
    assert!(refused.stderr.contains("bundle.1: it is a directory"), "{refused:?}");
    assert!(!up.home.path("results").exists());
    // One that leads nowhere does not.
    fs::remove_dir(bundle.with_extension("1")).unwrap();
    symlink(up.home.path("nowhere/bundle"), bundle.with_extension("1")).unwrap();
    let failed = up.run(words.iter().chain(&["--json"])).with_code(125);
    let value = failed.json();
    assert_eq!(value["ok"], false);
    let jobs = value["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 1, "{value}");
    assert!(up.home.path("results/0/hello.txt").is_file());
    assert!(bundle.with_extension("0").is_file());
    let unfetched = value["unfetched"].as_array().unwrap();
    assert_eq!(unfetched.len(), 1, "{value}");
    let lease = unfetched[0].as_str().unwrap();
    let hint = format!("idlewild lease fetch {lease}");
    assert!(failed.stderr.contains(&hint), "{failed:?}");

    let fetched = up.run(["lease", "fetch", lease, "--output", "late"]).with_code(0);
    assert!(fetched.stdout.contains("IDLEWILD_PART=1"), "{fetched:?}");
    assert!(up.home.path("late/hello.txt").is_file());
    let again = up.run(["lease", "fetch", lease, "--output", "late"]).with_code(2);
    assert!(again.stderr.contains("late is not empty"), "{again:?}");
}

#[test]
fn a_bundle_counts_for_a_network_that_is_known() {
    let up = Home::default().up();
    up.run(["run", &hello(), "--bundle", "lease.json"]).with_code(0);
    let genesis = up.started["genesis"].as_str().unwrap().to_owned();
    let stranger = Home::default();
    fs::copy(up.home.path("lease.json"), stranger.path("lease.json")).unwrap();

    let unknown = stranger.run(["verify", "lease.json"]).with_code(6);
    assert!(unknown.stdout.contains("network NOT CHECKED"), "{unknown:?}");
    let value = stranger.run(["verify", "lease.json", "--json"]).with_code(6).json();
    assert_eq!((&value["ok"], &value["network"]), (&false.into(), &"not checked".into()));
    let known = stranger.run(["verify", "lease.json", "--json", "--genesis", &genesis]);
    assert_eq!(known.with_code(0).json()["ok"], true);
    let other = "0".repeat(64);
    let other = stranger.run(["verify", "lease.json", "--genesis", &other]).with_code(1);
    assert!(other.stderr.contains("the lease is of the network"), "{other:?}");
    parameters_are_proven(&stranger, &genesis);
}

/// The fees are those of a row of the state, not of the genesis, and no other row passes.
fn parameters_are_proven(home: &Home, genesis: &str) {
    let text = fs::read_to_string(home.path("lease.json")).unwrap();
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let shown = bundle["parameters"].as_array().unwrap();
    assert_eq!(shown.len(), 1, "{shown:?}");
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|bundle| bundle["parameters"] = Value::Array(Vec::new()), "are not shown"),
        (
            |bundle| bundle["parameters"][0]["header"] = bundle["header"].clone(),
            "not of the block that closed it",
        ),
        (
            |bundle| bundle["parameters"][0]["row"] = bundle["lease"].clone(),
            "row of the parameters is not one",
        ),
        (
            |bundle| {
                let twice = bundle["parameters"][0].clone();
                bundle["parameters"].as_array_mut().unwrap().push(twice);
            },
            "not of the block before",
        ),
    ];
    for (change, reason) in changes {
        let mut changed = bundle.clone();
        change(&mut changed);
        // A lease may close in the newest block, whose header is then the right one.
        if changed == bundle {
            continue;
        }
        fs::write(home.path("changed.json"), changed.to_string()).unwrap();
        let ended = home.run(["verify", "changed.json", "--genesis", genesis]).with_code(1);
        assert!(ended.stderr.contains(reason), "{reason}: {ended:?}");
    }
}

#[test]
fn a_proof_of_the_state_holds_offline_from_a_genesis_file_and_a_changed_one_does_not() {
    let up = Home::default().up();
    let ran = up.run(["run", &hello(), "--json"]).with_code(0).json();
    let lease = ran["jobs"][0]["lease"].as_str().unwrap().to_owned();
    let home = &up.home;
    let genesis = up.run(["network", "genesis"]).with_code(0).stdout;
    fs::write(home.path("genesis.json"), &genesis).unwrap();
    let address = up.run(["wallet", "--json"]).with_code(0).json()["address"].clone();
    let address = address.as_str().unwrap();
    let receipt = format!("{lease}.1");
    let nowhere = "0".repeat(64);
    let mut shown = String::new();
    for (file, kind, name, present) in [
        ("account", "account", address, true),
        ("wallet", "usd", address, true),
        ("order", "order", &lease, true),
        ("lease", "lease", &lease, true),
        ("receipt", "receipt", &receipt, true),
        ("none", "dispute", &nowhere, false),
    ] {
        let made = up.run(["proof", kind, name, "--output", file]).with_code(0);
        let words = ["verify", file, "--genesis", "genesis.json"];
        let value = home.run(words.iter().copied().chain(["--json"])).with_code(0).json();
        assert_eq!((&value["ok"], &value["present"]), (&true.into(), &present.into()), "{value}");
        assert_eq!((&value["kind"], &value["name"]), (&kind.into(), &name.into()), "{value}");
        assert_eq!(value["record"].is_null(), !present, "{value}");
        let verified = home.run(words).with_code(0);
        assert_eq!((&verified.stdout, &verified.stderr), (&made.stdout, &made.stderr));
        shown.push_str(&verified.stdout);
        shown.push_str(&verified.stderr);
    }
    for line in ["is signed by 1 of 1 validator of", "holds on the network", "is absent on the"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let (home, code) = up.end();
    assert_eq!(code, 0);
    proofs_need_the_genesis_and_every_byte(&home);
}

fn proofs_need_the_genesis_and_every_byte(home: &Home) {
    let verify = |words: &[&str]| home.run(["verify"].iter().chain(words));
    let none = verify(&["lease"]).with_code(2);
    assert_snapshot!(none.stderr, @r"
    error: a proof is checked from the network's genesis
    hint: name the file that holds it with --genesis FILE; `idlewild network genesis` prints that of the joined network
    ");
    let absent = verify(&["lease", "--genesis", "absent.json"]).with_code(2);
    assert!(absent.stderr.contains("absent.json is not the genesis of a network"), "{absent:?}");
    let other = fs::read_to_string(home.path("genesis.json")).unwrap();
    let other = other.replacen("\"time\":", "\"time\":1", 1);
    fs::write(home.path("other.json"), other).unwrap();
    let other = verify(&["lease", "--genesis", "other.json"]).with_code(1);
    assert_snapshot!(other.stderr, @r"
    error: lease proves nothing in the network of other.json
      caused by: the header of the state is not final in this network
      caused by: the block is not signed by more than two thirds of the network's validators
    hint: do not believe it; get the proof again with `idlewild proof`
    ");
    let run = verify(&["lease", "--genesis", "genesis.json", "--program", "a.wasm"]).with_code(2);
    assert!(run.stderr.contains("this is no bundle"), "{run:?}");
    let bytes = fs::read(home.path("lease")).unwrap();
    for at in [17, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(home.path("changed"), changed).unwrap();
        let changed = verify(&["changed", "--genesis", "genesis.json"]).with_code(1);
        assert!(changed.stderr.contains("hint: do not believe it"), "{at}: {changed:?}");
    }
}

#[test]
fn a_machine_that_runs_a_network_sells_on_it_too() {
    let mut up = Home::default().up();
    // In the same data directory, with the key of the tenant.
    drop(Running::provider(std::mem::take(&mut up.home)));
}

#[test]
fn who_has_not_joined_is_told_for_which_network_it_signs() {
    let up = Home::default().up();
    let home = Home::default();
    home.run(["keys", "new", "--no-passphrase"]).with_code(0);
    let address = up.started["tenant"].as_str().unwrap();
    let words = ["wallet", "send", address, "1", "--node", &up.url()];
    let sent = home.run(words);
    let genesis = up.started["genesis"].as_str().unwrap();
    assert!(sent.stderr.contains(&format!("signing for local of genesis {genesis}")), "{sent:?}");
    home.run(["join", &up.url()]).with_code(0);
    let sent = home.run(words);
    assert!(!sent.stderr.contains("signing for"), "{sent:?}");
}

#[test]
fn keys_of_a_network_of_ones_own_have_the_passphrase_that_is_set() {
    let (network, _) = Running::network(&[("IDLEWILD_PASSPHRASE", "correct horse")]);
    let keys = network.home.run(["keys", "list", "--json"]).with_code(0).json();
    assert_eq!(keys["keys"][0]["name"], "main");
    assert_eq!(keys["keys"][0]["protection"], "passphrase", "{keys}");

    // One without a passphrase is made knowingly, and joining with it is warned of.
    let (network, started) = Running::network(&[]);
    let joined = network.home.run(["join", started["url"].as_str().unwrap()]).with_code(0);
    assert!(joined.stderr.contains("key main has no passphrase"), "{joined:?}");
}

#[test]
fn a_demo_removes_what_a_killed_one_left() {
    let home = Home::default();
    let left = home.path("idlewild-demo-left");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("lock"), "").unwrap();
    let scene = home.path("bad.scene");
    fs::write(&scene, "size 96 54\nnonsense\n").unwrap();
    let mut demo = home.command();
    demo.env("TMPDIR", home.directory.path()).args(["demo", "--scene", "bad.scene"]);
    ended(&demo.output().unwrap()).with_code(1);
    assert!(!left.exists());
    let names = fs::read_dir(home.directory.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.starts_with("idlewild-demo-")));
}
