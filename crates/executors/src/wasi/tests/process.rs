//! Arguments, environment, clocks, randomness, ends.

use super::*;
use crate::wasi::ConfigError;
use crate::wasm::engine::ValType;

#[test]
fn every_function_of_the_interface_is_there_once() {
    assert_eq!(HOST_FUNCTIONS.len(), 46);
    assert!(HOST_FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
    for function in HOST_FUNCTIONS {
        let answers = function.name != "proc_exit";
        assert_eq!(function.results, if answers { &[ValType::I32][..] } else { &[] });
    }
}

#[test]
fn strings_arrive_with_pointers_and_zero_bytes() {
    let mut guest = Guest::new();
    let sizes = guest.ask_u64("args_sizes_get", &[RESULT.into(), u64::from(RESULT) + 4]).unwrap();
    assert_eq!((sizes & 0xffff_ffff, sizes >> 32), (2, 12));
    let pointers = guest.ask_u64("args_get", &[RESULT.into(), DATA.into()]).unwrap();
    assert_eq!(pointers & 0xffff_ffff, u64::from(DATA));
    assert_eq!(pointers >> 32, u64::from(DATA) + 8);
    assert_eq!(guest.at(DATA, 12), b"program\0one\0");
    assert_eq!(guest.ask_u32("environ_sizes_get", &[RESULT.into(), DATA.into()]), Ok(1));
    assert_eq!(guest.ask_u32("environ_get", &[RESULT.into(), DATA.into()]), Ok(DATA));
    assert_eq!(guest.at(DATA, 10), b"KEY=value\0");
    let end = u64::try_from(MEMORY_BYTES).unwrap();
    assert_eq!(guest.call("args_get", &[RESULT.into(), end - 11]), FAULT);
}

#[test]
fn malformed_strings_are_refused() {
    for name in ["", "A=B", "A\0"] {
        let mut config = config(&[]);
        config.environment = vec![(name.into(), String::new())];
        assert_eq!(Host::new(&config).unwrap_err(), ConfigError::BadString);
    }
    let mut config = config(&[]);
    config.arguments = vec![String::new(); config.limits.strings_max];
    assert!(Host::new(&config).is_ok());
    config.arguments.push(String::new());
    assert_eq!(Host::new(&config).unwrap_err(), ConfigError::TooManyStrings);
}

#[test]
fn clocks_start_where_the_lease_says_and_only_advance() {
    let mut guest = Guest::new();
    let time = |guest: &mut Guest, clock| guest.ask_u64("clock_time_get", &[clock, 0, 0x100]);
    let first = time(&mut guest, 1).unwrap();
    assert!(first > 0 && first < 1_000);
    assert!(time(&mut guest, 1).unwrap() > first);
    let real = time(&mut guest, 0).unwrap();
    assert!(real > START_NS && real < START_NS + 10_000);
    assert!(time(&mut guest, 2).unwrap() < time(&mut guest, 3).unwrap());
    assert_eq!(time(&mut guest, 4), Err(INVAL));
    assert_eq!(guest.ask_u64("clock_res_get", &[0, RESULT.into()]), Ok(1));
    assert_eq!(guest.ask_u64("clock_res_get", &[4, RESULT.into()]), Err(INVAL));
}

#[test]
fn randomness_is_one_stream_from_the_seed() {
    let take = |seed: u8, sizes: &[u32]| {
        let mut config = config(&[]);
        config.random_seed = [seed; 32];
        let mut guest = Guest::with(&config);
        let mut all = Vec::new();
        for size in sizes {
            assert_eq!(guest.call("random_get", &[DATA.into(), (*size).into()]), 0);
            all.extend(guest.at(DATA, *size));
        }
        all
    };
    let whole = take(1, &[1024]);
    assert_eq!(whole, take(1, &[1, 63, 64, 896]));
    assert_ne!(whole, take(2, &[1024]));
    assert!(whole[..512] != whole[512..]);
    let mut guest = Guest::new();
    assert_eq!(guest.call("random_get", &[DATA.into(), u32::MAX.into()]), FAULT);
}

#[test]
fn programs_end_by_exit_or_by_a_signal() {
    let mut guest = Guest::new();
    assert_eq!(guest.try_call("proc_exit", &[3]), Err(HostTrap::Exit(3)));
    assert_eq!(guest.try_call("proc_raise", &[6]), Err(HostTrap::Exit(134)));
    assert_eq!(guest.try_call("proc_raise", &[0]), Ok(0));
    assert_eq!(guest.try_call("proc_raise", &[16]), Ok(0));
    assert_eq!(guest.try_call("proc_raise", &[31]), Ok(INVAL));
    assert_eq!(guest.try_call("sched_yield", &[]), Ok(0));
}
