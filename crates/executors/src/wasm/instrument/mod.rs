//! Rewrites a module so that it meters itself and means the same everywhere.
//!
//! The result is a module for any engine: it counts fuel and call depth in two globals, asks the
//! host for more fuel through one added import, makes NaNs canonical, and cannot grow its memory
//! and tables beyond the limits of the job. The same input gives the same bytes.

mod analysis;
mod effort;
mod emit;
mod error;
mod features;
mod floats;
mod sections;

pub use error::{ModuleError, Refusal};
use wasmparser::{Encoding, Parser, Payload, ValidPayload, Validator};

pub(super) use features::FEATURES;

use self::error::Failure;
use self::sections::Sections;
use super::specification::bounds;

/// The module name of the added import.
pub(super) const REFILL_MODULE: &str = "idlewild";
/// The field name of the added import.
pub(super) const REFILL_NAME: &str = "refill";
/// The start of every reserved export name.
pub(super) const RESERVED: &str = "idlewild:";
/// The export of the fuel global.
pub(super) const FUEL: &str = "idlewild:fuel";
/// The export of the depth global.
pub(super) const DEPTH: &str = "idlewild:depth";
/// The export of the memory.
pub(super) const MEMORY: &str = "idlewild:memory";
/// The export of the start function, if there is one.
pub(super) const START: &str = "idlewild:start";
/// The start of the exports of the guest's own mutable globals; a number follows.
pub(super) const GLOBAL: &str = "idlewild:global:";

/// The bounds on a module that its job sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleLimits {
    /// The pages of 64 KiB up to which the linear memory may grow, at most 65,536.
    pub memory_pages: u32,
    /// The fuel that there is to make the module ready.
    pub fuel: u64,
}

/// A module that meters itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrumented {
    /// The module.
    pub module: Vec<u8>,
    /// The fuel that it costs to make ready, which the run does not charge.
    pub compile_fuel: u64,
}

/// Checks `module` and returns its instrumented form.
///
/// # Errors
/// [`Refusal`] if the bytes are no valid program within the limits.
pub fn instrument(module: &[u8], limits: &ModuleLimits) -> Result<Instrumented, Refusal> {
    check_form(module).map_err(|error| Refusal { error, compile_fuel: 0 })?;
    let mut sections = Sections::new(limits);
    let rewritten = rewrite(module, &mut sections);
    let compile_fuel = sections.compile_fuel();
    let finished = match rewritten {
        Ok(()) => sections.finish(),
        Err(Failure::Module(error)) => Err(error),
        Err(Failure::Format(error)) => Err(features::diagnose(module, &error)),
    };
    match finished {
        Ok(module) => Ok(Instrumented { module, compile_fuel }),
        Err(error) => Err(Refusal { error, compile_fuel }),
    }
}

/// Checks what shows without reading a module.
fn check_form(module: &[u8]) -> Result<(), ModuleError> {
    ModuleError::check("bytes of the module", module.len(), bounds::MODULE_BYTES_MAX)?;
    if Parser::is_component(module) {
        return Err(ModuleError::Component);
    }
    if !module.starts_with(b"\0asm") {
        return Err(ModuleError::NotWasm);
    }
    Ok(())
}

fn rewrite(module: &[u8], sections: &mut Sections) -> Result<(), Failure> {
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let mut validator = Validator::new_with_features(FEATURES);
    for payload in parser.parse_all(module) {
        let payload = payload?;
        if let Payload::Version { encoding: Encoding::Component, .. } = payload {
            return Err(ModuleError::Component.into());
        }
        sections.check_count(&payload)?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => sections.function(function, &body)?,
            _ => sections.section(payload)?,
        }
    }
    Ok(())
}
