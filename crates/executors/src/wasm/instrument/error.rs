//! Why a module is refused.

use thiserror::Error;

/// Why a module cannot be a job's program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModuleError {
    /// The bytes are not WebAssembly.
    #[error("not a WebAssembly module")]
    NotWasm,
    /// The bytes are a component.
    #[error("a WebAssembly component, not a core module")]
    Component,
    /// The bytes end early or break the format or the rules of types.
    #[error("invalid module: {0}")]
    Invalid(String),
    /// The module uses a proposal that is off.
    #[error("the module uses {proposal}, which is disabled")]
    DisabledProposal {
        /// The name of the proposal.
        proposal: &'static str,
    },
    /// Something in the module is larger than the specification allows.
    #[error("{what}: {actual} is above the limit of {limit}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// The size found.
        actual: u64,
        /// The most allowed.
        limit: u64,
    },
    /// The module imports something that no host provides.
    #[error("unknown import {module}.{name}")]
    UnknownImport {
        /// The import's module name.
        module: String,
        /// The import's field name.
        name: String,
    },
    /// The module imports a host function with a wrong type.
    #[error("import {module}.{name} has the wrong type")]
    ImportType {
        /// The import's module name.
        module: String,
        /// The import's field name.
        name: String,
    },
    /// An export uses a name kept for the metering.
    #[error("the export name {0:?} is reserved")]
    ReservedName(String),
    /// An active segment does not fit what it is to fill at the start.
    #[error("{what} {index} lies outside its {of}")]
    SegmentOutside {
        /// Which kind of segment.
        what: &'static str,
        /// Its number.
        index: u32,
        /// What it is to fill.
        of: &'static str,
    },
    /// The job's fuel does not suffice to make the module ready.
    #[error("the fuel does not suffice to compile the module")]
    OutOfFuel,
    /// A program needs this export.
    #[error("the module does not export {0}")]
    MissingExport(&'static str),
}

/// A module that is refused, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct Refusal {
    /// Why.
    pub error: ModuleError,
    /// The fuel that was paid before that was found: a job with less is out of fuel instead.
    pub compile_fuel: u64,
}

impl ModuleError {
    pub(crate) fn check(
        what: &'static str,
        actual: impl TryInto<u64>,
        limit: impl TryInto<u64>,
    ) -> Result<(), Self> {
        let actual = actual.try_into().unwrap_or(u64::MAX);
        let limit = limit.try_into().unwrap_or(u64::MAX);
        if actual > limit { Err(Self::TooLarge { what, actual, limit }) } else { Ok(()) }
    }
}

/// A failure that a disabled proposal may explain, or one that needs no explanation.
pub(super) enum Failure {
    Format(wasmparser::Error),
    Module(ModuleError),
}

impl From<wasmparser::Error> for Failure {
    fn from(error: wasmparser::Error) -> Self {
        Self::Format(error)
    }
}

impl From<ModuleError> for Failure {
    fn from(error: ModuleError) -> Self {
        Self::Module(error)
    }
}

impl<E: std::fmt::Display> From<wasm_encoder::reencode::Error<E>> for Failure {
    fn from(error: wasm_encoder::reencode::Error<E>) -> Self {
        match error {
            wasm_encoder::reencode::Error::ParseError(error) => Self::Format(error),
            other => Self::Module(ModuleError::Invalid(other.to_string())),
        }
    }
}
