//! A node: a connected piece of the binary trie, with its branches in a flat array.
//!
//! Branches and children are named by a [`Place`]: below [`WIDTH`] a branch, above it a child.
//! Places are handed out and freed in any order; what is left and right of what is said by the
//! branches alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bit::Bit;
use super::fill::fill;
use super::hash::{Cell, Hash};
use super::leaf::{Leaf, Written};
use super::write::{Write, Writes};

/// Most children of a node: a power of two, at most 32 so that a word has a bit for each place.
pub(super) const WIDTH: usize = 32;
/// Branches and children of a node.
const PLACES: usize = 2 * WIDTH;
/// The flags of the places of children.
const CHILD_PLACES: u64 = u64::MAX << WIDTH;
/// A full node hands down the largest subtree on its heavy path with at most this many children,
/// which is at least half as many.
const SPLIT_CHILDREN_MAX: usize = WIDTH * 2 / 3;
/// A node takes in a child node if both together then have at most this many children.
const ABSORB_CHILDREN_MAX: usize = WIDTH / 2;

/// The index of a branch, or [`WIDTH`] plus the index of a child.
pub(super) type Place = u8;

/// What hangs under a node, or under a map.
#[derive(Clone, Default)]
pub(super) enum Child {
    /// Nothing.
    #[default]
    Empty,
    /// One entry.
    Leaf(Leaf),
    /// Two entries or more.
    Node(Arc<Node>),
}

/// A branch of the trie: where keys with 0 and keys with 1 at its bit go on.
#[derive(Clone, Copy, Default)]
struct Branch {
    bit: Bit,
    sides: [Place; 2],
}

/// A piece of the trie with at least two children.
///
/// The order of the fields is that of memory: a look-up reads the front and one child, never the
/// hashes.
#[repr(C)]
pub(super) struct Node {
    /// Places whose cached hash is good. If a place is here, so is everything under it.
    hashed: AtomicU64,
    /// Places in use.
    used: u64,
    top: Place,
    branches: [Branch; WIDTH],
    children: [Child; WIDTH],
    hashes: [Cell; PLACES],
}

/// Where a key leaves a node.
struct Exit {
    child: Place,
    /// The last two branches before the child; the second is missing right under the top.
    parent: Place,
    grandparent: Option<Place>,
    /// All branches before the child, and the child.
    path: u64,
}

fn is_branch(place: Place) -> bool {
    usize::from(place) < WIDTH
}

/// Returns the flag of a place in a word that has one for each.
pub(super) fn flag(place: Place) -> u64 {
    1 << place
}

/// Takes a place to its index among branches, or among children. `WIDTH` is a power of two, so
/// the mask changes no valid place, and spares the bounds check.
fn index(place: Place) -> usize {
    usize::from(place) & (WIDTH - 1)
}

impl Child {
    /// Returns the leaf at which the path of a key ends, if there is an entry at all.
    #[inline]
    pub(super) fn nearest(&self, key: &[u8]) -> Option<&Leaf> {
        let mut child = self;
        loop {
            match child {
                Self::Empty => return None,
                Self::Leaf(leaf) => return Some(leaf),
                Self::Node(node) => child = node.child(node.exit(key)),
            }
        }
    }
}

/// Does writes under a node, the first of which has its way through it, up to one that goes
/// another way. Returns the bit at which the key of that one, a new one, leaves its path if its
/// place is above the node. The node may be left with one child, which its owner must take.
pub(super) fn write<'a, I>(node: &mut Arc<Node>, writes: &mut Writes<'a, I>) -> Option<Bit>
where
    I: Iterator<Item = Write<'a>>,
{
    let node = Arc::make_mut(node);
    let mut current = writes.current();
    while let Some((key, value)) = current {
        let exit = node.exit_with_path(key);
        let (changed, removed) = (writes.changed, writes.removed);
        let mut leaves_at = None;
        match node.child_mut(exit.child) {
            Child::Node(below) => {
                leaves_at = write(below, writes);
                let below_len = below.len();
                if writes.changed > changed {
                    node.forget(exit.path);
                }
                let is_sparse = node.len() + below_len <= ABSORB_CHILDREN_MAX + 1;
                if below_len == 1 || writes.removed > removed && is_sparse {
                    node.absorb(&exit, key);
                }
            }
            Child::Leaf(leaf) => match value.map(|value| leaf.write(key, value)) {
                Some(Written::Differs(bit)) => leaves_at = Some(bit),
                Some(Written::Unchanged) => writes.advance(),
                Some(Written::Changed) => {
                    node.forget(exit.path);
                    writes.changed += 1;
                    writes.advance();
                }
                None => {
                    if leaf.key() == key {
                        node.remove_child(&exit);
                        writes.changed += 1;
                        writes.removed += 1;
                    }
                    writes.advance();
                    if node.len() == 1 {
                        return None;
                    }
                }
            },
            Child::Empty => unreachable!("a branch leads to a place in use"),
        }
        match leaves_at {
            None => {}
            Some(bit) if node.rank() < bit.rank() => node.add_current(writes, bit),
            Some(_) => return leaves_at,
        }
        current = writes.current_below(node.rank());
    }
    None
}

