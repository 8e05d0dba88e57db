//! `cargo xtask test`: all tests, then the checks of form; ends with `N passed, N failed`.

use anyhow::Result;

use crate::Arguments;
use crate::aarch64;
use crate::house::House;
use crate::steps::{self, Extent, Tally};

/// Runs the tests; a filter or `--quick` leaves out what does not concern them.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    steps::needs(house)?;
    let extent = match (arguments.has("--quick"), arguments.has("--long")) {
        (true, _) => Extent::Quick,
        (false, true) => Extent::Long,
        (false, false) => Extent::Normal,
    };
    let mut tally = Tally::default();
    tally += steps::tests(house, extent, arguments.operand())?;
    if extent == Extent::Long && arguments.operand().is_none() {
        tally += aarch64::tests(house, None)?;
    }
    if extent != Extent::Quick && arguments.operand().is_none() {
        tally += steps::tidiness(house)?;
        tally += steps::form(house)?;
        tally += steps::lints(house)?;
    }
    Ok(tally.close())
}
