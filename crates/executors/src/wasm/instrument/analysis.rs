//! Reads one function and plans its instrumentation: where fuel is charged and how much, what its
//! frame costs, after which instructions a NaN must be made canonical.
//!
//! **Segments.** A segment is a set of instructions of which one runs exactly as often as the
//! others, unless a trap intervenes. It is charged where its first instruction stands. A branch
//! target ends a segment, but where no branch inside a block leaves that block, the code behind it
//! belongs to the segment in front of it again.
//!
//! **Dead code**, behind an unconditional branch, is validated and dropped.
//!
//! **NaNs.** Each operand on the abstract stack knows the instruction that made it. When an
//! instruction could see the bits of a NaN that arithmetic made, that maker is marked. A local that
//! only ever holds such values may hold them raw; reading it is then what makes them.

use wasmparser::{
    BlockType, BrTable, FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody,
    ModuleArity, Operator, ValType, ValidatorResources,
};

use super::effort::Effort;
use super::error::{Failure, ModuleError};
use super::floats::{FloatKind, FloatRole, role};
use crate::wasm::specification::{LOCALS_PER_FUEL, bounds, frame_bytes, instruction_fuel};

/// What the emitter must do at one instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The instruction never runs.
    pub(super) dead: bool,
    /// A segment starts behind the instruction.
    pub(super) segment: bool,
    /// The result must be made canonical.
    pub(super) canonical: Option<FloatKind>,
}

/// The plan for one function.
#[derive(Debug)]
pub(super) struct Plan {
    /// One note for each instruction.
    pub(super) notes: Vec<Note>,
    /// The fuel of the entry and then of each noted segment, in order.
    pub(super) charges: Vec<u64>,
    /// There is a loop.
    pub(super) loops: bool,
    /// Another function of the guest may be called.
    pub(super) calls: bool,
    /// A reference to a function is taken.
    pub(super) refers: bool,
    /// The metered size of the frame, in bytes.
    pub(super) frame_bytes: u64,
    /// What the function costs to make ready.
    pub(super) compile_fuel: u64,
}

/// Validates one function and plans its instrumentation.
pub(super) fn plan(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    imports: u32,
    allocations: &mut FuncValidatorAllocations,
) -> Result<Plan, Failure> {
    let again = FuncToValidate {
        resources: function.resources.clone(),
        index: function.index,
        ty: function.ty,
        features: function.features,
    };
    let first = Analyser::run(function, body, imports, Vec::new(), allocations)?;
    let raw = first.raw_locals();
    if raw.iter().all(Option::is_none) {
        return first.into_plan(body);
    }
    Analyser::run(again, body, imports, raw, allocations)?.into_plan(body)
}

/// What is known of the bits of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    /// Any; they must be kept.
    Kept,
    /// Not a NaN, or the canonical one.
    Clean,
    /// Perhaps a NaN of the machine's choice, made by this instruction.
    Raw(FloatKind, usize),
    /// Those of this local.
    OfLocal(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Plain,
    If,
    Loop,
}

#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    /// The segment in front of the frame.
    before: usize,
    /// The outermost frame that a branch inside this one reaches.
    reaches: usize,
    height: usize,
    params: usize,
    results: usize,
}

/// What is known of a local after reading the whole function.
#[derive(Clone, Copy, Debug, Default)]
struct LocalUse {
    /// The kind of the raw values stored; `Some(None)` where they disagree.
    stored: Option<Option<FloatKind>>,
    keeps: bool,
    stores_weight: u64,
    reveals_weight: u64,
}

struct Analyser {
    validator: FuncValidator<ValidatorResources>,
    imports: u32,
    params: usize,
    raw: Vec<Option<FloatKind>>,
    locals: Vec<LocalUse>,
    stack: Vec<Bits>,
    stack_max: usize,
    wide: bool,
    frames: Vec<Frame>,
    loop_depth: u32,
    notes: Vec<Note>,
    fuel: Vec<u64>,
    order: Vec<usize>,
    segment: usize,
    /// The open blocks inside dead code, if the code is dead.
    dead: Option<u32>,
    loops: bool,
    calls: bool,
    refers: bool,
    effort: Effort,
}

