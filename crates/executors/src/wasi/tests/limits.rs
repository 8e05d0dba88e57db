//! Every limit, at n and at n + 1.

use super::*;
use crate::wasi::{
    BUFFERS_MAX, ConfigError, DEPTH_MAX, LINK_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX,
    RESULT_ENTRIES_MAX, SUBSCRIPTIONS_MAX, SYMLINK_HOPS_MAX, TREE_PATH_BYTES_MAX,
};

fn limited(change: impl FnOnce(&mut HostLimits)) -> Guest {
    let mut config = config(&[("data", "12345")]);
    change(&mut config.limits);
    Guest::with(&config)
}

#[test]
fn written_bytes() {
    let mut guest = limited(|limits| limits.written_bytes_max = 10);
    let fd = guest.open_rw(TMP, "file", CREAT);
    assert_eq!(guest.write(fd, &[1; 10]), Ok(10));
    assert_eq!(guest.write(fd, &[1; 1]), Err(NOSPC));
    assert_eq!(guest.pwrite(fd, &[1; 1], 10), Err(NOSPC));
    assert_eq!(guest.symlink("x", TMP, "link"), NOSPC);
    let input = guest.open_rw(ROOT, "data", 0);
    assert_eq!(guest.write(input, &[1]), Err(NOSPC), "a copy of an input takes its size");
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 4]), 0);
    assert_eq!(guest.symlink("x", TMP, "link"), 0);
    assert_eq!(guest.write(input, &[1]), Ok(1));
    assert_eq!(guest.host.files.byte_count(), 10);
    assert_eq!(guest.call("fd_filestat_set_size", &[input.into(), 6]), NOSPC);
    assert_eq!(guest.unlink(TMP, "link"), 0);
    assert_eq!(guest.pwrite(fd, &[1; 9], 4), Ok(1), "a write takes what there is room for");
}

#[test]
fn entries() {
    let mut guest = limited(|limits| limits.entries_max = 3);
    guest.touch(TMP, "a");
    assert_eq!(guest.mkdir(TMP, "b"), 0);
    assert_eq!(guest.link(TMP, 0, "a", TMP, "c"), 0);
    assert_eq!(guest.open(TMP, "d", CREAT), Err(NOSPC));
    assert_eq!(guest.mkdir(TMP, "d"), NOSPC);
    assert_eq!(guest.symlink("a", TMP, "d"), NOSPC);
    assert_eq!(guest.link(TMP, 0, "a", TMP, "d"), NOSPC);
    assert_eq!(guest.rename(TMP, "a", "b/a"), 0);
    assert_eq!(guest.unlink(TMP, "c"), 0);
    guest.touch(TMP, "d");
}

#[test]
fn descriptors() {
    let mut guest = limited(|limits| limits.descriptors_max = 9);
    assert_eq!(guest.open(ROOT, ".", 0), Ok(7));
    assert_eq!(guest.open(ROOT, ".", 0), Ok(8));
    assert_eq!(guest.open(ROOT, "new", CREAT), Err(MFILE));
    assert_eq!(guest.stat_at(ROOT, 0, "new").unwrap_err(), NOENT);
    assert_eq!(guest.close(7), 0);
    assert_eq!(guest.open(ROOT, "new", CREAT), Ok(7));
    let mut few = config(&[]);
    few.limits.descriptors_max = 6;
    assert_eq!(Host::new(&few).unwrap_err(), ConfigError::TooFewDescriptors);
}

#[test]
fn streams() {
    let mut guest = limited(|limits| limits.stdout_bytes_max = 4);
    assert_eq!(guest.write(1, b"abc"), Ok(3));
    assert_eq!(guest.write(1, b"de"), Ok(1));
    assert_eq!(guest.write(1, b"e"), Err(NOSPC));
    assert_eq!(guest.write(1, b""), Ok(0));
    assert_eq!(guest.write(2, b"still"), Ok(5));
}

#[test]
fn names_paths_and_depth() {
    let mut guest = Guest::new();
    let name = "n".repeat(NAME_BYTES_MAX);
    guest.touch(TMP, &name);
    assert_eq!(guest.open(TMP, &format!("{name}n"), CREAT), Err(NAMETOOLONG));
    let long = "./".repeat(PATH_BYTES_MAX / 2);
    assert_eq!(guest.open(TMP, &long, 0).map(|_| ()), Ok(()));
    assert_eq!(guest.open(TMP, &format!("{long}."), 0), Err(NAMETOOLONG));
    assert_eq!(guest.symlink(&format!("{long}."), TMP, "link"), NAMETOOLONG);

    let mut at = TMP;
    for _ in 1..DEPTH_MAX - 1 {
        assert_eq!(guest.mkdir(at, "d"), 0);
        at = guest.open_directory(at, "d");
    }
    guest.touch(at, "file");
    assert_eq!(guest.mkdir(at, "d"), 0);
    assert_eq!(guest.open(at, "d/file", CREAT), Err(NAMETOOLONG));
    assert_eq!(guest.mkdir(OUT, "a"), 0);
    assert_eq!(guest.rename_to(TMP, "d", OUT, "a/d"), NAMETOOLONG, "the tree below counts");
    assert_eq!(guest.rename_to(TMP, "d", OUT, "d"), 0);

    let mut guest = Guest::new();
    let base = guest.open_directory(ROOT, ".");
    let mut at = base;
    for _ in 0..3 {
        assert_eq!(guest.mkdir(at, &name), 0);
        at = guest.open_directory(at, &name);
    }
    let room = TREE_PATH_BYTES_MAX - 3 * (NAME_BYTES_MAX + 1);
    assert_eq!(room, NAME_BYTES_MAX + 1, "one more name fits, and nothing below it");
    assert_eq!(guest.mkdir(at, &name), 0);
    assert_eq!(guest.open(at, &format!("{name}/x"), CREAT), Err(NAMETOOLONG));
    assert_eq!(guest.rename(base, &name, "short"), 0);
    assert_eq!(guest.open(at, &format!("{name}/x"), CREAT).map(|_| ()), Ok(()));
    assert_eq!(guest.rename(base, "short", &name), NAMETOOLONG);
}