impl Node {
    /// Makes the node over two leaves whose keys first differ at `bit`.
    pub(super) fn pair(old: Leaf, new: Leaf, bit: Bit) -> Self {
        let mut node = Self::empty();
        node.top = node.take_child_place(Child::Leaf(old));
        node.add(new, bit);
        node
    }

    /// Returns the hash of the node's top branch, filling what is missing under it.
    pub(super) fn hash(&self) -> Hash {
        self.hash_at(self.top)
    }

    /// Returns the hash of a branch or child, filling what is missing under it.
    pub(super) fn hash_at(&self, place: Place) -> Hash {
        if !self.is_hashed(place) {
            fill(self, place);
        }
        self.cell(place).load()
    }

    /// Returns whether the cached hash of a branch or child is good.
    pub(super) fn is_hashed(&self, place: Place) -> bool {
        self.hashed.load(Ordering::Acquire) & flag(place) != 0
    }

    /// Says that the cached hashes of places, and of all under them, are good.
    pub(super) fn mark_hashed(&self, places: u64) {
        self.hashed.fetch_or(places, Ordering::Release);
    }

    /// Returns where the hash of a branch or child is cached.
    pub(super) fn cell(&self, place: Place) -> &Cell {
        &self.hashes[usize::from(place) & (PLACES - 1)]
    }

    /// Returns the top branch, where every path through the node begins.
    pub(super) fn top(&self) -> Place {
        self.top
    }

    /// Returns the bit and the two sides of a branch, or the child at any other place.
    pub(super) fn at(&self, place: Place) -> Result<(Bit, [Place; 2]), &Child> {
        if is_branch(place) {
            let branch = self.branches[index(place)];
            return Ok((branch.bit, branch.sides));
        }
        Err(self.child(place))
    }

    /// Puts a new leaf under the node, whose key leaves the path it takes at `bit`. The node's
    /// own place must be right: its top is before the bit, or nothing is above the node.
    pub(super) fn add(&mut self, leaf: Leaf, bit: Bit) {
        let mut node = self;
        loop {
            if node.len() == WIDTH {
                node.split();
            }
            let key = leaf.key();
            let (mut at, mut edge, mut path) = (node.top, None, 0);
            while is_branch(at) && node.branches[index(at)].bit.rank() < bit.rank() {
                path |= flag(at);
                let branch = &node.branches[index(at)];
                let side = usize::from(branch.bit.of(key));
                edge = Some((at, side));
                at = branch.sides[side];
            }
            node.forget(path | flag(at));
            if node.place_is_below(at, bit) {
                let Child::Node(below) = node.child_mut(at) else {
                    unreachable!("only a node has a top");
                };
                node = Arc::make_mut(below);
                continue;
            }
            let mut sides = [at; 2];
            let side = usize::from(bit.of(key));
            sides[side] = node.take_child_place(Child::Leaf(leaf));
            let branch = node.take_branch_place(Branch { bit, sides });
            match edge {
                Some((above, side)) => node.branches[index(above)].sides[side] = branch,
                None => node.top = branch,
            }
            return;
        }
    }

