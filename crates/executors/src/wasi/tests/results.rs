//! What a run leaves behind.

use super::*;
use crate::job::describe;
use crate::wasi::{OutputKind, Outputs};

/// Returns each entry as a line: path and content, target or `/`.
fn lines(outputs: &Outputs) -> Vec<String> {
    let line = |output: &crate::wasi::Output| match &output.kind {
        OutputKind::File { content, hash } => {
            assert_eq!(*hash, *blake3::hash(content.as_slice()).as_bytes());
            format!("{}={}", output.path, String::from_utf8_lossy(content.as_slice()))
        }
        OutputKind::Symlink(target) => format!("{}->{target}", output.path),
        OutputKind::Directory => format!("{}/", output.path),
    };
    outputs.entries.iter().map(line).collect()
}

#[test]
fn results_are_all_of_out() {
    let mut guest = Guest::with(&config(&[("data", "input")]));
    guest.store(OUT, "b", b"2");
    assert_eq!(guest.mkdir(OUT, "a"), 0);
    assert_eq!(guest.mkdir(OUT, "a/empty"), 0);
    guest.store(OUT, "a/file", b"1");
    assert_eq!(guest.symlink("../b", OUT, "a/link"), 0);
    assert_eq!(guest.link(OUT, 0, "b", OUT, "c"), 0);
    guest.store(TMP, "scratch", b"gone");
    let expected = ["a/empty/", "a/file=1", "a/link->../b", "b=2", "c=2"];
    assert_eq!(lines(&guest.host.finish()), expected);
}

#[test]
fn results_show_changes_of_the_working_directory_beneath_out() {
    let inputs = [("data", "input"), ("dir/same", "s"), ("dir/old", "o"), ("gone/x", "x")];
    let mut guest = Guest::with(&config(&inputs));
    guest.store(ROOT, "data.zst", b"packed");
    guest.store(ROOT, "dir/new", b"n");
    guest.store(ROOT, "dir/same", b"s");
    let fd = guest.open_rw(ROOT, "data", 0);
    assert_eq!(guest.pwrite(fd, b"I", 0), Ok(1));
    assert_eq!(guest.rename(ROOT, "dir/old", "dir/renamed"), 0);
    assert_eq!(guest.unlink(ROOT, "gone/x"), 0);
    assert_eq!(guest.mkdir(ROOT, "fresh"), 0);
    guest.store(ROOT, "both", b"work");
    guest.store(OUT, "both", b"out");
    guest.store(OUT, "fresh", b"a file here");
    let expected = [
        "both=out",
        "data=Input",
        "data.zst=packed",
        "dir/new=n",
        "dir/renamed=o",
        "fresh=a file here",
    ];
    assert_eq!(lines(&guest.host.finish()), expected);
}

#[test]
fn untouched_inputs_are_no_results() {
    let guest = Guest::with(&config(&[("data", "input"), ("dir/x", "y")]));
    assert!(guest.host.finish().entries.is_empty());
}

#[test]
fn the_manifest_covers_everything() {
    let run = |act: &dyn Fn(&mut Guest)| {
        let mut guest = Guest::new();
        act(&mut guest);
        describe(guest.host.finish()).0.hash()
    };
    let nothing = |_: &mut Guest| {};
    let mut names = vec![
        run(&nothing),
        run(&|guest| guest.store(OUT, "a", b"b")),
        run(&|guest| guest.store(OUT, "ab", b"")),
        run(&|guest| guest.store(OUT, "a", b"")),
        run(&|guest| assert_eq!(guest.mkdir(OUT, "a"), 0)),
        run(&|guest| assert_eq!(guest.symlink("b", OUT, "a"), 0)),
        run(&|guest| assert_eq!(guest.write(1, b"x"), Ok(1))),
        run(&|guest| assert_eq!(guest.write(2, b"x"), Ok(1))),
    ];
    let count = names.len();
    assert_eq!(names[0], run(&nothing));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn inputs_that_share_their_bytes_are_still_inputs_or_results_by_their_bytes() {
    let mut guest = Guest::with(&config(&[("a", "one"), ("b", "two"), ("c", "one"), ("d", "on")]));
    // Each of these now stands where another was: what is equal is no result.
    assert_eq!(guest.rename(ROOT, "c", "spare"), 0);
    assert_eq!(guest.rename(ROOT, "a", "c"), 0);
    assert_eq!(guest.rename(ROOT, "b", "a"), 0);
    guest.store(ROOT, "b", b"two");
    guest.store(ROOT, "d", b"no");
    let outputs = guest.host.finish();
    assert_eq!(lines(&outputs), ["a=two", "d=no", "spare=one"]);
}
