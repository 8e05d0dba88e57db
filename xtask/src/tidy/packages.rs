//! What cargo says of the workspace's packages and of all that they depend on.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::house::{House, output_of};

/// A package of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: String,
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
}

/// What a package asks for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None`, `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// The folder, of packages of this workspace.
    pub(crate) path: Option<String>,
}

/// Something that a package builds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Returns the packages of the workspace.
pub(crate) fn read(house: &House) -> Result<Vec<Package>> {
    let ask = ["metadata", "--no-deps", "--format-version", "1"];
    let text = output_of(&mut house.cargo(&ask))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata")?;
    Ok(metadata.packages)
}

/// Which package uses which at run time, by name, dependencies of others included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Resolved {
    packages: Vec<Identity>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Identity {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

/// Returns the graph that cargo resolved, for every platform.
pub(crate) fn read_graph(house: &House) -> Result<Graph> {
    Graph::parse(&output_of(&mut house.cargo(&["metadata", "--format-version", "1"]))?)
}

impl Graph {
    /// Reads cargo's answer; versions of one package count as one.
    fn parse(text: &str) -> Result<Self> {
        let Resolved { packages, resolve } =
            serde_json::from_str(text).context("cargo metadata")?;
        let names: BTreeMap<&str, &str> =
            packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let name = |id: &str| names.get(id).copied().unwrap_or(id).to_string();
        let mut graph = Self::default();
        for node in &resolve.nodes {
            let used = node.deps.iter().filter(|edge| {
                edge.dep_kinds.is_empty() || edge.dep_kinds.iter().any(|kind| kind.kind.is_none())
            });
            let targets = graph.edges.entry(name(&node.id)).or_default();
            targets.extend(used.map(|edge| name(&edge.pkg)));
        }
        Ok(graph)
    }

    /// Returns the shortest ways from a package to each other that it reaches, ends included.
    pub(crate) fn ways_from(&self, start: &str) -> BTreeMap<String, Vec<String>> {
        let mut ways = BTreeMap::from([(start.to_string(), vec![start.to_string()])]);
        let mut queue = VecDeque::from([start.to_string()]);
        while let Some(name) = queue.pop_front() {
            for next in self.edges.get(&name).into_iter().flatten() {
                if !ways.contains_key(next) {
                    let way = [ways[&name].as_slice(), std::slice::from_ref(next)].concat();
                    ways.insert(next.clone(), way);
                    queue.push_back(next.clone());
                }
            }
        }
        ways
    }

    /// Makes up a graph, for tests.
    #[cfg(test)]
    pub(crate) fn of(edges: &[(&str, &str)]) -> Self {
        let mut graph = Self::default();
        for (from, to) in edges {
            graph.edges.entry((*from).into()).or_default().insert((*to).into());
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_tests_are_not_in_the_graph() {
        let text = r#"{"packages": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"},
            {"id": "3", "name": "c"}], "resolve": {"nodes": [
            {"id": "1", "deps": [{"pkg": "2", "dep_kinds": [{"kind": "dev"}]},
                {"pkg": "3", "dep_kinds": [{"kind": "build"}, {"kind": null}]}]}]}}"#;
        assert_eq!(Graph::parse(text).unwrap(), Graph::of(&[("a", "c")]));
    }

    #[test]
    fn a_way_names_every_package_on_it() {
        let graph = Graph::of(&[("a", "b"), ("b", "c"), ("c", "a")]);
        assert_eq!(graph.ways_from("a")["c"], ["a", "b", "c"]);
    }
}