    /// Adds the entry that is to be written next, which is new and leaves its path at `bit`.
    pub(super) fn add_current<'a, I>(&mut self, writes: &mut Writes<'a, I>, bit: Bit)
    where
        I: Iterator<Item = Write<'a>>,
    {
        if let Some((key, Some(value))) = writes.current() {
            self.add(Leaf::new(key, value), bit);
            writes.changed += 1;
            writes.added += 1;
        }
        writes.advance();
    }

    /// Takes the child out of a node that has only one.
    pub(super) fn take_only_child(&mut self) -> Option<Child> {
        (self.len() == 1).then(|| std::mem::take(self.child_mut(self.top)))
    }

    fn empty() -> Self {
        Self {
            hashed: AtomicU64::new(0),
            used: 0,
            top: 0,
            branches: Default::default(),
            children: Default::default(),
            hashes: std::array::from_fn(|_| Cell::default()),
        }
    }

    fn len(&self) -> usize {
        (self.used >> WIDTH).count_ones() as usize
    }

    /// Returns the order of the top branch's bit.
    fn rank(&self) -> u16 {
        self.branches[index(self.top)].bit.rank()
    }

    fn child(&self, place: Place) -> &Child {
        &self.children[index(place)]
    }

    fn child_mut(&mut self, place: Place) -> &mut Child {
        &mut self.children[index(place)]
    }

    /// Returns the child to which the path of a key leads.
    #[inline]
    fn exit(&self, key: &[u8]) -> Place {
        let mut at = self.top;
        while is_branch(at) {
            let branch = &self.branches[index(at)];
            at = branch.sides[usize::from(branch.bit.of(key))];
        }
        at
    }

    /// Returns the child to which the path of a key leads, and how.
    #[inline]
    fn exit_with_path(&self, key: &[u8]) -> Exit {
        let (mut at, mut parent, mut grandparent, mut path) = (self.top, self.top, None, 0);
        while is_branch(at) {
            path |= flag(at);
            grandparent = (at != self.top).then_some(parent);
            parent = at;
            let branch = &self.branches[index(at)];
            at = branch.sides[usize::from(branch.bit.of(key))];
        }
        Exit { child: at, parent, grandparent, path: path | flag(at) }
    }

    /// Returns whether a key that leaves its path at `bit` does so inside the child at `place`.
    fn place_is_below(&self, place: Place, bit: Bit) -> bool {
        !is_branch(place)
            && matches!(self.child(place), Child::Node(below) if below.rank() < bit.rank())
    }

    /// Marks places as not hashed.
    fn forget(&mut self, places: u64) {
        *self.hashed.get_mut() &= !places;
    }

    fn take_child_place(&mut self, child: Child) -> Place {
        let place = place_of((!self.used & CHILD_PLACES).trailing_zeros());
        self.used |= flag(place);
        *self.child_mut(place) = child;
        place
    }

    fn take_branch_place(&mut self, branch: Branch) -> Place {
        let place = place_of((!self.used).trailing_zeros());
        self.used |= flag(place);
        self.branches[index(place)] = branch;
        place
    }

    fn free(&mut self, place: Place) {
        self.used &= !flag(place);
        self.forget(flag(place));
    }

    /// Makes what pointed to one place point to another.
    fn relink(&mut self, above: Option<Place>, from: Place, to: Place) {
        match above {
            Some(above) => {
                let sides = &mut self.branches[index(above)].sides;
                sides[usize::from(sides[1] == from)] = to;
            }
            None => self.top = to,
        }
    }

    /// Removes the leaf at an exit, and the branch that led to it.
    fn remove_child(&mut self, exit: &Exit) {
        let [zeros, ones] = self.branches[index(exit.parent)].sides;
        let sibling = if zeros == exit.child { ones } else { zeros };
        self.relink(exit.grandparent, exit.parent, sibling);
        self.forget(exit.path);
        *self.child_mut(exit.child) = Child::Empty;
        self.free(exit.child);
        self.free(exit.parent);
    }

    /// Hands about half of a full node's children down to a new child node.
    fn split(&mut self) {
        let mut weights = [0; WIDTH];
        self.weigh(self.top, &mut weights);
        let weight = |place| if is_branch(place) { weights[index(place)] } else { 1 };
        let (mut above, mut at) = (None, self.top);
        while weight(at) > SPLIT_CHILDREN_MAX {
            let [zeros, ones] = self.branches[index(at)].sides;
            above = Some(at);
            at = if weight(zeros) >= weight(ones) { zeros } else { ones };
        }
        let mut below = Self::empty();
        below.top = below.take_over(self, at);
        let hashed = *below.hashed.get_mut() & flag(below.top) != 0;
        let hash = below.hashes[usize::from(below.top)].copy();
        let place = self.take_child_place(Child::Node(Arc::new(below)));
        if hashed {
            self.hashes[usize::from(place)] = hash;
            *self.hashed.get_mut() |= flag(place);
        }
        self.relink(above, at, place);
    }

    /// Replaces the child node at an exit by its branches and children. The key is one that
    /// leaves at the exit.
    fn absorb(&mut self, exit: &Exit, key: &[u8]) {
        let Child::Node(below) = std::mem::take(self.child_mut(exit.child)) else {
            unreachable!("only nodes are absorbed");
        };
        let mut below = Arc::unwrap_or_clone(below);
        self.free(exit.child);
        let top = below.top;
        let place = self.take_over(&mut below, top);
        let parent = &mut self.branches[index(exit.parent)];
        parent.sides[usize::from(parent.bit.of(key))] = place;
    }

    /// Returns how many children a place leads to, and notes it for each branch on the way.
    fn weigh(&self, place: Place, weights: &mut [usize; WIDTH]) -> usize {
        if !is_branch(place) {
            return 1;
        }
        let [zeros, ones] = self.branches[index(place)].sides;
        let weight = self.weigh(zeros, weights) + self.weigh(ones, weights);
        weights[index(place)] = weight;
        weight
    }

    /// Moves everything under a place of another node here, cached hashes included.
    fn take_over(&mut self, other: &mut Self, place: Place) -> Place {
        let here = if is_branch(place) {
            let Branch { bit, sides } = other.branches[index(place)];
            let sides = sides.map(|side| self.take_over(other, side));
            self.take_branch_place(Branch { bit, sides })
        } else {
            self.take_child_place(std::mem::take(other.child_mut(place)))
        };
        if *other.hashed.get_mut() & flag(place) != 0 {
            self.hashes[usize::from(here)] = other.hashes[usize::from(place)].copy();
            *self.hashed.get_mut() |= flag(here);
        }
        other.free(place);
        here
    }
}

