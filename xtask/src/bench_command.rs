//! `cargo xtask bench`: runs every `[[bench]]` of the workspace and prints one table or list.

use anyhow::{Context, Result, bail};
use bench::Row;

use crate::Arguments;
use crate::house::{House, output_of};
use crate::machine::Machine;
use crate::tidy::packages::{self, Package};

/// One measuring program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    package: String,
    name: String,
}

/// Measures, then prints the rows with the machine's facts, or as a JSON list.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    let targets = targets(&packages::read(house)?);
    let (targets, filter) = chosen(&targets, arguments.operand());
    let mut rows = Vec::new();
    for target in &targets {
        eprintln!("measuring {} {}", target.package, target.name);
        rows.extend(measure(house, target, filter)?);
    }
    if rows.is_empty() {
        bail!("nothing measured\nhint: no row or bench target matches the filter");
    }
    if arguments.has("--json") {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        let Machine { cpu, cores, memory_mib, kernel, rustc } = Machine::read();
        println!("{cpu}, {cores} cores, {memory_mib} MiB, Linux {kernel}, {rustc}\n");
        print!("{}", bench::table(&rows));
    }
    Ok(true)
}

fn targets(packages: &[Package]) -> Vec<Target> {
    let mut targets = Vec::new();
    for package in packages {
        for target in package.targets.iter().filter(|target| target.kind == ["bench"]) {
            targets.push(Target { package: package.name.clone(), name: target.name.clone() });
        }
    }
    targets
}

/// Returns the programs to run and the filter they get: a filter that names a package or a
/// program selects it whole, any other selects rows.
fn chosen<'a>(targets: &[Target], filter: Option<&'a str>) -> (Vec<Target>, Option<&'a str>) {
    let Some(word) = filter else { return (targets.to_vec(), None) };
    let named: Vec<Target> = targets
        .iter()
        .filter(|target| target.package == word || target.name == word)
        .cloned()
        .collect();
    if named.is_empty() { (targets.to_vec(), filter) } else { (named, None) }
}

fn measure(house: &House, target: &Target, filter: Option<&str>) -> Result<Vec<Row>> {
    let run = ["bench", "--quiet", "-p", &target.package, "--bench", &target.name, "--", "--json"];
    let mut command = house.cargo(&run);
    command.args(filter);
    let output = output_of(&mut command)?;
    serde_json::from_str(&output)
        .with_context(|| format!("{} {} wrote no list of rows", target.package, target.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_selects_a_program_whole_or_rows_of_all() {
        let target = |package: &str, name: &str| Target {
            package: package.to_string(),
            name: name.to_string(),
        };
        let all = [target("ledger", "cycle"), target("executors", "dispatch")];
        assert_eq!(chosen(&all, None), (all.to_vec(), None));
        assert_eq!(chosen(&all, Some("ledger")), (vec![all[0].clone()], None));
        assert_eq!(chosen(&all, Some("dispatch")), (vec![all[1].clone()], None));
        assert_eq!(chosen(&all, Some("transfers")), (all.to_vec(), Some("transfers")));
    }
}