#[test]
fn symlink_hops() {
    let mut guest = Guest::new();
    guest.touch(TMP, "l0");
    for hop in 0..=SYMLINK_HOPS_MAX {
        assert_eq!(guest.symlink(&format!("l{hop}"), TMP, &format!("l{}", hop + 1)), 0);
    }
    let last = format!("l{SYMLINK_HOPS_MAX}");
    assert_eq!(guest.stat_at(TMP, 1, &last).map(|stat| stat.file_type), Ok(4));
    assert_eq!(guest.stat_at(TMP, 1, &format!("l{}", SYMLINK_HOPS_MAX + 1)), Err(LOOP));
}

#[test]
fn buffers_and_subscriptions() {
    let mut guest = Guest::new();
    let write = |guest: &mut Guest, count: u32| {
        guest.call("fd_write", &[1, VECTORS.into(), count.into(), RESULT.into()])
    };
    assert_eq!(write(&mut guest, BUFFERS_MAX), 0);
    assert_eq!(write(&mut guest, BUFFERS_MAX + 1), INVAL);
    let poll = |guest: &mut Guest, count: u32| {
        let events = u64::from(DATA) + 0x4_0000;
        guest.call("poll_oneoff", &[DATA.into(), events, count.into(), RESULT.into()])
    };
    assert_eq!(poll(&mut guest, SUBSCRIPTIONS_MAX), 0);
    assert_eq!(poll(&mut guest, SUBSCRIPTIONS_MAX + 1), INVAL);
}

#[test]
fn input_files() {
    let mut config = config(&[("a", ""), ("b", "")]);
    config.limits.input_files_max = 2;
    assert!(Host::new(&config).is_ok());
    config.limits.input_files_max = 1;
    assert_eq!(Host::new(&config).unwrap_err(), ConfigError::TooManyInputs);
    config.inputs.directories = vec![InputPath::parse("c").unwrap()];
    config.limits.input_files_max = 3;
    assert!(Host::new(&config).is_ok());
    config.limits.input_files_max = 2;
    assert_eq!(Host::new(&config).unwrap_err(), ConfigError::TooManyInputs);
}

#[test]
fn conflicting_inputs() {
    for paths in [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]] {
        let config = config(&paths.map(|path| (path, "")));
        let error = Host::new(&config).unwrap_err();
        assert!(matches!(error, ConfigError::InputConflict(_)), "{paths:?}");
    }
    for (directory, conflicts) in [("a", true), ("a/b/c", true), ("x", false), ("x/y", false)] {
        let mut config = config(&[("a", ""), ("x/file", "")]);
        config.inputs.directories = vec![InputPath::parse(directory).unwrap()];
        assert_eq!(Host::new(&config).is_err(), conflicts, "{directory}");
    }
}

#[test]
fn directories_above_inputs_count_as_inputs() {
    let mut config = config(&[("a/b/c", ""), ("a/b/d", ""), ("a/e", "")]);
    config.limits.input_files_max = 5;
    assert!(Host::new(&config).is_ok());
    config.limits.input_files_max = 4;
    assert_eq!(Host::new(&config).unwrap_err(), ConfigError::TooManyInputs);
}

#[test]
fn the_targets_of_all_links_have_a_bound_whatever_their_names() {
    let mut guest = Guest::new();
    let target = "t".repeat(PATH_BYTES_MAX);
    let count = LINK_BYTES_MAX / target.len();
    assert_eq!(guest.symlink(&target, TMP, "first"), 0);
    for number in 1..count {
        assert_eq!(guest.link(TMP, 0, "first", TMP, &format!("name {number}")), 0);
    }
    assert_eq!(guest.link(TMP, 0, "first", TMP, "one more"), NOSPC);
    assert_eq!(guest.symlink("t", TMP, "short"), NOSPC);
    assert_eq!(guest.rename(TMP, "name 1", "moved"), 0);
    assert_eq!(guest.unlink(TMP, "moved"), 0);
    assert_eq!(guest.symlink(&target, TMP, "again"), 0);
}

#[test]
fn the_longest_results_fit_a_manifest() {
    let path = types::manifest::RelativePath::new(format!("out/{}", "n/".repeat(60) + "n"));
    let path_bytes = types::Encode::to_bytes(&path.unwrap()).len() - "out/".len() - 121;
    // A file states a hash and a length; a link its target, which is counted apart.
    let entry = "out/".len() + TREE_PATH_BYTES_MAX + path_bytes + 1 + 32 + 8;
    // Two streams stand beside the entries, of which the list states the number.
    let all = RESULT_ENTRIES_MAX * entry + LINK_BYTES_MAX + 2 * entry + 8;
    assert!(all <= types::manifest::MANIFEST_BYTES_MAX, "{all}");
    // As many inputs as there may be leave room for results.
    assert!(RESULT_ENTRIES_MAX > HostLimits::default().input_files_max + 8_192);
}
