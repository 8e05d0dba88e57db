//! Writes one instrumented function by its plan.
//!
//! A function without loops takes fuel straight from the global. One with loops keeps the fuel in
//! a local, stores it to the global at every loop header and around every call, and so never holds
//! more than one acyclic path of unpaid work. Fuel and depth are tested where work could repeat:
//! at loop headers, at the entry of functions that call others, and behind some of many calls in
//! one body. A failed test calls the host, which hands out the next part of the fuel or ends the
//! run.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Encode, Function, Ieee32, Ieee64, Instruction as I, ValType};
use wasmparser::{FunctionBody, Operator};

use super::analysis::Plan;
use super::error::Failure;
use super::floats::{CANONICAL_F32, CANONICAL_F64, FloatKind};
use crate::wasm::specification::{
    BULK_BYTES_PER_FUEL_LOG2, CALLS_PER_TEST, FRAME_LEAF_BYTES_MAX, MEMORY_PAGE_FUEL,
    TABLE_ELEMENT_FUEL,
};

/// The indices of what instrumented code refers to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metering {
    /// The global that holds the fuel.
    pub(super) fuel: u32,
    /// The global that holds the depth left.
    pub(super) depth: u32,
    /// The imported function that is called when a test fails.
    pub(super) refill: u32,
    /// The pages up to which the memory may grow.
    pub(super) pages_max: u32,
    /// The elements up to which a table may grow.
    pub(super) elements_max: u32,
}

/// An instrumented function.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) function: Function,
    /// The offsets of the added branches and whether each is taken as a rule.
    pub(super) hints: Vec<(u32, bool)>,
}

/// Writes the function whose locals number `locals` (with parameters) and whose results fit
/// `results`.
pub(super) fn emit<R: Reencode>(
    rewriter: &mut R,
    metering: Metering,
    plan: &Plan,
    body: &FunctionBody<'_>,
    signature: Signature,
) -> Result<Emitted, Failure>
where
    Failure: From<wasm_encoder::reencode::Error<R::Error>>,
{
    let mut declared = Vec::new();
    let mut locals = signature.params;
    for pair in body.get_locals_reader()? {
        let (count, ty) = pair?;
        locals += count;
        declared.push((count, rewriter.val_type(ty)?));
    }
    let metered = plan.calls || plan.frame_bytes > FRAME_LEAF_BYTES_MAX;
    let mut emitter = Emitter {
        metering,
        code: Vec::with_capacity(body.as_bytes().len() * 2),
        hints: Vec::new(),
        locals,
        scratch: Vec::new(),
        cached: None,
        depth: metered.then_some(i64::try_from(plan.frame_bytes).unwrap_or(i64::MAX)),
        open: 0,
        wrapped: plan.loops || metered,
        calls: 0,
    };
    if plan.loops {
        emitter.cached = Some(emitter.scratch(ValType::I64, 0));
    }
    let mut charges = plan.charges.iter().copied();
    emitter.prologue(charges.next().unwrap_or(0), signature.results);
    let mut reader = body.get_operators_reader()?;
    for note in &plan.notes {
        let operator = reader.read()?;
        if note.dead {
            continue;
        }
        let is_loop = matches!(operator, Operator::Loop { .. });
        emitter.operator(rewriter, operator)?;
        if let Some(kind) = note.canonical {
            emitter.canonicalise(kind);
        }
        if note.segment {
            let fuel = charges.next().unwrap_or(0);
            emitter.charge(fuel);
            if is_loop {
                emitter.sync();
                emitter.test();
            }
        }
    }
    declared.extend(emitter.scratch.iter().map(|(ty, _)| (1, *ty)));
    let mut function = Function::new(declared);
    let header = u32::try_from(function.byte_len()).unwrap_or(u32::MAX);
    let shifted = |(offset, taken): &(u32, bool)| (offset.saturating_add(header), *taken);
    let hints = emitter.hints.iter().map(shifted).collect();
    function.raw(emitter.code);
    Ok(Emitted { function, hints })
}

/// What the emitter must know of a function's type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    /// The number of parameters.
    pub(super) params: u32,
    /// The type of a block with the function's results.
    pub(super) results: BlockType,
}

