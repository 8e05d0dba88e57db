//! Bad guests: each ends as the first line of its file says, on both engines, in bounded time.

use std::fs;
use std::time::{Duration, Instant};

use classes::job::Exit;
use executors::job::Outcome;
use types::Hash;
use wasm_encoder::Function;

use crate::engines::{house, is_emulated, on_both};
use crate::module::module_of;
use crate::work::Work;
use crate::work::guests::{Guest, GuestEnd, guests, limited, nested};

/// The hash over the names and work roots of all bad guests, on every machine.
const PINNED: &str = "b69bb86e018825abac41e5eae651be4f48de89aac69339819b93517df8223d94";
/// What one of these jobs may take, on a slow machine that does other things.
const WALL_MAX: Duration = Duration::from_secs(60);

fn assert_within(began: Instant, most: Duration) {
    let took = began.elapsed();
    assert!(took < most || is_emulated(), "it took {took:?}");
}

fn bounded(work: &Work) -> Outcome {
    let began = Instant::now();
    let outcome = on_both(work);
    assert_within(began, WALL_MAX);
    let limits = &work.spec.limits;
    assert!(outcome.usage.fuel <= limits.fuel);
    let written: usize = outcome.contents.values().map(|bytes| bytes.len()).sum();
    // The files, two streams, and a manifest of at most 16,384 short entries.
    let most = 3 * limits.output_bytes + (2 << 20);
    assert!(u64::try_from(written).unwrap() <= most, "{written} bytes were written");
    outcome
}

#[test]
fn every_bad_guest_ends_as_it_must() {
    let guests = guests();
    assert!(guests.len() >= 30, "{} bad guests", guests.len());
    let mut roots = String::new();
    for Guest { name, kind, attempt, end, work } in guests {
        let began = Instant::now();
        let outcome = bounded(&work);
        let exit = outcome.usage.exit;
        let said = outcome.unrunnable.clone().unwrap_or_default();
        println!("{name} ({kind}): {exit:?} {said} in {:?}\n    {attempt}", began.elapsed());
        roots.push_str(&format!("{name}.wat {}\n", outcome.digest()));
        match end {
            GuestEnd::Exit(expected) => assert_eq!(exit, expected, "{name}"),
            GuestEnd::Refused(why) => {
                assert_eq!((exit, outcome.usage.fuel), (Exit::Unrunnable, 0), "{name}");
                assert!(said.contains(&why), "{name}: {said}");
            }
        }
    }
    let found = Hash::of("bad guests", &[roots.as_bytes()]).to_string();
    assert_eq!(found, PINNED, "the work roots are now\n{roots}");
}

fn refused(bytes: &[u8], why: &str) {
    let began = Instant::now();
    let outcome = bounded(&limited(Work::new(bytes)));
    assert_eq!((outcome.usage.exit, outcome.usage.fuel), (Exit::Unrunnable, 0), "{why}");
    let said = outcome.unrunnable.unwrap();
    assert!(said.contains(why), "{said}");
    println!("{why}: {:?}", began.elapsed());
}

#[test]
fn what_is_no_module_is_refused() {
    refused(b"", "WebAssembly");
    refused(b"#!/bin/sh\n", "WebAssembly");
    refused(&[0; 4096], "WebAssembly");
    refused(b"\0asm\x0d\0\x01\0", "component");
    // The header alone is a module, and no program.
    refused(b"\0asm\x01\0\0\0", "export");
}

#[test]
fn a_module_that_ends_too_soon_is_refused_wherever_it_ends() {
    let whole = fs::read(house().join("examples/hello.wasm")).unwrap();
    for part in 1..20 {
        let end = whole.len() * part / 20;
        let mut work = limited(Work::new(&whole[..end]));
        work.spec.limits.fuel = 1_000_000_000;
        assert_eq!(bounded(&work).usage.exit, Exit::Unrunnable, "cut at {end}");
    }
}

#[test]
fn a_module_that_is_too_large_is_not_read() {
    refused(&vec![0; (16 << 20) + 1], "bytes of the module");
    // 17 MiB that would be a module.
    let mut module = b"\0asm\x01\0\0\0\0".to_vec();
    module.extend([0x80, 0x80, 0xc0, 0x08]);
    module.resize(17 << 20, 0);
    refused(&module, "bytes of the module");

    // Naming the content costs a pass over it; refusing it does not.
    let work = limited(Work::new(&vec![0; 1 << 30]));
    let began = Instant::now();
    assert_eq!(on_both(&work).usage.exit, Exit::Unrunnable);
    assert_within(began, Duration::from_millis(500));
}

#[test]
fn nesting_has_a_bound() {
    let mut work = limited(Work::new(&nested(3_999)));
    work.spec.limits.fuel = 1_000_000_000;
    let deepest = bounded(&work);
    assert_eq!(deepest.usage.exit, Exit::Code(0));
    refused(&nested(4_001), "nesting");
    refused(&nested(1_000_000), "");
}

#[test]
fn a_body_that_is_large_but_allowed_costs_bounded_time() {
    let mut body = Function::new([(1, wasm_encoder::ValType::I64)]);
    for number in 0..25_000 {
        body.instructions().local_get(0).i64_const(number).i64_mul().local_set(0);
    }
    body.instructions().end();
    assert!(body.byte_len() > 200 << 10, "{} bytes", body.byte_len());
    let mut work = limited(Work::new(&module_of(&[body])));
    work.spec.limits.fuel = 1_000_000_000;
    assert_eq!(bounded(&work).usage.exit, Exit::Code(0));
}
