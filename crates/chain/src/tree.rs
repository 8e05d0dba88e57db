//! The states that blocks lead to: the last final one, and those that may still become final.

use std::{collections::HashMap, sync::Arc};

use crate::{
    block::{Hash, Header},
    machine::State,
};

/// A block that was executed, and the state after it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) header: Header,
    pub(crate) digest: Hash,
    pub(crate) state: Arc<dyn State>,
}

impl Node {
    pub(crate) fn new(header: Header, state: Arc<dyn State>) -> Self {
        Self { header, digest: header.digest(), state }
    }
}

/// All states that matter, by the digest of the header that leads to them.
pub(crate) struct Tree {
    nodes: HashMap<Hash, Node>,
    last_final: Node,
}

impl Tree {
    pub(crate) fn new(last_final: Node) -> Self {
        Self { nodes: HashMap::new(), last_final }
    }

    pub(crate) const fn last_final(&self) -> &Node {
        &self.last_final
    }

    pub(crate) fn get(&self, digest: &Hash) -> Option<&Node> {
        if *digest == self.last_final.digest {
            return Some(&self.last_final);
        }
        self.nodes.get(digest)
    }

    /// Keeps a state, unless no block after it can become final any more.
    pub(crate) fn insert(&mut self, node: Node) {
        if node.header.height > self.last_final.header.height {
            self.nodes.insert(node.digest, node);
        }
    }

    /// Makes a child of the last final block final, and drops what competed with it.
    pub(crate) fn finalize(&mut self, node: Node) {
        assert_eq!(node.header.parent, self.last_final.digest, "blocks become final in order");
        let height = node.header.height;
        self.nodes.retain(|_, other| other.header.height > height);
        self.last_final = node;
    }
}
