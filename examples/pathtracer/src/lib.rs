//! A path tracer: light followed backwards from the camera through a scene.
//!
//! [`scene`] reads the text of a scene, [`picture`] traces a tile of it and
//! writes a PPM file, [`trace`] follows a single path. The picture depends on
//! the scene alone: no clock, no entropy, and no operation whose last bit a
//! machine or a compiler may choose.
//!
//! ```
//! use pathtracer::{picture::{Tile, render}, scene::Scene};
//!
//! let scene = Scene::parse("size 2 1\nsamples 1\ncamera 0 0 5 0 0 0 40 0 5\n\
//!                           sky 0 0 0 0 0 0 0 0 0\n").unwrap();
//! assert_eq!(render(&scene, Tile::WHOLE), b"P6\n2 1\n255\n\0\0\0\0\0\0");
//! ```

pub mod lamps;
pub mod picture;
pub mod sampler;
pub mod scene;
pub mod shape;
pub mod trace;
pub mod tree;
pub mod vector;
