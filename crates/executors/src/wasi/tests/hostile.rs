//! Guests that pass anything at all: no panic, no limit passed, the same twice.

use proptest::prelude::*;

use super::*;
use crate::job::describe;

const PATHS: &[&str] = &[
    "a", "b", "a/b", "a/b/c", "a/", "b/", ".", "..", "a/..", "a/../b", "/", "", "l", "l/a", "in",
    "in/x", "out", "tmp/a", "a/./b", "x", "x/y", "\0", "loop", "b/loop/c",
];

/// Where the paths above stand in the guest's memory, each on its own line of 16 bytes.
const PATHS_AT: u32 = 0x2_0000;

#[derive(Clone, Debug)]
struct Act {
    function: usize,
    args: Vec<Arg>,
}

#[derive(Clone, Debug)]
enum Arg {
    Small(u8),
    Path(usize),
    Data,
    Any(u64),
    AllRights,
}

fn arg() -> impl Strategy<Value = Arg> {
    prop_oneof![
        6 => (0_u8..16).prop_map(Arg::Small),
        4 => (0..PATHS.len()).prop_map(Arg::Path),
        3 => Just(Arg::Data),
        1 => any::<u64>().prop_map(Arg::Any),
        1 => Just(Arg::AllRights),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    (0..HOST_FUNCTIONS.len(), proptest::collection::vec(arg(), 9))
        .prop_map(|(function, args)| Act { function, args })
}

/// Returns the arguments; the length of a path follows its pointer.
fn arguments(act: &Act) -> Vec<u64> {
    let count = HOST_FUNCTIONS[act.function].params.len();
    let mut values = Vec::new();
    for arg in &act.args {
        match arg {
            Arg::Small(value) => values.push((*value).into()),
            Arg::Path(index) => {
                values.push(u64::from(PATHS_AT) + 16 * u64::try_from(*index).unwrap());
                values.push(u64::try_from(PATHS[*index].len()).unwrap());
            }
            Arg::Data => values.push(DATA.into()),
            Arg::Any(value) => values.push(*value),
            Arg::AllRights => values.push(rights::ALL),
        }
    }
    values.truncate(count);
    values
}

/// What a guest was answered, its results and the fuel they took, and its memory.
type Played = (Vec<Result<u32, HostTrap>>, (types::ContentHash, u64), Vec<u8>);

/// Plays the acts; returns every answer, and what is left.
fn play(acts: &[Act]) -> Played {
    let mut config = config(&[("x", "input"), ("b/y", "other")]);
    config.limits.written_bytes_max = 1000;
    config.limits.entries_max = 6;
    config.limits.descriptors_max = 12;
    config.limits.stdout_bytes_max = 100;
    config.limits.stderr_bytes_max = 100;
    let mut guest = Guest::with(&config);
    for (index, path) in PATHS.iter().enumerate() {
        guest.put(PATHS_AT + 16 * u32::try_from(index).unwrap(), path.as_bytes());
    }
    let entries = guest.host.files.entry_count();
    let mut pair = [0; 8];
    pair[..4].copy_from_slice(&DATA.to_le_bytes());
    pair[4..6].copy_from_slice(&40_u16.to_le_bytes());
    let mut answers = Vec::new();
    for act in acts {
        for at in 0..8 {
            guest.put(DATA + 8 * at, &pair);
        }
        let function = &HOST_FUNCTIONS[act.function];
        answers.push(guest.try_call(function.name, &arguments(act)));
        assert!(guest.host.files.byte_count() <= 1000);
        assert!(guest.host.files.entry_count() <= entries + 6);
        assert!(guest.host.descriptors.open_count() <= 12);
    }
    let fuel = FUEL - u64::try_from(guest.meter.fuel_left()).unwrap_or(0);
    let memory = std::mem::take(&mut guest.memory);
    let outputs = guest.host.finish();
    assert!(outputs.stdout.len() <= 100 && outputs.stderr.len() <= 100);
    (answers, (describe(outputs).0.hash(), fuel), memory)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_stay_within_the_limits_and_repeat(
        acts in proptest::collection::vec(act(), 1..120),
    ) {
        let first = play(&acts);
        let second = play(&acts);
        prop_assert_eq!(first.0, second.0);
        prop_assert_eq!(first.1, second.1);
        prop_assert!(first.2 == second.2, "the memories differ");
    }

    #[test]
    fn any_arguments_answer_without_a_panic(
        function in 0..HOST_FUNCTIONS.len(),
        args in proptest::collection::vec(any::<u64>(), 9),
    ) {
        let mut guest = Guest::new();
        let count = HOST_FUNCTIONS[function].params.len();
        let name = HOST_FUNCTIONS[function].name;
        let answer = guest.try_call(name, &args[..count]);
        let ends = matches!(answer, Err(HostTrap::Exit(_)));
        prop_assert!(answer.is_ok() || ends || guest.meter.fuel_left() < 0);
    }
}

#[test]
fn pointers_at_the_end_of_memory_fault_and_change_nothing() {
    let end = u64::try_from(MEMORY_BYTES).unwrap();
    let mut guest = Guest::new();
    let fd = u64::from(guest.open_rw(TMP, "file", CREAT));
    let [path, length] = guest.put(FIRST_PATH, b"new");
    let before = guest.host.descriptors.open_count();
    for (name, args) in [
        ("fd_write", vec![fd, VECTORS.into(), 1, end - 3]),
        ("fd_read", vec![fd, end - 7, 1, RESULT.into()]),
        ("fd_seek", vec![fd, 5, 0, end - 7]),
        ("fd_filestat_get", vec![fd, end - 63]),
        ("fd_fdstat_get", vec![fd, end - 23]),
        ("fd_readdir", vec![TMP.into(), end - 1, 2, 0, end]),
        ("path_open", vec![TMP.into(), 0, path, length, CREAT.into(), 0, 0, 0, end - 3]),
        ("path_create_directory", vec![TMP.into(), end - 1, 2]),
        ("path_filestat_get", vec![TMP.into(), 0, path, length, end - 63]),
        ("random_get", vec![end, 1]),
        ("clock_time_get", vec![0, 0, end - 7]),
        ("args_sizes_get", vec![end - 3, RESULT.into()]),
        ("args_get", vec![end - 7, DATA.into()]),
        ("poll_oneoff", vec![end - 47, DATA.into(), 1, RESULT.into()]),
        ("poll_oneoff", vec![DATA.into(), end - 31, 1, RESULT.into()]),
    ] {
        assert_eq!(guest.call(name, &args), FAULT, "{name}");
    }
    assert_eq!(guest.host.descriptors.open_count(), before);
    assert_eq!(guest.stat_at(TMP, 0, "new"), Err(NOENT));
    assert_eq!(guest.tell(u32::try_from(fd).unwrap()), Ok(0));
}

#[test]
fn overlapping_buffers_and_huge_sums_are_bounded() {
    let mut guest = Guest::new();
    let fd = guest.open_rw(TMP, "file", CREAT);
    let length = u32::try_from(MEMORY_BYTES).unwrap();
    let mut pair = [0; 8];
    pair[4..].copy_from_slice(&length.to_le_bytes());
    for at in 0..BUFFERS {
        guest.put(VECTORS + 8 * at, &pair);
    }
    let args = [fd.into(), VECTORS.into(), BUFFERS.into(), RESULT.into()];
    let written = guest.ask_u32("fd_write", &args).unwrap();
    assert_eq!(u64::from(written), HostLimits::default().written_bytes_max);
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.call("fd_read", &args), 0);

    /// More than the written bytes in all.
    const BUFFERS: u32 = 300;
}

#[test]
fn fuel_runs_out_before_the_work_is_done() {
    let mut config = config(&[]);
    config.fuel = 10_000;
    let mut guest = Guest::with(&config);
    assert_eq!(guest.call("random_get", &[DATA.into(), 64]), 0);
    let before = guest.memory.clone();
    let all = u64::try_from(MEMORY_BYTES).unwrap();
    assert_eq!(guest.try_call("random_get", &[0, all]), Err(HostTrap::OutOfFuel));
    assert!(guest.memory == before);
    assert_eq!(guest.try_call("sched_yield", &[]), Err(HostTrap::OutOfFuel));
}
