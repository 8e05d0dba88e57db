//! What it costs to make one function ready.
//!
//! A compiler's time is not linear in the size of a body. It looks at each value on every edge
//! between two straight pieces of code while the value is in use, and at such pieces in pairs. So
//! the cost is
//!
//! ```text
//! function + byte * bytes + life * (sum over locals of the edges while in use) + pair * pieces^2
//! ```
//!
//! A local is in use from the first to the last place that names it. Where a loop that began after
//! the first names it, that is to the end of the loop; where the first does not stand in front of
//! all others on every path, it is from the start of the function, where the local is zero.

use wasmparser::Operator;

use super::error::ModuleError;
use super::floats::{FloatRole, role};
use crate::wasm::specification::{
    COMPILE_BYTE_FUEL, COMPILE_FUNCTION_FUEL, COMPILE_LIFE_FUEL, COMPILE_PAIR_FUEL, bounds,
};

/// The parts of a straight piece of code.
const PARTS: u64 = 16;

/// Counts what one function costs to make ready.
#[derive(Debug)]
pub(super) struct Effort {
    /// The edges so far.
    edges: u64,
    /// The straight pieces so far, in parts.
    parts: u64,
    lives: Vec<Life>,
    /// The open blocks, outermost first.
    blocks: Vec<Block>,
    blocks_seen: u64,
    /// The open loops, outermost first.
    loops: Vec<Loop>,
    loops_seen: u64,
}

/// While a local is in use: the edges before its first and its last mention.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    since: u64,
    until: u64,
    /// The nesting and the number of the block that has the first mention.
    block: Option<(usize, u64)>,
    /// The last loop that was found to carry it, by number.
    carrier: u64,
}

#[derive(Debug)]
struct Block {
    number: u64,
    is_loop: bool,
}

#[derive(Debug)]
struct Loop {
    number: u64,
    /// The edges before it.
    edges: u64,
    /// The locals that are in use until its end.
    carried: Vec<usize>,
}

impl Effort {
    /// Returns the count for a function with `params` parameters among its `locals`.
    pub(super) fn new(params: usize, locals: usize) -> Self {
        let mut lives = vec![Life::default(); locals];
        let body = Block { number: 0, is_loop: false };
        lives.iter_mut().take(params).for_each(|life| life.block = Some((0, 0)));
        Self {
            edges: 0,
            parts: 0,
            lives,
            blocks: vec![body],
            blocks_seen: 0,
            loops: Vec::new(),
            loops_seen: 0,
        }
    }

    /// Takes the next instruction that is not dead code.
    pub(super) fn take(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.enter(false),
            Operator::Loop { .. } => self.enter(true),
            Operator::Else => self.turn(),
            Operator::End => self.leave(),
            Operator::LocalGet { local_index } => self.mention(*local_index as usize, true),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.mention(*local_index as usize, false);
            }
            _ => {
                let (edges, parts) = edges_and_parts(operator);
                self.edges = self.edges.saturating_add(edges);
                self.parts = self.parts.saturating_add(parts);
            }
        }
    }

    fn leave(&mut self) {
        self.pass(1);
        if !self.blocks.pop().is_some_and(|block| block.is_loop) {
            return;
        }
        for local in self.loops.pop().map(|ended| ended.carried).unwrap_or_default() {
            self.lives[local].until = self.edges;
        }
    }

    /// Takes the ends of straight pieces, each with an edge.
    fn pass(&mut self, pieces: u64) {
        self.edges += pieces;
        self.parts += pieces * PARTS;
    }

    fn enter(&mut self, is_loop: bool) {
        self.blocks_seen += 1;
        self.blocks.push(Block { number: self.blocks_seen, is_loop });
        if is_loop {
            self.loops_seen += 1;
            let (number, edges) = (self.loops_seen, self.edges);
            self.loops.push(Loop { number, edges, carried: Vec::new() });
            // Its header, and the test there.
            self.pass(2);
        }
        self.pass(1);
    }

    /// Goes over to the other arm, of which none of the first stands in front.
    fn turn(&mut self) {
        self.pass(1);
        self.blocks_seen += 1;
        if let Some(block) = self.blocks.last_mut() {
            block.number = self.blocks_seen;
        }
    }

    fn mention(&mut self, local: usize, reads: bool) {
        let Some(life) = self.lives.get_mut(local) else { return };
        let is_open = |(nesting, number): (usize, u64)| {
            self.blocks.get(nesting).is_some_and(|block| block.number == number)
        };
        match life.block {
            Some(block) if is_open(block) => {}
            None if !reads => {
                let nesting = self.blocks.len() - 1;
                life.block = self.blocks.last().map(|block| (nesting, block.number));
                life.since = self.edges;
            }
            _ => {
                life.since = 0;
                life.block = Some((0, 0));
            }
        }
        life.until = self.edges;
        let outermost = self.loops.partition_point(|open| open.edges < life.since);
        if let Some(open) = self.loops.get_mut(outermost)
            && life.carrier != open.number
        {
            life.carrier = open.number;
            open.carried.push(local);
        }
    }

    /// Returns the fuel that the function costs with a body of `bytes`.
    ///
    /// # Errors
    /// [`ModuleError::TooLarge`] if that is more than one function may.
    pub(super) fn fuel(&self, bytes: usize) -> Result<u64, ModuleError> {
        let lives = self.lives.iter().map(|life| life.until.saturating_sub(life.since));
        let lives = lives.fold(0_u64, u64::saturating_add);
        let fuel = (bytes as u64 * COMPILE_BYTE_FUEL)
            .saturating_add(COMPILE_FUNCTION_FUEL)
            .saturating_add(lives.saturating_mul(COMPILE_LIFE_FUEL))
            .saturating_add((self.parts / PARTS).saturating_pow(2) * COMPILE_PAIR_FUEL);
        let most = bounds::FUNCTION_COMPILE_FUEL_MAX;
        ModuleError::check("fuel to compile a function", fuel, most)?;
        Ok(fuel)
    }
}

