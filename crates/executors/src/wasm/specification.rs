//! The metering specification, version 1: what work costs and how large a program may be.
//!
//! Fuel counts what a program does, not how long a machine takes: the sum of the costs below over
//! the instructions of every basic block entered, plus what bulk operations and host calls move.
//! Costs are charged when a region of straight control flow is entered, so a trap inside the
//! region does not give the rest back. A change of any number here is a new version.

use wasmparser::Operator;

/// The version of this specification; part of every module cache key and of every offer.
pub const METERING_VERSION: u16 = 1;

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

/// The most fuel that a guest may burn before it asks the host for more; bounds how late a
/// wall-clock limit is noticed.
pub const REFILL_FUEL: i64 = 1 << 22;

/// The size of a WebAssembly page, in bytes.
pub const PAGE_BYTES: u64 = 65_536;

/// Bounds on a module that do not depend on the job.
pub mod bounds {
    /// The bytes of a module.
    pub const MODULE_BYTES_MAX: usize = 64 << 20;
    /// The function types.
    pub const TYPES_MAX: u32 = 100_000;
    /// The imports.
    pub const IMPORTS_MAX: u32 = 1_000;
    /// The functions with a body.
    pub const FUNCTIONS_MAX: u32 = 200_000;
    /// The bytes of one function body.
    pub const FUNCTION_BYTES_MAX: usize = 4 << 20;
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