#[cfg(test)]
impl Node {
    /// Counts the places in use whose hash is not cached, here and below.
    pub(super) fn unhashed(&self) -> usize {
        let here = (self.used & !self.hashed.load(Ordering::Acquire)).count_ones() as usize;
        let below = self.children.iter().map(|child| match child {
            Child::Node(node) => node.unhashed(),
            Child::Leaf(_) | Child::Empty => 0,
        });
        here + below.sum::<usize>()
    }

    /// Checks what must hold of every node.
    pub(super) fn assert_sound(&self) {
        let hashed = self.hashed.load(Ordering::Acquire);
        let (mut seen, mut left) = (0, vec![(self.top, None)]);
        while let Some((place, above)) = left.pop() {
            assert_eq!(seen & flag(place), 0, "a place is reached once");
            seen |= flag(place);
            let below = match self.at(place) {
                Ok((bit, sides)) => {
                    left.extend(sides.map(|side| (side, Some(bit.rank()))));
                    if hashed & flag(place) != 0 {
                        assert!(sides.iter().all(|side| hashed & flag(*side) != 0));
                    }
                    bit.rank()
                }
                Err(Child::Node(node)) => {
                    node.assert_sound();
                    node.rank()
                }
                Err(Child::Leaf(_)) => u16::MAX,
                Err(Child::Empty) => panic!("a branch leads to a place in use"),
            };
            assert!(above.is_none_or(|above| above < below), "bits come in order");
        }
        assert_eq!(seen, self.used, "all places in use are reached");
        assert_eq!(hashed & !self.used, 0, "no free place is hashed");
        assert!((2..=WIDTH).contains(&self.len()));
        assert!(is_branch(self.top));
        let kept = self.children.iter().filter(|child| !matches!(child, Child::Empty)).count();
        assert_eq!(kept, self.len(), "free places hold nothing");
    }
}

fn place_of(bit: u32) -> Place {
    Place::try_from(bit).expect("a node has a free place, as it is split when full")
}

impl Clone for Node {
    fn clone(&self) -> Self {
        let hashed = self.hashed.load(Ordering::Acquire);
        Self {
            hashed: AtomicU64::new(hashed),
            used: self.used,
            top: self.top,
            branches: self.branches,
            children: self.children.clone(),
            hashes: std::array::from_fn(|place| match hashed >> place & 1 {
                1 => self.hashes[place].copy(),
                _ => Cell::default(),
            }),
        }
    }
}
