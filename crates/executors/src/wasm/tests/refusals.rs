//! What is not a program, and what is said of it.

use super::{LIMITS, module};
use crate::wasm::instrument::{self, Instrumented, ModuleError, ModuleLimits};
use crate::wasm::specification::bounds;

fn instrument(module: &[u8], limits: &ModuleLimits) -> Result<Instrumented, ModuleError> {
    instrument::instrument(module, limits).map_err(|refusal| refusal.error)
}

fn refused(text: &str) -> ModuleError {
    instrument(&wat::parse_str(text).unwrap(), &LIMITS).unwrap_err()
}

/// A program with further fields.
fn program(fields: &str) -> String {
    format!("(module {fields} (memory (export \"memory\") 1) (func (export \"_start\")))")
}

#[test]
fn bytes_that_are_no_module() {
    assert_eq!(instrument(b"", &LIMITS), Err(ModuleError::NotWasm));
    assert_eq!(instrument(b"\x7fELF\x02\x01\x01\0", &LIMITS), Err(ModuleError::NotWasm));
    assert_eq!(instrument(b"\0asm\x0d\0\x01\0", &LIMITS), Err(ModuleError::Component));
    assert!(matches!(instrument(b"\0asm\x02\0\0\0", &LIMITS), Err(ModuleError::Invalid(_))));
}

#[test]
fn a_module_above_16_mib() {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.resize(bounds::MODULE_BYTES_MAX + 1, 0);
    let error = instrument(&bytes, &LIMITS).unwrap_err();
    assert!(matches!(error, ModuleError::TooLarge { what: "bytes of the module", .. }));
}

#[test]
fn every_truncation_that_loses_more_than_names_is_an_error() {
    let whole = module(
        "(data $d \"abc\") (table funcref (elem $f)) (global (mut i32) (i32.const 1))
         (func $f (param i32) (result i32) (loop $l (br_if $l (local.get 0))) (local.get 0))",
        "(memory.init $d (i32.const 0) (i32.const 0) (call $f (i32.const 0)))",
    );
    let instrumented = instrument(&whole, &LIMITS).unwrap();
    for length in 0..whole.len() {
        // What stands behind the last needed section are names only.
        if let Ok(cut) = instrument(&whole[..length], &LIMITS) {
            assert!(length > whole.len() / 2 && cut == instrumented, "{length}");
        }
    }
}

#[test]
fn no_single_damaged_byte_makes_a_panic() {
    let whole = module(
        "(func $f (param f64) (result f64) (f64.sqrt (local.get 0)))",
        "(drop (call $f (f64.const 2)))",
    );
    for index in 0..whole.len() {
        for value in [0, 1, 0x0b, 0x40, 0x7f, 0x80, 0xfc, 0xfd, 0xff] {
            let mut damaged = whole.clone();
            damaged[index] = value;
            if let Ok(instrumented) = instrument(&damaged, &LIMITS) {
                wasmparser::Validator::new_with_features(crate::wasm::instrument::FEATURES)
                    .validate_all(&instrumented.module)
                    .unwrap();
            }
        }
    }
}

#[test]
fn an_import_that_no_host_provides() {
    let unknown = |module: &str, name: &str| ModuleError::UnknownImport {
        module: module.to_owned(),
        name: name.to_owned(),
    };
    assert_eq!(refused(&program("(import \"env\" \"f\" (func))")), unknown("env", "f"));
    assert_eq!(
        refused(&program("(import \"wasi_snapshot_preview1\" \"sock_bind\" (func))")),
        unknown("wasi_snapshot_preview1", "sock_bind")
    );
    assert_eq!(
        refused(&program("(import \"idlewild\" \"refill\" (func))")),
        unknown("idlewild", "refill")
    );
    assert_eq!(
        refused(&program("(import \"wasi_snapshot_preview1\" \"proc_exit\" (global i32))")),
        unknown("wasi_snapshot_preview1", "proc_exit")
    );
}

#[test]
fn an_import_with_a_wrong_type() {
    let error =
        refused(&program("(import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i64)))"));
    assert!(matches!(error, ModuleError::ImportType { .. }));
}

#[test]
fn exports_that_are_missing_or_reserved() {
    assert_eq!(
        refused("(module (memory (export \"memory\") 1))"),
        ModuleError::MissingExport("_start")
    );
    assert_eq!(
        refused("(module (func (export \"_start\")))"),
        ModuleError::MissingExport("memory")
    );
    assert_eq!(
        refused("(module (memory (export \"memory\") 1) (func (export \"_start\") (param i32)))"),
        ModuleError::MissingExport("_start")
    );
    assert_eq!(
        refused(&program("(global (export \"idlewild:fuel\") (mut i64) (i64.const 0))")),
        ModuleError::ReservedName("idlewild:fuel".to_owned())
    );
}

#[test]
fn disabled_proposals_are_named() {
    let proposal = |fields: &str| match refused(&program(fields)) {
        ModuleError::DisabledProposal { proposal } => proposal,
        other => panic!("{fields}: {other:?}"),
    };
    assert_eq!(proposal("(func (drop (i32.atomic.load (i32.const 0))))"), "threads");
    assert_eq!(
        proposal(
            "(func (param v128) (result v128)
            (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))"
        ),
        "relaxed SIMD"
    );
    assert_eq!(proposal("(memory 1)"), "multiple memories");
    assert_eq!(proposal("(func $f (return_call $f))"), "tail calls");
    assert_eq!(proposal("(tag) (func (throw 0))"), "exceptions");
    assert_eq!(proposal("(func (param externref))"), "external references");
    assert_eq!(proposal("(type (struct))"), "garbage collection");
    assert_eq!(
        proposal("(global i32 (i32.add (i32.const 1) (i32.const 1)))"),
        "extended constant expressions"
    );
    assert_eq!(
        refused("(module (memory (export \"memory\") i64 1) (func (export \"_start\")))"),
        ModuleError::DisabledProposal { proposal: "64-bit memory" }
    );
}

#[test]
fn active_segments_end_within_what_they_fill() {
    let fits = |fields: &str| instrument(&wat::parse_str(program(fields)).unwrap(), &LIMITS);
    assert!(fits("(data (i32.const 65535) \"x\") (data (i32.const 65536) \"\")").is_ok());
    let outside = |what, of| ModuleError::SegmentOutside { what, index: 0, of };
    let data = outside("the data segment", "memory");
    assert_eq!(fits("(data (i32.const 65536) \"x\")"), Err(data.clone()));
    assert_eq!(fits("(data (i32.const -1) \"\")"), Err(data));
    assert!(fits("(table 2 funcref) (func $f) (elem (i32.const 1) func $f)").is_ok());
    let element = outside("the element segment", "table");
    assert_eq!(
        fits(
            "(table 9 funcref) (table $t 2 funcref) (func $f)
              (elem (table $t) (i32.const 2) func $f)"
        ),
        Err(element)
    );
    // What a program copies itself may lie anywhere.
    assert!(fits("(data \"never copied\") (elem func)").is_ok());
}

#[test]
fn memory_and_nesting_above_the_limits() {
    assert!(matches!(
        refused("(module (memory (export \"memory\") 65) (func (export \"_start\")))"),
        ModuleError::TooLarge { what: "pages of memory", actual: 65, limit: 64 }
    ));
    let nested = |depth: usize| {
        let body = "(block ".repeat(depth) + &")".repeat(depth);
        instrument(&module("", &body), &LIMITS)
    };
    assert!(nested(bounds::NESTING_MAX - 1).is_ok());
    assert!(matches!(nested(bounds::NESTING_MAX), Err(ModuleError::TooLarge { .. })));
}
