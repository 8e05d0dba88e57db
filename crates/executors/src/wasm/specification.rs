//! The metering specification, version 2: what work costs and how large a program may be.
//!
//! Fuel counts what a program does, not how long a machine takes: the sum of the costs below over
//! the instructions of every basic block entered, plus what bulk operations and host calls move.
//! Costs are charged when a region of straight control flow is entered, so a trap inside the
//! region does not give the rest back. A function with loops keeps its count to itself between
//! two loop headers or calls, and what it counted since the last of them is lost in a trap: that
//! bills less, and the same everywhere. A change of any number here is a new version.
//!
//! A job first pays for making its program ready, whether or not a machine has it ready already:
//! a sum over its functions, of which the compilers' time is a multiple that has a bound (see
//! `instrument/effort.rs`). A job with less fuel than that ends without a compilation.

use wasmparser::Operator;

/// The version of this specification; part of every module cache key and of every offer.
pub const METERING_VERSION: u16 = 2;

/// The fuel of one host call, on top of the bytes that it moves.
pub const HOST_CALL_FUEL: u64 = 64;
/// How many bytes a host call moves for one unit of fuel.
pub const HOST_BYTES_PER_FUEL: u64 = 4;
/// The fuel of one page of linear memory, initial or grown.
pub const MEMORY_PAGE_FUEL: u64 = 4096;
/// The power of two of the bytes that a bulk memory instruction moves for one unit of fuel.
pub const BULK_BYTES_PER_FUEL_LOG2: u32 = 3;
/// The fuel of one table element that a bulk table instruction writes.
pub const TABLE_ELEMENT_FUEL: u64 = 2;
/// How many declared locals a function entry clears for one unit of fuel.
pub const LOCALS_PER_FUEL: u64 = 8;

/// The fuel of making a function ready, whatever its size.
pub const COMPILE_FUNCTION_FUEL: u64 = 32_768;
/// The fuel of making one byte of a function's body ready.
pub const COMPILE_BYTE_FUEL: u64 = 128;
/// The fuel of making a local ready, for each edge between pieces of code while it is in use.
pub const COMPILE_LIFE_FUEL: u64 = 256;
/// The fuel of each pair of straight pieces of code in one function.
pub const COMPILE_PAIR_FUEL: u64 = 4;

/// The call depth that a run may use, in bytes of metered frames.
pub const DEPTH_BYTES: u32 = 2 << 20;
/// The frame cost of every function, in bytes.
pub const FRAME_BASE_BYTES: u64 = 64;
/// The frame cost of one parameter, local or operand slot, in bytes.
pub const FRAME_SLOT_BYTES: u64 = 8;
/// The bytes of function body that add one byte to its frame cost: a bound on the values that an
/// optimiser can keep alive beyond those that the program names.
pub const FRAME_BODY_BYTES_PER_BYTE: u64 = 8;
/// The frame cost up to which a function that calls no other one is not depth-metered, in bytes.
pub const FRAME_LEAF_BYTES_MAX: u64 = 1024;
/// The native stack that a run needs in the worst case, in bytes: 64 native bytes for each metered
/// one, which is above what either engine spends even where it keeps every value of a body alive.
pub const NATIVE_STACK_BYTES: usize = 64 * DEPTH_BYTES as usize;

/// The fuel that a guest is handed at a time. It asks for more when a test finds that it has used
/// that up, and so burns at most this and one path without a test: a wall-clock limit is noticed
/// no later. Tests stand at loop headers, at the entry of functions that call others, at bulk
/// operations, and behind every [`CALLS_PER_TEST`]th call of a body.
pub const REFILL_FUEL: i64 = 1 << 22;
/// The calls of one body of which the last is followed by a test, since a function that calls no
/// other one has none at its entry.
pub const CALLS_PER_TEST: u32 = 64;

/// The size of a WebAssembly page, in bytes.
pub const PAGE_BYTES: u64 = 65_536;

