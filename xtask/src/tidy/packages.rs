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

/// Returns the graph of these packages, with the features that they ask for themselves: others in
/// the workspace may ask for more of what they share.
pub(crate) fn read_graph(house: &House, packages: &[&str]) -> Result<Graph> {
    let asked = packages.iter().flat_map(|package| ["--package", package]);
    let mut ask = vec!["tree", "--edges", "normal", "--target", "all"];
    ask.extend(["--prefix", "depth", "--format", " {p}"]);
    ask.extend(asked);
    Graph::parse(&output_of(&mut house.cargo(&ask))?)
}

impl Graph {
    /// Reads cargo's answer: a line a package, with its depth; versions of one count as one.
    fn parse(text: &str) -> Result<Self> {
        let mut graph = Self::default();
        let mut above: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let depth = words.next().and_then(|depth| depth.parse::<usize>().ok());
            let (depth, name) = depth.zip(words.next()).context("cargo tree")?;
            above.truncate(depth);
            if let Some(user) = above.last() {
                graph.edges.entry(user.clone()).or_default().insert(name.to_owned());
            }
            above.push(name.to_owned());
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
    fn a_package_stands_under_its_user() {
        let text = "0 a v1 (/a)\n1 b v1\n2 c v1\n1 d v1\n\n0 e v1\n1 c v1 (*)\n";
        let edges = [("a", "b"), ("b", "c"), ("a", "d"), ("e", "c")];
        assert_eq!(Graph::parse(text).unwrap(), Graph::of(&edges));
    }

    #[test]
    fn a_way_names_every_package_on_it() {
        let graph = Graph::of(&[("a", "b"), ("b", "c"), ("c", "a")]);
        assert_eq!(graph.ways_from("a")["c"], ["a", "b", "c"]);
    }
}
