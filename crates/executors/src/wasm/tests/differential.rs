//! Random programs on both engines.
