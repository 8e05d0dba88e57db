//! Entries in the order of their keys.

use super::bit::Bit;
use super::leaf::Leaf;
use super::node::{Child, Node, Place};

/// A part of the trie that is still to be visited.
#[derive(Clone, Copy)]
enum Part<'a> {
    Under(&'a Child),
    At(&'a Node, Place),
}

/// Entries of a map from some key on, in the order of their keys.
#[derive(Clone)]
pub struct Range<'a> {
    /// What is left, the next part last.
    parts: Vec<Part<'a>>,
}

impl<'a> Range<'a> {
    pub(super) fn new(top: &'a Child, from: &[u8]) -> Self {
        let mut parts = Vec::with_capacity(32);
        seek(top, from, |part| parts.push(part));
        Self { parts }
    }
}

impl<'a> Range<'a> {
    /// Returns the next leaf.
    pub(super) fn next_leaf(&mut self) -> Option<&'a Leaf> {
        let mut part = self.parts.pop()?;
        loop {
            match part {
                Part::Under(Child::Empty) => return None,
                Part::Under(Child::Leaf(leaf)) => return Some(leaf),
                Part::Under(Child::Node(node)) => part = Part::At(node, node.top()),
                Part::At(node, place) => match node.at(place) {
                    Ok((_, [zeros, ones])) => {
                        self.parts.push(Part::At(node, ones));
                        part = Part::At(node, zeros);
                    }
                    Err(child) => part = Part::Under(child),
                },
            }
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_leaf().map(Leaf::entry)
    }
}

impl std::fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Range").finish_non_exhaustive()
    }
}

/// Returns the first leaf whose key is `from` or comes after it.
pub(super) fn first_from<'a>(top: &'a Child, from: &[u8]) -> Option<&'a Leaf> {
    let mut first = None;
    seek(top, from, |part| first = Some(part));
    let mut part = first?;
    loop {
        match part {
            Part::Under(Child::Empty) => return None,
            Part::Under(Child::Leaf(leaf)) => return Some(leaf),
            Part::Under(Child::Node(node)) => part = Part::At(node, node.top()),
            Part::At(node, place) => {
                part = match node.at(place) {
                    Ok((_, [zeros, _])) => Part::At(node, zeros),
                    Err(child) => Part::Under(child),
                }
            }
        }
    }
}

/// Names the parts that hold exactly the keys from `from` on, the last part first.
fn seek<'a>(top: &'a Child, from: &[u8], mut name: impl FnMut(Part<'a>)) {
    let Some(nearest) = top.nearest(from) else {
        return;
    };
    let leaves_at = Bit::first_difference(nearest.key(), from);
    let rank_end = leaves_at.map_or(u16::MAX, Bit::rank);
    let mut part = Part::Under(top);
    loop {
        match part {
            Part::Under(Child::Node(node)) => part = Part::At(node, node.top()),
            Part::Under(Child::Leaf(_) | Child::Empty) => break,
            Part::At(node, place) => match node.at(place) {
                Ok((bit, _)) if bit.rank() > rank_end => break,
                Ok((bit, [zeros, ones])) => {
                    let side = if bit.of(from) {
                        ones
                    } else {
                        name(Part::At(node, ones));
                        zeros
                    };
                    part = Part::At(node, side);
                }
                Err(child) => part = Part::Under(child),
            },
        }
    }
    // What is left all lies on one side of `from`.
    if !leaves_at.is_some_and(|bit| bit.of(from)) {
        name(part);
    }
}
