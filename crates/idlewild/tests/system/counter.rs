//! A program whose work is as long as one likes, and whose answer is known without doing it.
//!
//! It maps x to x·`FACTOR` + `ADDEND` modulo 2⁶⁴, from 1 on and as often as it was told, and
//! writes the last x as sixteen letters from `a` to `p`, to its standard output or to a file of
//! `/out`. What it has to write follows here from squaring the map, in as many steps as the count
//! has bits.

const FACTOR: u64 = 6_364_136_223_846_793_005;
const ADDEND: u64 = 1_442_695_040_888_963_407;

/// Opens a file.
const OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;
/// Makes the file `a` of descriptor 5, which is `/out`, to be written to; its name is made here.
const OUT_FILE: &str = "(block (result i32)
    (i32.store8 (i32.const 32) (i32.const 97))
    (if (call $open (i32.const 5) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 1)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 36)) (then unreachable))
    (i32.load (i32.const 36)))";

/// Returns the program that takes `steps` steps, at least one, as a WebAssembly module.
pub(crate) fn program(steps: u64) -> Vec<u8> {
    module(steps, "", "(i32.const 1)")
}

/// Returns one that writes a file.
pub(crate) fn program_with_file(steps: u64) -> Vec<u8> {
    module(steps, OPEN, OUT_FILE)
}

/// Returns one that writes to the descriptor that an expression gives.
fn module(steps: u64, import: &str, descriptor: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          {import}
          (memory (export "memory") 1)
          (func (export "_start")
            (local $left i64) (local $x i64) (local $place i32)
            (local.set $left (i64.const {steps}))
            (local.set $x (i64.const 1))
            (loop $step
              (local.set $x
                (i64.add (i64.mul (local.get $x) (i64.const {FACTOR})) (i64.const {ADDEND})))
              (local.set $left (i64.sub (local.get $left) (i64.const 1)))
              (br_if $step (i64.ne (local.get $left) (i64.const 0))))
            (local.set $place (i32.const 31))
            (loop $letter
              (i32.store8 (local.get $place)
                (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $x) (i64.const 15)))))
              (local.set $x (i64.shr_u (local.get $x) (i64.const 4)))
              (local.set $place (i32.sub (local.get $place) (i32.const 1)))
              (br_if $letter (i32.ge_u (local.get $place) (i32.const 16))))
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const 16))
            (if (call $write {descriptor} (i32.const 0) (i32.const 1) (i32.const 8))
              (then unreachable))))"#
    );
    wat::parse_str(text).unwrap()
}

/// Returns what the program of so many steps writes.
pub(crate) fn answer(steps: u64) -> String {
    let (mut factor, mut addend) = (FACTOR, ADDEND);
    let mut x: u64 = 1;
    let mut left = steps;
    while left > 0 {
        if left % 2 == 1 {
            x = x.wrapping_mul(factor).wrapping_add(addend);
        }
        addend = addend.wrapping_mul(factor).wrapping_add(addend);
        factor = factor.wrapping_mul(factor);
        left /= 2;
    }
    (0..16).rev().map(|digit| char::from(b'a' + (x >> (4 * digit)).to_le_bytes()[0] % 16)).collect()
}
