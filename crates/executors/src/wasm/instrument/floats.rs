//! Which instructions can make a NaN whose bits the machine chooses, and who can see them.
//!
//! WebAssembly leaves sign and payload of a NaN that arithmetic makes to the machine. The
//! instrumented module replaces such a NaN by the canonical one, but only where a later
//! instruction could see the bits: arithmetic and comparisons on the same lanes cannot, stores,
//! calls, reinterpretations and everything else can. Values that were loaded or passed in keep
//! their bits, so programs that box values in NaNs work.

use wasmparser::Operator;

/// How the bits of a value are cut into floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatKind {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// What an instruction does with the NaNs of its float operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatRole {
    /// Reads operands of the first kind by value, yields a fresh NaN of the second kind.
    Arithmetic(FloatKind, FloatKind),
    /// Reads operands of this kind by value, yields no float.
    Consumes(FloatKind),
    /// Hands lanes of the first kind on as lanes of the second, bit for bit.
    Passes(FloatKind, FloatKind),
    /// Yields a float that is not a NaN, or the canonical one; of vectors, all zeros.
    Clean,
    /// Sees the bits of its operands; yields bits of unknown origin.
    Opaque,
}

pub(super) const CANONICAL_F32: u32 = 0x7fc0_0000;
pub(super) const CANONICAL_F64: u64 = 0x7ff8_0000_0000_0000;

pub(super) fn role(operator: &Operator<'_>) -> FloatRole {
    use FloatKind::{F32, F64};
    use FloatRole::{Arithmetic, Clean, Consumes, Opaque, Passes};
    use Operator as O;
    match operator {
        O::F32Const { value } if is_clean_f32(value.bits()) => Clean,
        O::F64Const { value } if is_clean_f64(value.bits()) => Clean,
        O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest | O::F32Sqrt => Arithmetic(F32, F32),
        O::F32Add | O::F32Sub | O::F32Mul | O::F32Div | O::F32Min | O::F32Max => {
            Arithmetic(F32, F32)
        }
        O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest | O::F64Sqrt => Arithmetic(F64, F64),
        O::F64Add | O::F64Sub | O::F64Mul | O::F64Div | O::F64Min | O::F64Max => {
            Arithmetic(F64, F64)
        }
        O::F32DemoteF64 => Arithmetic(F64, F32),
        O::F64PromoteF32 => Arithmetic(F32, F64),
        O::F32Eq | O::F32Ne | O::F32Lt | O::F32Gt | O::F32Le | O::F32Ge => Consumes(F32),
        O::F64Eq | O::F64Ne | O::F64Lt | O::F64Gt | O::F64Le | O::F64Ge => Consumes(F64),
        O::I32TruncF32S | O::I32TruncF32U | O::I64TruncF32S | O::I64TruncF32U => Consumes(F32),
        O::I32TruncF64S | O::I32TruncF64U | O::I64TruncF64S | O::I64TruncF64U => Consumes(F64),
        O::I32TruncSatF32S | O::I32TruncSatF32U => Consumes(F32),
        O::I64TruncSatF32S | O::I64TruncSatF32U => Consumes(F32),
        O::I32TruncSatF64S | O::I32TruncSatF64U => Consumes(F64),
        O::I64TruncSatF64S | O::I64TruncSatF64U => Consumes(F64),
        O::F32ConvertI32S | O::F32ConvertI32U | O::F32ConvertI64S | O::F32ConvertI64U => Clean,
        O::F64ConvertI32S | O::F64ConvertI32U | O::F64ConvertI64S | O::F64ConvertI64U => Clean,
        O::F32Abs => Passes(F32, F32),
        O::F64Abs => Passes(F64, F64),
        _ => vector_role(operator).unwrap_or(Opaque),
    }
}

fn vector_role(operator: &Operator<'_>) -> Option<FloatRole> {
    use FloatKind::{F32, F32x4, F64, F64x2};
    use FloatRole::{Arithmetic, Clean, Consumes, Passes};
    use Operator as O;
    Some(match operator {
        O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest | O::F32x4Sqrt => {
            Arithmetic(F32x4, F32x4)
        }
        O::F32x4Add | O::F32x4Sub | O::F32x4Mul | O::F32x4Div | O::F32x4Min | O::F32x4Max => {
            Arithmetic(F32x4, F32x4)
        }
        O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest | O::F64x2Sqrt => {
            Arithmetic(F64x2, F64x2)
        }
        O::F64x2Add | O::F64x2Sub | O::F64x2Mul | O::F64x2Div | O::F64x2Min | O::F64x2Max => {
            Arithmetic(F64x2, F64x2)
        }
        O::F32x4DemoteF64x2Zero => Arithmetic(F64x2, F32x4),
        O::F64x2PromoteLowF32x4 => Arithmetic(F32x4, F64x2),
        O::F32x4Eq | O::F32x4Ne | O::F32x4Lt | O::F32x4Gt | O::F32x4Le | O::F32x4Ge => {
            Consumes(F32x4)
        }
        O::F64x2Eq | O::F64x2Ne | O::F64x2Lt | O::F64x2Gt | O::F64x2Le | O::F64x2Ge => {
            Consumes(F64x2)
        }
        O::I32x4TruncSatF32x4S | O::I32x4TruncSatF32x4U => Consumes(F32x4),
        O::I32x4TruncSatF64x2SZero | O::I32x4TruncSatF64x2UZero => Consumes(F64x2),
        O::V128Const { value } if value.i128() == 0 => Clean,
        O::F32x4Abs | O::F32x4PMin | O::F32x4PMax => Passes(F32x4, F32x4),
        O::F64x2Abs | O::F64x2PMin | O::F64x2PMax => Passes(F64x2, F64x2),
        O::F32x4Splat => Passes(F32, F32x4),
        O::F64x2Splat => Passes(F64, F64x2),
        O::F32x4ExtractLane { .. } => Passes(F32x4, F32),
        O::F64x2ExtractLane { .. } => Passes(F64x2, F64),
        _ => return None,
    })
}

fn is_clean_f32(bits: u32) -> bool {
    !f32::from_bits(bits).is_nan() || bits == CANONICAL_F32
}

fn is_clean_f64(bits: u64) -> bool {
    !f64::from_bits(bits).is_nan() || bits == CANONICAL_F64
}
