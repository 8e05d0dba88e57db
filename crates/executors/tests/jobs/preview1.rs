//! The calls of WASI preview 1 as guests make them, directly and through a C library.

use std::fs;
use std::path::Path;
use std::process::Command;

use classes::job::Exit;
use executors::job::Outcome;

use crate::engines::{house, on_both, script, text};
use crate::work::Work;

/// The directories that a guest may change.
const WRITABLE: [&str; 3] = ["/", "/out", "/tmp"];

/// Builds the guests into a folder; returns whether that can be done here.
fn build(folder: &Path) -> bool {
    script(Command::new(house().join("tests/programs/preview1/build.sh")).arg(folder))
}

fn ends_with(outcome: &Outcome, code: u32, what: &str) {
    assert_eq!(outcome.usage.exit, Exit::Code(code), "{what}: {}", text(outcome, "stderr"));
}

#[test]
fn every_call_answers_as_the_interface_says() {
    let folder = tempfile::tempdir().unwrap();
    if !build(folder.path()) {
        return;
    }
    let program = fs::read(folder.path().join("calls.wasm")).unwrap();
    let names = on_both(&Work::new(&program));
    ends_with(&names, 0, "the list of cases");
    let names = text(&names, "stdout");
    assert!(names.lines().count() >= 20, "{names}");
    for name in names.lines() {
        for directory in WRITABLE {
            let outcome = on_both(&Work::new(&program).arguments(&[name, directory]));
            ends_with(&outcome, 0, &format!("{name} in {directory}"));
            assert_eq!(outcome.manifest.entries().len(), 2, "{name} in {directory} leaves files");
        }
    }
    ends_with(&on_both(&Work::new(&program).arguments(&["no case", "/"])), 2, "no case");
}

#[test]
fn a_program_works_with_its_files_arguments_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    if !build(folder.path()) {
        return;
    }
    let program = fs::read(folder.path().join("posix.wasm")).unwrap();
    let files: [(&str, &[u8]); 3] = [("text", b"01234567"), ("two/a", b"1"), ("two/b", b"2")];
    let outcome = on_both(
        &Work::new(&program)
            .arguments(&["/", "one two", "", "-x"])
            .environment(&["a=text", "b=escap \" ing", "c=new\nline"])
            .input_tree(&files, &["empty"]),
    );
    ends_with(&outcome, 33, "the program");
    let expected = "[one two]\n[]\n[-x]\n{a=text}\n{b=escap \" ing}\n{c=new\nline}\n";
    assert_eq!(text(&outcome, "stdout"), expected);
    assert_eq!(text(&outcome, "out/text"), "XY234567");
}
