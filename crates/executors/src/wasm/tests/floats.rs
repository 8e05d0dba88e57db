//! NaNs: canonical where arithmetic made them, untouched where the program did.

use super::{check, module, run_both};
use crate::wasm::engine::Exit;

/// Stores the value of an expression and compares its bits on both engines.
fn bits64(expression: &str, expected: u64) {
    let start = format!(
        "(f64.store (i32.const 0) {expression})
         (if (i64.ne (i64.load (i32.const 0)) (i64.const {expected})) (then unreachable))"
    );
    check("", &start, Exit::Code(0));
}

fn bits32(expression: &str, expected: u32) {
    let start = format!(
        "(f32.store (i32.const 0) {expression})
         (if (i32.ne (i32.load (i32.const 0)) (i32.const {expected})) (then unreachable))"
    );
    check("", &start, Exit::Code(0));
}

const NAN64: u64 = 0x7ff8_0000_0000_0000;
const NAN32: u32 = 0x7fc0_0000;

#[test]
fn arithmetic_makes_canonical_nans() {
    let odd = "(f64.const -nan:0xc000000000001)";
    for op in ["add", "sub", "mul", "div", "min", "max"] {
        bits64(&format!("(f64.{op} {odd} (f64.const 1))"), NAN64);
        bits64(&format!("(f64.{op} (f64.const 1) {odd})"), NAN64);
        bits32(&format!("(f32.{op} (f32.const -nan:0x600001) (f32.const 1))"), NAN32);
    }
    for op in ["sqrt", "ceil", "floor", "trunc", "nearest"] {
        bits64(&format!("(f64.{op} {odd})"), NAN64);
        bits32(&format!("(f32.{op} (f32.const -nan:0x600001))"), NAN32);
    }
    bits64("(f64.div (f64.const 0) (f64.const 0))", NAN64);
    bits64("(f64.sqrt (f64.const -1))", NAN64);
    bits64("(f64.sub (f64.const inf) (f64.const inf))", NAN64);
    bits64("(f64.promote_f32 (f32.const -nan:0x600001))", NAN64);
    bits32(&format!("(f32.demote_f64 {odd})"), NAN32);
}

#[test]
fn chains_of_arithmetic_are_canonical_at_their_end() {
    bits64(
        "(f64.sqrt (f64.mul (f64.add (f64.const -nan:0x8000000000001) (f64.const 1))
           (f64.const 2)))",
        NAN64,
    );
    bits64("(f64.abs (f64.sqrt (f64.const -1)))", NAN64);
    bits64("(f64.neg (f64.sqrt (f64.const -1)))", NAN64 | 1 << 63);
    bits64("(f64.copysign (f64.const 1) (f64.sqrt (f64.const -1)))", 1.0_f64.to_bits());
    bits64(
        "(select (f64.sqrt (f64.const -1)) (f64.add (f64.const 1) (f64.const 1)) (i32.const 1))",
        NAN64,
    );
}

#[test]
fn moves_keep_the_bits_of_boxed_values() {
    let boxed = 0xfff9_1234_5678_9abc_u64;
    let start = format!(
        "(local $v f64)
         (i64.store (i32.const 0) (i64.const {boxed}))
         (local.set $v (f64.load (i32.const 0)))
         (f64.store (i32.const 8) (select (local.get $v) (f64.const 0) (i32.const 1)))
         (f64.store (i32.const 16) (call $id (local.get $v)))
         (f64.store (i32.const 24) (f64.reinterpret_i64 (i64.const {boxed})))
         (if (i64.ne (i64.load (i32.const 8)) (i64.const {boxed})) (then unreachable))
         (if (i64.ne (i64.load (i32.const 16)) (i64.const {boxed})) (then unreachable))
         (if (i64.ne (i64.load (i32.const 24)) (i64.const {boxed})) (then unreachable))"
    );
    check("(func $id (param f64) (result f64) (local.get 0))", &start, Exit::Code(0));
}

