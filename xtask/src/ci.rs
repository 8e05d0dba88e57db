//! `cargo xtask ci`: everything that a machine checks of a change, in order of cost.

use anyhow::Result;

use crate::Arguments;
use crate::house::House;
use crate::steps::{self, Extent, Tally};

/// Runs all steps, or with `--extras` those that `cargo xtask test` does not run.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    let mut tally = Tally::default();
    if !arguments.has("--extras") {
        steps::needs(house)?;
        tally += steps::form(house)?;
        tally += steps::lints(house)?;
        tally += steps::tests(house, Extent::Normal, None)?;
        tally += steps::tidiness(house)?;
    }
    tally += steps::dependencies(house)?;
    Ok(tally.close())
}
