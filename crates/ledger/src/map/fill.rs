//! Fills missing hashes, many at a time.
//!
//! A single hash spends most of its time waiting for itself; side by side in the lanes of vector
//! registers, eight take little longer than one. Leaves wait for nothing. A branch waits for what
//! is under it, which branches at later bits only. Hence branches at one bit never wait for each
//! other, and they have the same key: they are hashed side by side, from the last bit to the first.

use super::bit::Bit;
use super::hash::{self, BLOCK_BYTES, Cell, Hash, LANES};
use super::leaf::Leaf;
use super::node::{Child, Node, Place, flag};

/// Leaves of up to this many blocks are hashed side by side with others of as many.
const LEAF_BLOCKS_MAX: usize = HASH_LEAVES.len();
/// [`hash_leaves`] by the number of blocks less one.
const HASH_LEAVES: [for<'a> fn(&mut Leaves<'a>); 8] = [
    hash_leaves::<BLOCK_BYTES>,
    hash_leaves::<{ 2 * BLOCK_BYTES }>,
    hash_leaves::<{ 3 * BLOCK_BYTES }>,
    hash_leaves::<{ 4 * BLOCK_BYTES }>,
    hash_leaves::<{ 5 * BLOCK_BYTES }>,
    hash_leaves::<{ 6 * BLOCK_BYTES }>,
    hash_leaves::<{ 7 * BLOCK_BYTES }>,
    hash_leaves::<{ 8 * BLOCK_BYTES }>,
];
/// So many branches are hashed together at most: many at each bit, and yet few enough that what
/// the walk has read is still in a cache, and that the memory for it does not grow with the map.
const BRANCHES_MAX: usize = 2_048;

/// Fills what is missing at a place of a node and under it.
pub(super) fn fill(node: &Node, place: Place) {
    let mut missing = Missing::default();
    missing.collect(node, place, None);
    missing.hash();
}

/// Places whose hash is missing while that of all under them is there or is to be filled as well.
#[derive(Default)]
struct Missing<'a> {
    /// By the number of blocks less one.
    leaves: [Leaves<'a>; LEAF_BLOCKS_MAX],
    /// By the index of the bit.
    branches: Vec<Option<Branches<'a>>>,
    branch_count: usize,
    /// Nodes all of whose missing places are here or were, and these places. Nodes come after
    /// those under them.
    nodes: Vec<(&'a Node, u64)>,
}

/// Leaves, and where their hashes go.
type Leaves<'a> = Vec<(&'a Leaf, &'a Cell)>;

/// Branches at one bit.
struct Branches<'a> {
    bit: Bit,
    cells: Vec<Cells<'a>>,
}

/// Where the hashes under a branch are, and where its own goes.
struct Cells<'a> {
    sides: [&'a Cell; 2],
    own: &'a Cell,
    /// Where the node above has it too, if the branch is at the top of its node.
    above: Option<&'a Cell>,
}

impl<'a> Missing<'a> {
    /// Takes in what is missing at a place of a node and under it. That may be nothing, or become
    /// so at any moment by a fork's doing; what is above gets the hash in each case.
    fn collect(&mut self, node: &'a Node, place: Place, above: Option<&'a Cell>) {
        let mut places = 0;
        self.collect_places(node, place, above, &mut places);
        self.nodes.push((node, places));
    }

    fn collect_places(
        &mut self,
        node: &'a Node,
        place: Place,
        above: Option<&'a Cell>,
        places: &mut u64,
    ) {
        if node.is_hashed(place) {
            if let Some(above) = above {
                above.store(&node.cell(place).load());
            }
            return;
        }
        *places |= flag(place);
        let own = node.cell(place);
        match node.at(place) {
            Ok((bit, sides)) => {
                let sides = sides.map(|side| {
                    self.collect_places(node, side, None, places);
                    node.cell(side)
                });
                self.add_branch(bit, Cells { sides, own, above });
            }
            Err(Child::Leaf(leaf)) => match self.leaves.get_mut(leaf.blocks() - 1) {
                Some(leaves) => leaves.push((leaf, own)),
                None => own.store(&leaf.hash()),
            },
            Err(Child::Node(below)) => self.collect(below, below.top(), Some(own)),
            Err(Child::Empty) => unreachable!("a branch leads to a place in use"),
        }
    }

    fn add_branch(&mut self, bit: Bit, cells: Cells<'a>) {
        let index = bit.index();
        if index >= self.branches.len() {
            self.branches.resize_with(index + 1, || None);
        }
        let branches = self.branches[index].get_or_insert_with(|| Branches { bit, cells: vec![] });
        branches.cells.push(cells);
        self.branch_count += 1;
        if self.branch_count == BRANCHES_MAX {
            self.hash();
        }
    }

    /// Hashes everything collected so far.
    fn hash(&mut self) {
        for (leaves, hash) in self.leaves.iter_mut().zip(HASH_LEAVES) {
            hash(leaves);
        }
        for branches in self.branches.iter_mut().flatten().rev() {
            hash_branches(branches.bit, &mut branches.cells);
        }
        self.branch_count = 0;
        for (node, places) in self.nodes.drain(..) {
            node.mark_hashed(places);
        }
    }
}

/// Hashes leaves of `BYTES / 64` blocks.
fn hash_leaves<const BYTES: usize>(leaves: &mut Leaves<'_>) {
    if leaves.is_empty() {
        return;
    }
    let mut inputs = [[0; BYTES]; LANES];
    for leaves in leaves.chunks(LANES) {
        for (input, (leaf, _)) in inputs.iter_mut().zip(leaves) {
            let (written, padding) = input.split_at_mut(leaf.written().len());
            written.copy_from_slice(leaf.written());
            padding.fill(0);
        }
        let hashes = hash::leaves(&inputs, leaves.len());
        for ((_, cell), hash) in leaves.iter().zip(&hashes) {
            cell.store(hash);
        }
    }
    leaves.clear();
}

/// Hashes branches at one bit.
fn hash_branches(bit: Bit, branches: &mut Vec<Cells<'_>>) {
    let mut sides: [[Hash; 2]; LANES] = Default::default();
    for branches in branches.chunks(LANES) {
        for (sides, cells) in sides.iter_mut().zip(branches) {
            *sides = cells.sides.map(Cell::load);
        }
        let hashes = hash::branches(bit, &sides, branches.len());
        for (cells, hash) in branches.iter().zip(&hashes) {
            cells.own.store(hash);
            if let Some(above) = cells.above {
                above.store(hash);
            }
        }
    }
    branches.clear();
}

#[cfg(test)]
mod tests {
    use super::super::Map;
    use super::*;

    #[test]
    fn what_another_thread_has_hashed_meanwhile_reaches_the_node_above() {
        let mut map = Map::new();
        for key in 0..9 {
            map.insert(&[key], &[]).unwrap();
        }
        let root = map.root();
        let Child::Node(node) = &map.top else { panic!("nine entries are in a node") };
        let above = Cell::default();
        let mut missing = Missing::default();
        missing.collect(node, node.top(), Some(&above));
        missing.hash();
        assert_eq!(above.load(), root);
    }
}
