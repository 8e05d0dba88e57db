//! The examples: built again they are the committed bytes, and their results are pinned, so that
//! every build of this crate, with and without optimisation, gives the same.

use std::process::Command;
use std::{env, fs};

use classes::job::Exit;

use crate::engines::{assert_pinned, house, on_both, script, text};
use crate::work::{Work, content_of};

fn example(name: &str) -> Vec<u8> {
    fs::read(house().join(format!("examples/{name}.wasm"))).unwrap()
}

fn has_wasm_target() -> bool {
    let output = Command::new("rustc")
        .current_dir(house())
        .args(["--print", "target-libdir", "--target", "wasm32-wasip1"])
        .output();
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success() && fs::metadata(folder).is_ok()
    })
}

#[test]
fn the_committed_examples_are_what_their_sources_build() {
    if !has_wasm_target() {
        println!("skipped: the toolchain has no target wasm32-wasip1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut build = Command::new(house().join("examples/build.sh"));
    build.arg(folder.path()).current_dir(house());
    // What this test was started by must not reach the compiler.
    for (name, _) in env::vars_os() {
        let is_ours = |name: &str| name.starts_with("CARGO_") || name == "RUSTC";
        if name != "CARGO_HOME" && name.to_str().is_some_and(is_ours) {
            build.env_remove(&name);
        }
    }
    assert!(script(&mut build));
    for name in ["hello", "sha256", "pathtracer"] {
        let built = fs::read(folder.path().join(format!("{name}.wasm"))).unwrap();
        assert!(built == example(name), "{name}.wasm differs from what its source builds");
    }
}

#[test]
fn hello_says_what_it_is_given() {
    let work = Work::new(&example("hello"))
        .arguments(&["one", "--exit", "3"])
        .environment(&["PLACE=idle"])
        .stdin(b"a\nb\n")
        .input(&[("a.txt", b"first"), ("b/c.txt", b"second")]);
    let outcome = on_both(&work);
    let report = "hello from a guest\nargument 1: one\nargument 2: --exit\nargument 3: 3\n\
        variable PLACE=idle\ninput a.txt\ninput b\nstdin: 2 lines\n";
    assert_eq!(outcome.usage.exit, Exit::Code(3));
    assert_eq!(text(&outcome, "stdout"), report);
    assert_eq!(text(&outcome, "out/hello.txt"), report);
    assert_eq!(outcome.manifest.entries().len(), 3);
    assert_pinned(
        &outcome,
        "825626020000000000030000004faa39920a820691484f25822a83dfc04c6913a1a39097e5e699c52a30f8b8bb",
        "6b14592be745a7750575f58fe753bd9e624ccc46a2bcc0af86297eefad2cf310",
    );
}

#[test]
fn sha256_hashes() {
    let work = Work::new(&example("sha256")).stdin(b"abc");
    let outcome = on_both(&work);
    assert_eq!(
        text(&outcome, "stdout"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n"
    );
    assert_pinned(
        &outcome,
        "3ee4b601000000000000000000e44f1e25ebdffc1963cfe266cd09c5ffc24f19656e48c6e04375ea15bee3e849",
        "74f445f04db50fe2f71eaa385160cd45bffc6b6bb2da8d7303fcc1a139829403",
    );
}

#[test]
fn a_tile_of_the_scene_is_the_same_everywhere() {
    let scene = fs::read(house().join("examples/scenes/idlewild.scene")).unwrap();
    let arguments = ["/in/scene", "--tiles", "16", "16", "--tile", "7", "9", "--samples", "1"];
    let work = Work::new(&example("pathtracer")).arguments(&arguments).input(&[("scene", &scene)]);
    let outcome = on_both(&work);
    assert_eq!(outcome.usage.exit, Exit::Code(0), "{}", text(&outcome, "stderr"));
    let tile = content_of(&outcome.manifest, &outcome.contents, "out/tile.ppm");
    assert!(tile.starts_with(b"P6\n"));
    assert_pinned(
        &outcome,
        "2e0c640c0000000000000000006095da53e6d848a179ef9eb335c05f5f59ea866279bb0ff4694626ccbdf18243",
        "72ef306123c4b41d98285abbaed7ce06648dcd60eb3330a63369293c8c470c3d",
    );
}
