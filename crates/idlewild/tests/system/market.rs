//! A tenant and a provider on a network of one machine, through the real binary.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::{Home, Up, example};
use serde_json::Value;

fn hello() -> String {
    example("hello.wasm").to_str().unwrap().to_owned()
}

/// Changes a JSON text at a pointer.
fn tamper(bundle: &Value, pointer: &str, change: impl Fn(&mut Value)) -> Value {
    let mut changed = bundle.clone();
    change(changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")));
    changed
}

/// Changes the last digit of hexadecimal text.
fn turn_digit(value: &mut Value) {
    let mut text = value.as_str().unwrap().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    *value = Value::from(text);
}

#[test]
fn a_program_runs_and_brings_everything_home() {
    let up = Home::default().up();
    let home = &up.home;
    fs::create_dir_all(home.path("in/below")).unwrap();
    fs::write(home.path("in/below/a.txt"), "some input").unwrap();
    fs::write(home.path("words"), "one line\n").unwrap();
    let ended = up.run([
        "run",
        &hello(),
        "--input",
        "in",
        "--stdin",
        "words",
        "--output",
        "results",
        "--env",
        "GREETING=well met",
        "--max-price",
        "0.5",
        "--",
        "--exit",
        "7",
        "friend",
    ]);
    let ended = ended.with_code(7);
    for shown in ["friend", "GREETING", "well met", "input below", "stdin: 1 lines"] {
        assert!(ended.stdout.contains(shown), "{shown}: {ended:?}");
    }
    assert!(home.path("results/hello.txt").is_file());
    let provider = up.started["provider"].as_str().unwrap();
    for said in ["ended with code 7", "Mfuel", "for $", provider, "inputs seen by"] {
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
    money_is_where_it_belongs(&up);
}

/// Waits until what a lease costs is paid, and returns what classes supply then.
fn released(up: &Up) -> Value {
    let began = Instant::now();
    loop {
        let supply = up.run(["supply", "--json"]).with_code(0).json();
        let running = &supply["classes"][0]["running"];
        if running["supply"]["earning"].as_u64().unwrap() > 0 {
            return supply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{supply}");
    }
}

fn money_is_where_it_belongs(up: &Up) {
    let leases = up.run(["ps", "--all", "--json"]).with_code(0).json();
    let paid = leases["leases"][0]["paid_usd"].as_f64().unwrap();
    assert!(paid >= 0.001_543, "{leases}");
    let wallet = up.run(["wallet", "--json"]).with_code(0).json();
    let held = wallet["usd"].as_f64().unwrap();
    assert!((held + paid - 100.0).abs() < 1e-9, "{wallet}");
    let id = leases["leases"][0]["lease"].as_str().unwrap().to_owned();
    let shown = up.run(["lease", &id]).with_code(0);
    for line in ["closed (provider/completed)", "work root", "to the provider"] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }
    let supply = &released(up)["classes"][0]["running"]["supply"];
    // Chance decides whether the work is checked.
    let lease = up.run(["lease", &id, "--json"]).with_code(0).json();
    let verified = match lease["lease"]["check"]["is"].as_str() {
        Some("passed") => &supply["earning"],
        _ => &Value::from(0),
    };
    assert_eq!(supply["verified"], *verified, "{lease}");
    let offers = up.run(["offers", "--claims"]).with_code(0);
    assert!(offers.stdout.contains("cpu.cores"), "{offers:?}");
    up.run(["wallet", "history"]).with_code(0);
}

#[test]
fn parts_run_in_parallel_and_keep_their_results_apart() {
    let up = Home::default().up();
    let words =
        ["run", &hello(), "--split", "3", "--output", "results", "--json", "--", "part-{part}"];
    let value = up.run(words).with_code(0).json();
    let jobs = value["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 3);
    for (part, job) in jobs.iter().enumerate() {
        let stdout = job["stdout"].as_str().unwrap();
        assert!(stdout.contains(&format!("part-{part}")), "{job}");
        assert!(stdout.contains(&format!("IDLEWILD_PART={part}")), "{job}");
        assert!(up.home.path(&format!("results/{part}/hello.txt")).is_file());
    }
}

#[test]
fn a_bundle_proves_a_lease_offline_and_a_changed_one_does_not() {
    let up = Home::default().up();
    let program = hello();
    up.run(["run", &program, "--bundle", "lease.json"]).with_code(0);
    let (home, code) = up.end();
    assert_eq!(code, 0);

    // The network is gone; everything is in the file.
    let verified = home.run(["verify", "lease.json", "--json"]).with_code(0).json();
    let names: Vec<&str> = verified["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    let all = ["header", "inclusion", "lease", "receipts", "transactions", "money", "work"];
    assert_eq!(names, all);
    for engine in ["compiler", "interpreter"] {
        let words = ["verify", "lease.json", "--program", &program, "--engine", engine];
        let again = home.run(words).with_code(0);
        assert!(again.stdout.contains("the same work root"), "{again:?}");
    }
    let other = example("sha256.wasm");
    let words = ["verify", "lease.json", "--program", other.to_str().unwrap()];
    let ended = home.run(words).with_code(2);
    assert!(ended.stderr.contains("not the program of this lease"), "{ended:?}");
    changed_bundles_prove_nothing(&home);
}

fn changed_bundles_prove_nothing(home: &Home) {
    let text = fs::read_to_string(home.path("lease.json")).unwrap();
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let more = |value: &mut Value| *value = Value::from(value.as_u64().unwrap() + 1);
    let changes = [
        (tamper(&bundle, "/genesis/time", more), "the header of the state is not final"),
        (tamper(&bundle, "/header/header/time", more), "the header of the state is not final"),
        (tamper(&bundle, "/header/certificate/votes/0/signature", turn_digit), "is not final"),
        (tamper(&bundle, "/lease/value", turn_digit), "row of the lease is not one"),
        (tamper(&bundle, "/lease/proof", turn_digit), "row of the lease is not shown"),
        (tamper(&bundle, "/order/value", turn_digit), "row of the order is not one"),
        (tamper(&bundle, "/receipts/0/value", turn_digit), "row of the receipt is not one"),
        (tamper(&bundle, "/receipts", |rows| *rows = Value::Array(Vec::new())), "receipts"),
        (tamper(&bundle, "/transactions/0/path/position", more), "a transaction does not hold"),
        (
            tamper(&bundle, "/transactions", |all| *all = Value::Array(Vec::new())),
            "the transaction that placed the order is missing",
        ),
    ];
    for (changed, reason) in changes {
        fs::write(home.path("changed.json"), changed.to_string()).unwrap();
        let ended = home.run(["verify", "changed.json"]).with_code(1);
        assert!(ended.stderr.contains(reason), "{reason}: {ended:?}");
    }
}

#[test]
fn who_cannot_be_served_learns_why() {
    let up = Home::default().up();
    let program = hello();
    let demand = ["--require", "cpu.cores > 100000"];
    let quote = up.run(["quote", &program].iter().chain(&demand)).with_code(5);
    assert!(quote.stdout.contains("cpu.cores > 100000"), "{quote:?}");
    let run = up.run(["run", "--json", &program].iter().chain(&demand)).with_code(125);
    assert_eq!(run.json()["error"]["code"], "no-provider");
    let cheap = up.run(["run", &program, "--max-price", "0.000001"]).with_code(125);
    assert!(cheap.stderr.contains("hint: raise --max-price"), "{cheap:?}");

    up.run(["keys", "new", "poor", "--no-passphrase"]).with_code(0);
    let poor = up.run(["run", &program, "--key", "poor"]).with_code(125);
    assert!(poor.stderr.contains("hint: get funds"), "{poor:?}");

    let out_of_fuel = up.run(["run", &program, "--fuel", "100"]).with_code(152);
    assert!(out_of_fuel.stderr.contains("its fuel is used up"), "{out_of_fuel:?}");
}

#[test]
fn a_program_that_cannot_begin_ends_with_126() {
    let up = Home::default().up();
    let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
    fs::write(up.home.path("import.wasm"), module).unwrap();
    let ended = up.run(["run", "import.wasm"]).with_code(126);
    assert!(ended.stderr.contains("could not begin"), "{ended:?}");
}

#[test]
fn a_network_goes_on_where_it_was() {
    let up = Home::default().up();
    let (first, genesis) = (up.url(), up.started["genesis"].clone());
    up.run(["run", &hello()]).with_code(0);
    let held = up.run(["wallet", "--json"]).with_code(0).json()["usd"].clone();
    let up = up.kill().up();
    assert_eq!(up.started["genesis"], genesis, "{first}");
    assert_eq!(up.run(["wallet", "--json"]).with_code(0).json()["usd"], held);
    up.run(["run", &hello()]).with_code(0);
}

#[test]
fn a_joined_network_is_the_only_one() {
    let one = Home::default().up();
    let other = Home::default().up();
    let home = Home::default();
    let joined = home.run(["join", &one.url(), "--json"]).with_code(0).json();
    assert_eq!(joined["genesis"], one.started["genesis"]);
    home.run(["wallet", "faucet"]).with_code(0);
    home.run(["run", &hello()]).with_code(0);
    let ended = home.run(["supply", "--node", &other.url()]).with_code(1);
    assert!(ended.stderr.contains("hint: name a node of that network"), "{ended:?}");
    let ended = home.run(["join", &other.url()]).with_code(1);
    assert!(ended.stderr.contains("--again"), "{ended:?}");
    home.run(["join", &other.url(), "--again"]).with_code(0);
    home.run(["supply"]).with_code(0);
}
