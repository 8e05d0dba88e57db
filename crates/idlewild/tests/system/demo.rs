//! The demo: a market at work, with all its providers and with one of them killed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::common::Home;
use serde_json::Value;

/// A small picture, so that a build without optimisation is quick about it.
const SCENE: &str = "size 96 54\nsamples 2\nbounces 3\nseed 1\n\
    camera 0 1 6  0 1 0  40  0 6\nsky 0.6 0.7 0.9  0.2 0.3 0.6  0 0 0\n\
    material ground matte 0.5 0.5 0.5\nmaterial ball metal 0.9 0.7 0.3 0.1\n\
    plane ground 0 0\nsphere ball 0 1 0 1\n";

fn check(home: &Home, object: &Value) {
    assert_eq!(object["ok"], true, "{object}");
    assert_eq!(object["conservation_ok"], true);
    let count = |name: &str| object[name].as_u64().unwrap();
    assert!(count("auditors_agreed") <= count("audits") && count("audits") <= 24, "{object}");
    assert_eq!((&object["slashed"], &object["refunded_usd"]), (&0.0.into(), &0.0.into()));
    let (paid, fee) = (object["paid_usd"].as_f64().unwrap(), object["fee_usd"].as_f64().unwrap());
    assert!(paid >= 0.037 && fee > 0.0 && fee < paid, "{object}");
    let picture = fs::read(home.path(object["picture"].as_str().unwrap())).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n"));
}

#[test]
fn a_demo_ends_with_a_picture_and_a_bill_that_holds() {
    let home = Home::default();
    fs::write(home.path("small.scene"), SCENE).unwrap();
    let ended = home.run(["demo", "--json", "--scene", "small.scene"]).with_code(0);
    check(&home, &ended.json());
    assert_eq!(ended.json()["jobs"], 24);
    assert!(ended.stderr.contains("providers  3 processes"), "{ended:?}");
    assert!(ended.stderr.contains("audits: not independent"), "{ended:?}");
}

#[test]
fn a_picture_that_cannot_be_written_is_refused_before_the_work() {
    let home = Home::default();
    for (file, reason) in [("absent/a.png", "there is no directory absent"), (".", "directory")] {
        let ended = home.run(["demo", "--out", file]).with_code(2);
        assert!(ended.stderr.contains(reason), "{ended:?}");
        assert!(!ended.stderr.contains("network"), "{ended:?}");
    }
}

#[test]
fn a_provider_killed_in_the_middle_only_delays_it() {
    let home = Home::default();
    fs::write(home.path("small.scene"), SCENE).unwrap();
    let mut demo = home
        .command()
        .args(["demo", "--json", "--scene", "small.scene", "--samples", "64"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut killed = false;
    let mut ids: Vec<i32> = Vec::new();
    let mut said = String::new();
    // What it says is read to the end, so that it never waits for a reader.
    for line in BufReader::new(demo.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, rest)) = line.split_once("processes (") {
            let (list, _) = rest.split_once(')').unwrap();
            ids = list.split(", ").map(|id| id.parse().unwrap()).collect();
        }
        if line.contains("/24 tile") && !killed {
            let id = rustix::process::Pid::from_raw(ids[0]).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
            killed = true;
        }
        said.push_str(&line);
        said.push('\n');
    }
    let mut text = String::new();
    demo.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = demo.wait().unwrap();
    assert!(killed && status.success(), "{status}: {said}");
    let object: Value = serde_json::from_str(&text).unwrap();
    check(&home, &object);
    assert_eq!(object["jobs"], 24);
    for id in ids {
        let gone = !fs::exists(format!("/proc/{id}")).unwrap();
        assert!(gone, "process {id} outlived the demo");
    }
}

#[test]
fn a_scene_that_is_none_fails_with_what_the_program_said() {
    let home = Home::default();
    fs::write(home.path("bad.scene"), "size 96 54\nnonsense\n").unwrap();
    let ended = home.run(["demo", "--json", "--scene", "bad.scene"]).with_code(1);
    let value = ended.json();
    assert_eq!(value["ok"], false);
    let message = value["error"]["message"].as_str().unwrap();
    assert!(message.contains("nonsense"), "{value}");
}

/// Runs of the demo with a cheat: a beacon that nobody knows before draws another audit each time.
const CHEATS: u32 = 2;
const CHEATS_LONG: u32 = 50;

#[test]
fn a_cheat_is_found_out_and_the_tenant_made_whole() {
    let runs = if std::env::var_os("IDLEWILD_LONG").is_some() { CHEATS_LONG } else { CHEATS };
    let honest = {
        let home = Home::default();
        fs::write(home.path("small.scene"), SCENE).unwrap();
        let shown = home.run(["demo", "--json", "--scene", "small.scene"]).with_code(0);
        fs::read(home.path(shown.json()["picture"].as_str().unwrap())).unwrap()
    };
    for run in 1..=runs {
        let home = Home::default();
        fs::write(home.path("small.scene"), SCENE).unwrap();
        let ended = home.run(["demo", "--cheat", "--json", "--scene", "small.scene"]).with_code(0);
        let object = ended.json();
        println!("run {run} of {runs}: {object}");
        assert_eq!((&object["ok"], &object["conservation_ok"]), (&true.into(), &true.into()));
        assert_eq!(object["jobs"], 96);
        // Half of its stake, and of what is left for each further tile that was found.
        let slashed = object["slashed"].as_f64().unwrap();
        assert!((50.0..100.0).contains(&slashed), "{object}");
        assert!(object["refunded_usd"].as_f64().unwrap() > 0.0, "{object}");
        assert!(object["tiles_redone"].as_u64().unwrap() > 0, "{object}");
        let picture = fs::read(home.path(object["picture"].as_str().unwrap())).unwrap();
        assert!(picture == honest, "an altered tile is in the picture");
    }
}