/// Bounds on a module that do not depend on the job.
pub mod bounds {
    /// The bytes of a module.
    pub const MODULE_BYTES_MAX: usize = 16 << 20;
    /// The fuel of making a module ready.
    pub const MODULE_COMPILE_FUEL_MAX: u64 = 8_000_000_000;
    /// The fuel of making one function ready.
    pub const FUNCTION_COMPILE_FUEL_MAX: u64 = 400_000_000;
    /// The function types.
    pub const TYPES_MAX: u32 = 100_000;
    /// The imports.
    pub const IMPORTS_MAX: u32 = 1_000;
    /// The functions with a body.
    pub const FUNCTIONS_MAX: u32 = 200_000;
    /// The bytes of one function body.
    pub const FUNCTION_BYTES_MAX: usize = 256 << 10;
    /// The bytes of one instrumented function body: what every engine accepts.
    pub const INSTRUMENTED_FUNCTION_BYTES_MAX: usize = 7_654_321;
    /// The parameters and locals of one function.
    pub const LOCALS_MAX: u32 = 40_000;
    /// The control nesting inside one function.
    pub const NESTING_MAX: usize = 4_000;
    /// The globals.
    pub const GLOBALS_MAX: u32 = 10_000;
    /// The tables.
    pub const TABLES_MAX: u32 = 4;
    /// The elements of one table.
    pub const TABLE_ELEMENTS_MAX: u32 = 1 << 20;
    /// The element segments.
    pub const ELEMENT_SEGMENTS_MAX: u32 = 50_000;
    /// The data segments.
    pub const DATA_SEGMENTS_MAX: u32 = 50_000;
    /// The exports.
    pub const EXPORTS_MAX: u32 = 200_000;
    /// The pages of linear memory that any job may ask for: 4 GiB.
    pub const MEMORY_PAGES_MAX: u32 = 65_536;
}

/// Returns the fuel of one instruction, without what it charges by its operands.
#[must_use]
pub const fn instruction_fuel(operator: &Operator<'_>) -> u64 {
    use Operator as O;
    match operator {
        O::Nop | O::Drop | O::Block { .. } | O::Else | O::End => 0,
        O::Call { .. } => 6,
        O::CallIndirect { .. } => 10,
        O::BrTable { .. } => 3,
        O::I32DivS
        | O::I32DivU
        | O::I32RemS
        | O::I32RemU
        | O::I64DivS
        | O::I64DivU
        | O::I64RemS
        | O::I64RemU
        | O::F32Div
        | O::F64Div
        | O::F32Sqrt
        | O::F64Sqrt
        | O::F32x4Div
        | O::F64x2Div
        | O::F32x4Sqrt
        | O::F64x2Sqrt => 10,
        O::MemoryCopy { .. }
        | O::MemoryFill { .. }
        | O::MemoryInit { .. }
        | O::TableCopy { .. }
        | O::TableFill { .. }
        | O::TableInit { .. }
        | O::TableGrow { .. } => 40,
        O::MemoryGrow { .. } => 1_000,
        _ => 1,
    }
}

/// Returns the frame cost of a function with `slots` parameters, locals and operands and a body of
/// `body_bytes`.
#[must_use]
pub const fn frame_bytes(slots: u64, body_bytes: u64) -> u64 {
    FRAME_BASE_BYTES + FRAME_SLOT_BYTES * slots + body_bytes / FRAME_BODY_BYTES_PER_BYTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_instructions_cost_one() {
        assert_eq!(instruction_fuel(&Operator::I32Add), 1);
        assert_eq!(instruction_fuel(&Operator::F64Mul), 1);
        assert_eq!(instruction_fuel(&Operator::End), 0);
        assert_eq!(instruction_fuel(&Operator::I64RemU), 10);
    }

    #[test]
    fn a_frame_is_never_free() {
        assert_eq!(frame_bytes(0, 0), FRAME_BASE_BYTES);
        assert!(frame_bytes(4, 800) > frame_bytes(3, 800));
    }
}