impl Analyser {
    fn run(
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        imports: u32,
        raw: Vec<Option<FloatKind>>,
        allocations: &mut FuncValidatorAllocations,
    ) -> Result<Self, Failure> {
        let mut validator = function.into_validator(std::mem::take(allocations));
        let params = usize::try_from(validator.len_locals()).unwrap_or(usize::MAX);
        let mut locals_reader = body.get_locals_reader()?;
        for _ in 0..locals_reader.get_count() {
            let offset = locals_reader.original_position();
            let (count, ty) = locals_reader.read()?;
            validator.define_locals(offset, count, ty)?;
            ModuleError::check("locals of a function", validator.len_locals(), bounds::LOCALS_MAX)?;
        }
        let count = usize::try_from(validator.len_locals()).unwrap_or(usize::MAX);
        let mut this = Self {
            validator,
            imports,
            params,
            raw,
            locals: vec![LocalUse::default(); count],
            stack: Vec::new(),
            stack_max: 0,
            wide: false,
            frames: Vec::new(),
            loop_depth: 0,
            notes: Vec::new(),
            fuel: vec![(count - params) as u64 / LOCALS_PER_FUEL],
            order: vec![0],
            segment: 0,
            dead: None,
            loops: false,
            calls: false,
            refers: false,
            effort: Effort::new(params, count),
        };
        this.start()?;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            this.validator.op(offset, &operator)?;
            this.step(&operator)?;
        }
        reader.finish()?;
        Ok(this)
    }

    fn start(&mut self) -> Result<(), Failure> {
        let results = self
            .validator
            .get_control_frame(0)
            .and_then(|frame| self.validator.block_type_arity(frame.block_type))
            .map_or(0, |(_, results)| results as usize);
        for index in 0..self.locals.len() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.wide |= self.validator.get_local_type(index) == Some(ValType::V128);
        }
        self.push_frame(FrameKind::Plain, 0, results)
    }

    fn step(&mut self, operator: &Operator<'_>) -> Result<(), Failure> {
        self.notes.push(Note::default());
        if let Some(open) = self.dead {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    self.dead = Some(open + 1);
                }
                Operator::End if open > 0 => self.dead = Some(open - 1),
                Operator::End | Operator::Else if open == 0 => {
                    self.dead = None;
                    let frame = self.frame();
                    let (height, results) = (frame.height, frame.results);
                    self.stack.truncate(height);
                    self.stack.resize(height + results, Bits::Kept);
                    return self.live(operator);
                }
                _ => {}
            }
            self.note().dead = true;
            return Ok(());
        }
        self.live(operator)
    }

    fn live(&mut self, operator: &Operator<'_>) -> Result<(), Failure> {
        self.effort.take(operator);
        if !matches!(operator, Operator::Loop { .. }) {
            self.charge(instruction_fuel(operator));
        }
        match operator {
            Operator::Block { blockty } => self.enter(FrameKind::Plain, *blockty)?,
            Operator::Loop { blockty } => {
                self.loops = true;
                self.loop_depth += 1;
                self.enter(FrameKind::Loop, *blockty)?;
                self.open_segment();
                self.charge(instruction_fuel(operator));
            }
            Operator::If { blockty } => {
                self.pop();
                self.enter(FrameKind::If, *blockty)?;
                self.open_segment();
            }
            Operator::Else => self.turn(),
            Operator::End => self.leave(),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.dead = Some(0);
            }
            Operator::BrIf { relative_depth } => {
                self.pop();
                self.branch(*relative_depth);
                self.open_segment();
            }
            Operator::BrTable { targets } => {
                self.pop();
                self.branches(targets)?;
                self.dead = Some(0);
            }
            Operator::Return => {
                let outermost = self.frames.len().saturating_sub(1);
                self.branch(u32::try_from(outermost).unwrap_or(u32::MAX));
                self.dead = Some(0);
            }
            Operator::Unreachable => self.dead = Some(0),
            _ => self.value(operator)?,
        }
        self.stack_max = self.stack_max.max(self.stack.len());
        if !self.wide {
            let top = self.validator.get_operand_type(0).flatten();
            self.wide = top == Some(ValType::V128);
        }
        Ok(())
    }

    fn value(&mut self, operator: &Operator<'_>) -> Result<(), Failure> {
        match operator {
            Operator::LocalGet { local_index } => {
                let bits = self.read(*local_index as usize);
                self.stack.push(bits);
            }
            Operator::LocalSet { local_index } => {
                let bits = self.pop();
                self.write(*local_index as usize, bits);
            }
            Operator::LocalTee { local_index } => {
                let bits = self.pop();
                let bits = self.write(*local_index as usize, bits);
                self.stack.push(bits);
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                self.pop();
                let merged = self.merge(2, None);
                self.stack.push(merged);
            }
            _ => {
                if let Operator::Call { function_index } = operator {
                    self.calls |= *function_index >= self.imports;
                }
                self.calls |= matches!(operator, Operator::CallIndirect { .. });
                self.refers |= matches!(operator, Operator::RefFunc { .. });
                let (params, results) = operator
                    .operator_arity(&self.validator)
                    .ok_or_else(|| ModuleError::Invalid("unknown arity".to_owned()))?;
                self.apply(operator, params as usize, results as usize);
            }
        }
        Ok(())
    }

    fn apply(&mut self, operator: &Operator<'_>, params: usize, results: usize) {
        let here = self.notes.len() - 1;
        let result = match role(operator) {
            FloatRole::Arithmetic(from, to) => {
                self.consume(params, Some(from));
                Bits::Raw(to, here)
            }
            FloatRole::Consumes(kind) => {
                self.consume(params, Some(kind));
                Bits::Kept
            }
            FloatRole::Passes(from, to) => self.merge(params, Some((from, to))),
            FloatRole::Clean => Bits::Clean,
            FloatRole::Opaque => {
                self.consume(params, None);
                Bits::Kept
            }
        };
        self.stack.extend(std::iter::repeat_n(result, results));
    }

    /// Pops `count` operands; reveals those that are not read by value as `kind`.
    fn consume(&mut self, count: usize, kind: Option<FloatKind>) {
        for _ in 0..count {
            let bits = self.pop();
            match (bits, kind) {
                (Bits::Raw(raw, _), Some(kind)) if raw == kind => {}
                (Bits::OfLocal(_), Some(FloatKind::F32 | FloatKind::F64)) => {}
                (Bits::OfLocal(local), Some(kind)) => {
                    if self.locals[local].stored != Some(Some(kind)) {
                        self.reveal(bits);
                    }
                }
                _ => self.reveal(bits),
            }
        }
    }

    /// Pops `count` operands of which one is handed on; gives what is known of it.
    fn merge(&mut self, count: usize, lanes: Option<(FloatKind, FloatKind)>) -> Bits {
        let here = self.notes.len() - 1;
        let operands: Vec<Bits> = (0..count).map(|_| self.pop()).collect();
        let mut kind = lanes.map(|(from, _)| from);
        let mut raw = false;
        for bits in &operands {
            match bits {
                Bits::Clean => {}
                Bits::Raw(found, _) if kind.is_none_or(|kind| kind == *found) => {
                    kind = Some(*found);
                    raw = true;
                }
                _ => {
                    operands.iter().for_each(|bits| self.reveal(*bits));
                    return Bits::Kept;
                }
            }
        }
        match (raw, kind, lanes) {
            (true, Some(kind), None) => Bits::Raw(kind, here),
            (true, _, Some((_, to))) => Bits::Raw(to, here),
            (false, _, Some((from, to))) if from != to => Bits::Kept,
            _ => Bits::Clean,
        }
    }

    fn read(&mut self, local: usize) -> Bits {
        match self.raw.get(local).copied().flatten() {
            Some(kind) => Bits::Raw(kind, self.notes.len() - 1),
            None if local < self.params => Bits::Kept,
            None => Bits::OfLocal(local),
        }
    }

    /// Stores `bits` in a local; gives what is known of the value afterwards.
    fn write(&mut self, local: usize, bits: Bits) -> Bits {
        let weight = self.weight();
        let usage = &mut self.locals[local];
        match bits {
            Bits::Raw(kind, _) => {
                usage.stores_weight = usage.stores_weight.saturating_add(weight);
                usage.stored = match usage.stored {
                    None => Some(Some(kind)),
                    Some(Some(before)) if before == kind => usage.stored,
                    Some(_) => Some(None),
                };
            }
            Bits::Clean => {}
            Bits::Kept | Bits::OfLocal(_) => usage.keeps = true,
        }
        if self.raw.get(local).copied().flatten().is_some() {
            return bits;
        }
        self.reveal(bits);
        match bits {
            Bits::Raw(FloatKind::F32 | FloatKind::F64, _) => Bits::Clean,
            Bits::Raw(..) => Bits::Kept,
            _ => bits,
        }
    }

    /// Makes sure that an instruction which sees `bits` sees the same on every machine.
    fn reveal(&mut self, bits: Bits) {
        match bits {
            Bits::Raw(kind, maker) => self.notes[maker].canonical = Some(kind),
            Bits::OfLocal(local) => {
                let weight = self.weight();
                let usage = &mut self.locals[local];
                usage.reveals_weight = usage.reveals_weight.saturating_add(weight);
            }
            Bits::Kept | Bits::Clean => {}
        }
    }

    /// How often an instruction at this place is taken to run.
    fn weight(&self) -> u64 {
        1 << (3 * self.loop_depth.min(6))
    }

    /// The locals in which it is safe, and saves work, to hold raw values.
    fn raw_locals(&self) -> Vec<Option<FloatKind>> {
        let gains = |(index, usage): (usize, &LocalUse)| {
            let saves = usage.stores_weight > usage.reveals_weight;
            if index >= self.params && !usage.keeps && saves {
                usage.stored.flatten()
            } else {
                None
            }
        };
        self.locals.iter().enumerate().map(gains).collect()
    }

    fn enter(&mut self, kind: FrameKind, ty: BlockType) -> Result<(), Failure> {
        let (params, results) = self.validator.block_type_arity(ty).unwrap_or((0, 0));
        let params = params as usize;
        self.consume(params, None);
        self.push_frame(kind, params, results as usize)?;
        self.stack.extend(std::iter::repeat_n(Bits::Kept, params));
        Ok(())
    }

    fn push_frame(
        &mut self,
        kind: FrameKind,
        params: usize,
        results: usize,
    ) -> Result<(), Failure> {
        let reaches = self.frames.len();
        let height = self.stack.len();
        self.frames.push(Frame { kind, before: self.segment, reaches, height, params, results });
        ModuleError::check(
            "control nesting of a function",
            self.frames.len(),
            bounds::NESTING_MAX,
        )?;
        Ok(())
    }

    fn turn(&mut self) {
        let frame = self.frame();
        let (height, params, results) = (frame.height, frame.params, frame.results);
        self.consume(results, None);
        self.stack.truncate(height);
        self.stack.resize(height + params, Bits::Kept);
        self.open_segment();
    }

    fn leave(&mut self) {
        let results = self.frame().results;
        self.consume(results, None);
        let frame = self.frames.pop().expect("the validator matched every end with a block");
        self.stack.truncate(frame.height);
        self.stack.extend(std::iter::repeat_n(Bits::Kept, frame.results));
        if frame.kind == FrameKind::Loop {
            self.loop_depth -= 1;
        }
        let Some(parent) = self.frames.last_mut() else { return };
        parent.reaches = parent.reaches.min(frame.reaches);
        if frame.reaches < self.frames.len() {
            self.open_segment();
        } else {
            self.segment = frame.before;
        }
    }

    fn branch(&mut self, depth: u32) {
        let target = self.frames.len() - 1 - depth as usize;
        let frame = &self.frames[target];
        let carried = if frame.kind == FrameKind::Loop { frame.params } else { frame.results };
        let start = self.stack.len() - carried;
        for index in start..self.stack.len() {
            self.reveal(self.stack[index]);
        }
        let innermost = self.frame();
        innermost.reaches = innermost.reaches.min(target);
    }

    fn branches(&mut self, targets: &BrTable<'_>) -> Result<(), Failure> {
        for depth in targets.targets() {
            self.branch_target(depth?);
        }
        self.branch(targets.default());
        Ok(())
    }

    /// Notes a further target of a branch whose operands another target reveals.
    fn branch_target(&mut self, depth: u32) {
        let target = self.frames.len() - 1 - depth as usize;
        let innermost = self.frame();
        innermost.reaches = innermost.reaches.min(target);
    }

    fn charge(&mut self, fuel: u64) {
        let total = &mut self.fuel[self.segment];
        *total = total.saturating_add(fuel);
    }

    fn open_segment(&mut self) {
        self.segment = self.fuel.len();
        self.fuel.push(0);
        self.order.push(self.segment);
        self.note().segment = true;
    }

    fn pop(&mut self) -> Bits {
        self.stack.pop().expect("the validator checked every operand")
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("a frame is open until the last end")
    }

    fn note(&mut self) -> &mut Note {
        self.notes.last_mut().expect("each step pushes a note first")
    }

    fn into_plan(self, body: &FunctionBody<'_>) -> Result<Plan, Failure> {
        let width = if self.wide { 2 } else { 1 };
        let slots = (self.locals.len() + self.stack_max) as u64 * width;
        let compile_fuel = self.effort.fuel(body.as_bytes().len())?;
        Ok(Plan {
            notes: self.notes,
            charges: self.order.iter().map(|segment| self.fuel[*segment]).collect(),
            loops: self.loops,
            calls: self.calls,
            refers: self.refers,
            frame_bytes: frame_bytes(slots, body.as_bytes().len() as u64),
            compile_fuel,
        })
    }
}
