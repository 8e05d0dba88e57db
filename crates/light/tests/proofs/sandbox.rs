//! The library as a module for browsers, which gets nothing but its input.

use std::path::{Path, PathBuf};
use std::process::Command;

use types::{Encode, Subject};
use wasmi::{Engine, Instance, Linker, Memory, Module, Store};

use crate::network::{Network, lease_id};

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the module, where the toolchain can.
fn build() -> Option<PathBuf> {
    let folder = ["--print", "target-libdir", "--target", TARGET];
    let found = Command::new("rustc").args(folder).output().ok()?.stdout;
    if !Path::new(String::from_utf8(found).ok()?.trim()).is_dir() {
        println!("skipped: the toolchain has no target {TARGET}, `rustup target add {TARGET}`");
        return None;
    }
    // The folder of this test's own build, which has the tools that the build needs.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "ci", "--package", "light"])
        .args(["--example", "browser", "--target", TARGET, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the library does not build for {TARGET}");
    Some(target.join(TARGET).join("ci/examples/browser.wasm"))
}

/// The module at work.
struct Sandbox {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Sandbox {
    fn new(module: &[u8]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, module).unwrap();
        assert_eq!(module.imports().count(), 0, "it asks its host for something");
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        Self { store, instance, memory }
    }

    fn check(&mut self, genesis: &[u8], proof: &[u8]) -> i32 {
        let input = [genesis, proof].concat();
        let room = self.instance.get_typed_func::<u32, u32>(&self.store, "room").unwrap();
        let bytes = u32::try_from(input.len()).unwrap();
        let place = room.call(&mut self.store, bytes).unwrap();
        let place = usize::try_from(place).unwrap();
        self.memory.write(&mut self.store, place, &input).unwrap();
        let check = self.instance.get_typed_func::<u32, i32>(&self.store, "check").unwrap();
        check.call(&mut self.store, u32::try_from(genesis.len()).unwrap()).unwrap()
    }
}

#[test]
fn a_browser_checks_a_proof_without_a_host() {
    let Some(module) = build() else { return };
    let mut sandbox = Sandbox::new(&std::fs::read(module).unwrap());
    let mut network = Network::new("test");
    network.open_accounts(20);
    network.make_lease(lease_id(1));
    let genesis = serde_json::to_vec(&network.genesis).unwrap();
    let prove = |number| network.prove(Subject::Lease(lease_id(number))).to_bytes();
    assert_eq!(sandbox.check(&genesis, &prove(1)), 1);
    assert_eq!(sandbox.check(&genesis, &prove(2)), 0);
    let mut changed = prove(1);
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(sandbox.check(&genesis, &changed), -1);
    let other = serde_json::to_vec(&Network::new("other").genesis).unwrap();
    assert_eq!(sandbox.check(&other, &prove(1)), -1);
}
