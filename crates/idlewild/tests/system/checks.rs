//! Audits and disputes as a tenant orders them and reads of them.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Home, Up, example};

/// The longest that a check may take on a machine that does much else.
const CHECKED_MAX: Duration = Duration::from_secs(60);

/// A provider process with a key of its own beside the network's.
struct Other(Child);

impl Other {
    /// Starts it, and waits until it may be drawn as an auditor.
    fn start(up: &Up) -> Self {
        let seats = || up.run(["supply", "--json"]).json()["classes"][0]["auditor_seats"].clone();
        let before = waited(|| seats().as_u64().filter(|seats| *seats > 0));
        let mut command = up.home.command();
        let child = command
            .env("IDLEWILD_NODE", up.url())
            .args(["provide", "--key", "other", "--no-passphrase", "--slots", "1", "--tied"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let this = Self(child.unwrap());
        waited(|| seats().as_u64().filter(|seats| *seats > before));
        this
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks until what is waited for is there.
fn waited<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < CHECKED_MAX, "not within {CHECKED_MAX:?}");
    }
}

/// Waits until the check of a lease has come to this.
fn checked(up: &Up, lease: &str, state: &str) -> Value {
    waited(|| {
        let view = up.run(["lease", lease, "--json"]).with_code(0).json();
        (view["lease"]["check"]["is"] == state).then_some(view)
    })
}

/// Runs a small program and returns its lease, and what is said of it.
fn ran(up: &Up, words: &[&str]) -> (String, String) {
    let program = example("hello.wasm");
    let words = [&["run", "--json"], words, &[program.to_str().unwrap()]].concat();
    let ended = up.run(words).with_code(0);
    let lease = ended.json()["jobs"][0]["lease"].as_str().unwrap().to_owned();
    (lease, ended.stderr)
}

/// Returns what a command says, without what differs from one run to the next.
fn shown(up: &Up, text: &str) -> String {
    let plain = up.plain(text);
    let lines = plain.lines().map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        for index in 0..words.len() {
            let unit = words.get(index + 1).map(|word| word.trim_end_matches(','));
            let is_time = matches!(unit, Some("ms" | "s" | "min"))
                || (index > 0 && words[index - 1] == "block");
            if is_time {
                words[index] = "#";
            }
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_tenant_has_work_audited_and_reads_what_came_of_it() {
    let up = Home::default().up();
    let other = Other::start(&up);
    let (lease, said) = ran(&up, &["--audit", "100%"]);
    assert!(said.contains(&format!("`idlewild lease {lease}` says how far that is")), "{said}");
    let view = checked(&up, &lease, "passed");
    assert_eq!(view["audit"]["assignments"].as_array().unwrap().len(), 1, "{view}");
    assert_eq!(view["dispute"], Value::Null);
    let show = |words: &[&str]| shown(&up, &up.run(words).with_code(0).stdout);
    insta::assert_snapshot!("audited_lease", show(&["lease", &lease]));
    insta::assert_snapshot!("audits", show(&["audits"]));

    // A dispute of right work costs its bond, also where an audit passed before.
    let opened = up.run(["disputes", "open", &lease]).with_code(0);
    insta::assert_snapshot!("dispute_opened", up.plain(&opened.stdout));
    let view = waited(|| {
        let view = up.run(["lease", &lease, "--json"]).with_code(0).json();
        (view["dispute"]["outcome"]["is"] == "upheld").then_some(view)
    });
    assert_eq!(view["lease"]["check"]["is"], "passed");
    insta::assert_snapshot!("disputed_lease", show(&["lease", &lease]));
    insta::assert_snapshot!("disputes", show(&["disputes"]));
    let again = up.run(["disputes", "open", &lease]).with_code(4);
    insta::assert_snapshot!("dispute_refused", up.plain(&again.stderr));

    // Pages go on where the one before ended.
    let (second, _) = ran(&up, &["--audit", "100%"]);
    checked(&up, &second, "passed");
    let page = up.run(["audits", "--limit", "1", "--json"]).with_code(0).json();
    assert_eq!(page["audits"][0]["lease"], second, "{page}");
    let after = page["next"].as_str().unwrap();
    let page = up.run(["audits", "--limit", "1", "--after", after, "--json"]).with_code(0).json();
    assert_eq!(page["audits"][0]["lease"], lease, "{page}");
    drop(other);
}

#[test]
fn without_an_auditor_validators_do_what_is_drawn() {
    let up = Home::default().up();
    let (lease, _) = ran(&up, &["--audit", "100%"]);
    let view = checked(&up, &lease, "passed");
    assert_eq!(view["audit"]["assignments"].as_array().unwrap().len(), 0, "{view}");
    let ended = up.run(["lease", &lease]).with_code(0);
    insta::assert_snapshot!("judged_lease", shown(&up, &ended.stdout));

    let (lease, said) = ran(&up, &["--private"]);
    assert!(!said.contains("the price is held"), "{said}");
    let refused = up.run(["disputes", "open", &lease]).with_code(4);
    insta::assert_snapshot!("private_dispute_refused", up.plain(&refused.stderr));
}
