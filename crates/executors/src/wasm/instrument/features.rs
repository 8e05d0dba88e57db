//! Which WebAssembly a program may use, and what to say of one that uses more.

use wasmparser::{Parser, Validator, WasmFeatures};

use super::error::ModuleError;

/// The proposals that a program may use.
pub(in crate::wasm) const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD);

const GC: WasmFeatures =
    WasmFeatures::GC.union(WasmFeatures::GC_TYPES).union(WasmFeatures::FUNCTION_REFERENCES);

/// The proposals that are off, in the order in which they are tried as the cause of a failure.
const DISABLED: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::RELAXED_SIMD, "relaxed SIMD"),
    (WasmFeatures::MEMORY64, "64-bit memory"),
    (WasmFeatures::MULTI_MEMORY, "multiple memories"),
    (WasmFeatures::TAIL_CALL, "tail calls"),
    (WasmFeatures::GC_TYPES, "external references"),
    (WasmFeatures::EXCEPTIONS.union(WasmFeatures::GC_TYPES), "exceptions"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "legacy exceptions"),
    (WasmFeatures::EXTENDED_CONST, "extended constant expressions"),
    (WasmFeatures::FUNCTION_REFERENCES, "typed function references"),
    (GC, "garbage collection"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything threads"),
    (WasmFeatures::COMPACT_IMPORTS, "compact imports"),
];

/// The bytes of the largest module that is read again to name what it uses.
const DIAGNOSED_BYTES_MAX: usize = 1 << 20;

/// Names the proposal that lets `module` pass the point at which it failed with `error`, or gives
/// the failure itself.
pub(super) fn diagnose(module: &[u8], error: &wasmparser::Error) -> ModuleError {
    if module.len() > DIAGNOSED_BYTES_MAX {
        return ModuleError::Invalid(error.to_string());
    }
    for (feature, proposal) in DISABLED {
        let features = FEATURES.union(*feature);
        let further = match first_error(module, features) {
            None => true,
            Some(next) => next.offset() > error.offset(),
        };
        if further {
            return ModuleError::DisabledProposal { proposal };
        }
    }
    ModuleError::Invalid(error.to_string())
}

fn first_error(module: &[u8], features: WasmFeatures) -> Option<wasmparser::Error> {
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut validator = Validator::new_with_features(features);
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    for payload in parser.parse_all(module) {
        let result = payload.and_then(|payload| match validator.payload(&payload)? {
            wasmparser::ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(std::mem::take(&mut allocations));
                function.validate(&body)?;
                allocations = function.into_allocations();
                Ok(())
            }
            _ => Ok(()),
        });
        if let Err(error) = result {
            return Some(error);
        }
    }
    None
}