struct Emitter {
    metering: Metering,
    code: Vec<u8>,
    hints: Vec<(u32, bool)>,
    locals: u32,
    scratch: Vec<(ValType, u8)>,
    /// The local that caches the fuel.
    cached: Option<u32>,
    /// The frame cost, if depth is metered here.
    depth: Option<i64>,
    /// The open blocks of the original code.
    open: u32,
    /// The body stands in a block, behind which an epilogue follows.
    wrapped: bool,
    /// The calls put so far.
    calls: u32,
}

impl Emitter {
    fn put(&mut self, instruction: &I<'_>) {
        instruction.encode(&mut self.code);
    }

    fn put_all(&mut self, instructions: &[I<'_>]) {
        instructions.iter().for_each(|instruction| self.put(instruction));
    }

    /// Returns the scratch local of a type and purpose.
    fn scratch(&mut self, ty: ValType, purpose: u8) -> u32 {
        let found = self.scratch.iter().position(|entry| *entry == (ty, purpose));
        let index = found.unwrap_or_else(|| {
            self.scratch.push((ty, purpose));
            self.scratch.len() - 1
        });
        self.locals + u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn prologue(&mut self, fuel: u64, results: BlockType) {
        if let Some(local) = self.cached {
            self.put_all(&[I::GlobalGet(self.metering.fuel), I::LocalSet(local)]);
        }
        self.charge(fuel);
        if let Some(frame) = self.depth {
            let depth = self.metering.depth;
            self.put_all(&[I::GlobalGet(depth), I::I64Const(frame), I::I64Sub]);
            self.put(&I::GlobalSet(depth));
            self.sync();
            self.push_fuel();
            self.put_all(&[I::GlobalGet(depth), I::I64Or]);
            self.refill_if_negative();
        }
        if self.wrapped {
            self.put(&I::Block(results));
        }
    }

    fn epilogue(&mut self) {
        if !self.wrapped {
            return;
        }
        self.put(&I::End);
        self.sync();
        if let Some(frame) = self.depth {
            let depth = self.metering.depth;
            self.put_all(&[I::GlobalGet(depth), I::I64Const(frame), I::I64Add]);
            self.put(&I::GlobalSet(depth));
        }
    }

    fn push_fuel(&mut self) {
        let place = self.cached.map_or(I::GlobalGet(self.metering.fuel), I::LocalGet);
        self.put(&place);
    }

    fn pop_fuel(&mut self) {
        let place = self.cached.map_or(I::GlobalSet(self.metering.fuel), I::LocalSet);
        self.put(&place);
    }

    fn charge(&mut self, fuel: u64) {
        if fuel > 0 {
            self.push_fuel();
            self.put_all(&[I::I64Const(i64::try_from(fuel).unwrap_or(i64::MAX)), I::I64Sub]);
            self.pop_fuel();
        }
    }

    /// Stores cached fuel to the global.
    fn sync(&mut self) {
        if let Some(local) = self.cached {
            self.put_all(&[I::LocalGet(local), I::GlobalSet(self.metering.fuel)]);
        }
    }

    /// Loads the fuel from the global into the cache.
    fn reload(&mut self) {
        if let Some(local) = self.cached {
            self.put_all(&[I::GlobalGet(self.metering.fuel), I::LocalSet(local)]);
        }
    }

    fn test(&mut self) {
        self.push_fuel();
        self.refill_if_negative();
    }

    fn refill_if_negative(&mut self) {
        self.put_all(&[I::I64Const(0), I::I64LtS]);
        self.hint(false);
        self.put_all(&[I::If(BlockType::Empty), I::Call(self.metering.refill)]);
        self.reload();
        self.put(&I::End);
    }

    /// Says of the branch that is put next whether it is taken as a rule.
    fn hint(&mut self, taken: bool) {
        self.hints.push((u32::try_from(self.code.len()).unwrap_or(u32::MAX), taken));
    }

    fn operator<R: Reencode>(
        &mut self,
        rewriter: &mut R,
        operator: Operator<'_>,
    ) -> Result<(), Failure>
    where
        Failure: From<wasm_encoder::reencode::Error<R::Error>>,
    {
        match &operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => self.open += 1,
            Operator::End if self.open == 0 => self.epilogue(),
            Operator::End => self.open -= 1,
            Operator::Return if self.wrapped => {
                self.put(&I::Br(self.open));
                return Ok(());
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.sync();
                self.put(&rewriter.instruction(operator)?);
                self.reload();
                self.calls = self.calls.wrapping_add(1);
                if self.calls.is_multiple_of(CALLS_PER_TEST) {
                    self.test();
                }
                return Ok(());
            }
            Operator::MemoryGrow { .. } => {
                self.charge_operand(MEMORY_PAGE_FUEL, Some(self.metering.pages_max));
            }
            Operator::TableGrow { .. } => {
                self.charge_operand(TABLE_ELEMENT_FUEL, Some(self.metering.elements_max));
            }
            Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. } => {
                self.charge_operand(TABLE_ELEMENT_FUEL, None);
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. } => self.charge_bytes(),
            _ => {}
        }
        let instruction = rewriter.instruction(operator)?;
        self.put(&instruction);
        Ok(())
    }