#[test]
fn a_local_that_accumulates_is_canonical_when_it_is_seen() {
    let start = format!(
        "(local $sum f64) (local $i i32)
         (loop $l
           (local.set $sum (f64.add (local.get $sum) (f64.sqrt (f64.const -4))))
           (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
             (i32.const 10))))
         (f64.store (i32.const 0) (local.get $sum))
         (if (i64.ne (i64.load (i32.const 0)) (i64.const {NAN64})) (then unreachable))
         (if (i64.ne (i64.reinterpret_f64 (local.get $sum)) (i64.const {NAN64}))
           (then unreachable))"
    );
    check("", &start, Exit::Code(0));
}

#[test]
fn a_local_that_also_holds_loaded_bits_keeps_them() {
    let boxed = 0x7ff4_0000_0000_0001_u64;
    let start = format!(
        "(local $v f64) (local $i i32)
         (i64.store (i32.const 0) (i64.const {boxed}))
         (loop $l
           (if (local.get $i) (then (local.set $v (f64.load (i32.const 0))))
             (else (local.set $v (f64.sqrt (f64.const -1)))))
           (f64.store (i32.const 8) (local.get $v))
           (if (i64.ne (i64.load (i32.const 8))
                 (select (i64.const {boxed}) (i64.const {NAN64}) (local.get $i)))
             (then unreachable))
           (br_if $l (i32.eqz (local.tee $i (i32.add (local.get $i) (i32.const 1))))))"
    );
    check("", &start, Exit::Code(0));
}

#[test]
fn vector_lanes_are_canonical_too() {
    let quiet = "(v128.const f32x4 nan:0x600001 1 -nan:0x700000 2)";
    let start = format!(
        "(v128.store (i32.const 0) (f32x4.add {quiet} {quiet}))
         (v128.store (i32.const 16) (f64x2.sqrt (v128.const f64x2 -1 4)))
         (v128.store (i32.const 32) (f32x4.demote_f64x2_zero
           (v128.const f64x2 -nan:0x9000000000000 1)))
         (v128.store (i32.const 48) (f32x4.div
           (v128.const i32x4 0 0 0 0) (v128.const i32x4 0 0 0 0)))
         (if (i32.ne (i32.load (i32.const 0)) (i32.const {NAN32})) (then unreachable))
         (if (i32.ne (i32.load (i32.const 8)) (i32.const {NAN32})) (then unreachable))
         (if (f32.ne (f32.load (i32.const 12)) (f32.const 4)) (then unreachable))
         (if (i64.ne (i64.load (i32.const 16)) (i64.const {NAN64})) (then unreachable))
         (if (f64.ne (f64.load (i32.const 24)) (f64.const 2)) (then unreachable))
         (if (i32.ne (i32.load (i32.const 32)) (i32.const {NAN32})) (then unreachable))
         (if (i32.ne (i32.load (i32.const 60)) (i32.const {NAN32})) (then unreachable))"
    );
    check("", &start, Exit::Code(0));
}

#[test]
fn lanes_seen_as_another_type_are_canonical_first() {
    let start = "(local $v v128) (local $i i32)
        (loop $l
          (local.set $v (f32x4.add (local.get $v) (f32x4.sqrt (v128.const f32x4 -1 1 -1 1))))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (i32.const 5))))
        (v128.store (i32.const 0) (f64x2.add (local.get $v) (v128.const f64x2 0 0)))
        (v128.store (i32.const 16) (i32x4.add (local.get $v) (v128.const i32x4 1 1 1 1)))
        (if (i32.ne (i32.load (i32.const 16)) (i32.const 0x7fc00001)) (then unreachable))
        (f32.store (i32.const 32) (f32x4.extract_lane 0 (local.get $v)))
        (if (i32.ne (i32.load (i32.const 32)) (i32.const 0x7fc00000)) (then unreachable))";
    assert_eq!(run_both(&module("", start), super::FUEL).exit, Exit::Code(0));
}