/// Returns the edges and the parts of pieces that an instruction makes, if it is none of a block.
fn edges_and_parts(operator: &Operator<'_>) -> (u64, u64) {
    use Operator as O;
    let pieces = match operator {
        O::BrIf { .. } => 1,
        O::BrTable { targets } => {
            let targets = u64::from(targets.len()) + 1;
            return (targets, targets + PARTS);
        }
        // No piece ends, but no value stays where it is.
        O::Call { .. } => return (1, PARTS / 4),
        O::CallIndirect { .. }
        | O::MemoryCopy { .. }
        | O::MemoryFill { .. }
        | O::MemoryInit { .. }
        | O::MemoryGrow { .. }
        | O::TableCopy { .. }
        | O::TableFill { .. }
        | O::TableInit { .. }
        | O::TableGrow { .. }
        | O::TableGet { .. }
        | O::TableSet { .. } => 2,
        // Where its NaNs must be made canonical.
        _ if matches!(role(operator), FloatRole::Arithmetic(..)) => 1,
        _ => 0,
    };
    (pieces, pieces * PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what `edges` edges in use and `pieces` pieces cost.
    fn cost(edges: u64, pieces: u64) -> u64 {
        COMPILE_FUNCTION_FUEL + edges * COMPILE_LIFE_FUEL + pieces.pow(2) * COMPILE_PAIR_FUEL
    }

    #[track_caller]
    fn check(operators: &[Operator<'_>], expected: u64) {
        let mut effort = Effort::new(0, 1);
        operators.iter().for_each(|operator| effort.take(operator));
        effort.take(&Operator::End);
        assert_eq!(effort.fuel(0), Ok(expected));
    }

    const SET: Operator<'_> = Operator::LocalSet { local_index: 0 };
    const GET: Operator<'_> = Operator::LocalGet { local_index: 0 };
    const BLOCK: Operator<'_> = Operator::Block { blockty: wasmparser::BlockType::Empty };
    const LOOP: Operator<'_> = Operator::Loop { blockty: wasmparser::BlockType::Empty };
    const IF: Operator<'_> = Operator::If { blockty: wasmparser::BlockType::Empty };
    const END: Operator<'_> = Operator::End;

    #[test]
    fn a_local_counts_from_its_first_mention_to_its_last() {
        check(&[], cost(0, 1));
        check(&[BLOCK, END, SET, GET, BLOCK, END], cost(0, 5));
        check(&[SET, BLOCK, END, GET, BLOCK, END], cost(2, 5));
    }

    #[test]
    fn a_local_that_may_be_zero_counts_from_the_start() {
        check(&[BLOCK, END, GET], cost(2, 3));
        check(&[IF, SET, END, GET], cost(2, 3));
        check(&[IF, SET, Operator::Else, GET, END], cost(2, 4));
    }

    #[test]
    fn a_loop_carries_what_began_in_front_of_it() {
        check(&[SET, LOOP, GET, BLOCK, END, END], cost(6, 7));
        check(&[LOOP, SET, GET, BLOCK, END, END], cost(0, 7));
    }

    #[test]
    fn a_body_above_the_bound_is_refused() {
        let mut effort = Effort::new(0, 0);
        (0..20_000).for_each(|_| effort.take(&Operator::BrIf { relative_depth: 0 }));
        assert!(matches!(effort.fuel(0), Err(ModuleError::TooLarge { .. })));
    }
}