    /// Charges `each` for every unit of the operand on top; nothing if it is above `limit`, for
    /// then the instruction fails without work.
    fn charge_operand(&mut self, each: u64, limit: Option<u32>) {
        let operand = self.scratch(ValType::I32, 0);
        let each = i64::try_from(each).unwrap_or(i64::MAX);
        self.put(&I::LocalSet(operand));
        self.push_fuel();
        self.put_all(&[I::LocalGet(operand), I::I64ExtendI32U, I::I64Const(each), I::I64Mul]);
        if let Some(limit) = limit {
            self.put_all(&[I::I64Const(0), I::LocalGet(operand)]);
            self.put_all(&[I::I32Const(limit.cast_signed()), I::I32LeU, I::Select]);
        }
        self.pay(operand);
    }

    /// Charges for the bytes that the operand on top counts.
    fn charge_bytes(&mut self) {
        let operand = self.scratch(ValType::I32, 0);
        self.put(&I::LocalSet(operand));
        self.push_fuel();
        self.put(&I::LocalGet(operand));
        self.put(&I::I32Const(BULK_BYTES_PER_FUEL_LOG2.cast_signed()));
        self.put_all(&[I::I32ShrU, I::I64ExtendI32U]);
        self.pay(operand);
    }

    /// Takes the charge on top from the fuel below it, tests, and pushes the operand again.
    fn pay(&mut self, operand: u32) {
        self.put(&I::I64Sub);
        self.pop_fuel();
        self.sync();
        self.test();
        self.put(&I::LocalGet(operand));
    }

    /// Replaces a NaN on top by the canonical one.
    fn canonicalise(&mut self, kind: FloatKind) {
        let (ty, canonical, ordered) = match kind {
            FloatKind::F32 => (ValType::F32, I::F32Const(Ieee32::new(CANONICAL_F32)), I::F32Ge),
            FloatKind::F64 => (ValType::F64, I::F64Const(Ieee64::new(CANONICAL_F64)), I::F64Ge),
            FloatKind::F32x4 => {
                let lane = u128::from(CANONICAL_F32);
                let lanes = lane | lane << 32 | lane << 64 | lane << 96;
                (ValType::V128, I::V128Const(lanes.cast_signed()), I::F32x4Eq)
            }
            FloatKind::F64x2 => {
                let lane = u128::from(CANONICAL_F64);
                let lanes = lane | lane << 64;
                (ValType::V128, I::V128Const(lanes.cast_signed()), I::F64x2Eq)
            }
        };
        let value = self.scratch(ty, 0);
        if ty == ValType::V128 {
            self.put_all(&[I::LocalTee(value), canonical, I::LocalGet(value), I::LocalGet(value)]);
            self.put_all(&[ordered, I::V128Bitselect]);
            return;
        }
        self.put_all(&[I::LocalTee(value), I::LocalGet(value), ordered]);
        self.hint(true);
        self.put_all(&[I::If(BlockType::Empty), I::Else, canonical, I::LocalSet(value), I::End]);
        self.put(&I::LocalGet(value));
    }
}

/// Names the branch hints of a function.
pub(super) fn hints(branches: &[(u32, bool)]) -> Vec<wasm_encoder::BranchHint> {
    let hint = |(offset, taken): &(u32, bool)| wasm_encoder::BranchHint {
        branch_func_offset: *offset,
        branch_hint_value: u32::from(*taken),
    };
    branches.iter().map(hint).collect()
}
