//! A tile of the picture: its place, its pixels, its file.

use crate::sampler::Sampler;
use crate::scene::Scene;
use crate::shape::Ray;
use crate::trace::Tracer;
use crate::vector::{Vec3, cube_root, disc, sin_cos};

/// The most tiles along an edge.
pub const TILES_MAX: u32 = 1_024;

/// One of `columns` × `rows` parts of the picture, counted from the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub column: u32,
    pub row: u32,
    pub columns: u32,
    pub rows: u32,
}

impl Tile {
    /// The whole picture.
    pub const WHOLE: Self = Self { column: 0, row: 0, columns: 1, rows: 1 };

    /// Returns the tile's first pixel and the one after its last, along x.
    pub fn span_x(&self, scene: &Scene) -> (u32, u32) {
        span(scene.width, self.column, self.columns)
    }

    /// Returns the tile's first pixel and the one after its last, along y.
    pub fn span_y(&self, scene: &Scene) -> (u32, u32) {
        span(scene.height, self.row, self.rows)
    }
}

fn span(pixels: u32, part: u32, parts: u32) -> (u32, u32) {
    (pixels * part / parts, pixels * (part + 1) / parts)
}

/// Traces a tile and returns it as a binary PPM file (P6, 8 bits, sRGB).
pub fn render(scene: &Scene, tile: Tile) -> Vec<u8> {
    let ((left, right), (top, bottom)) = (tile.span_x(scene), tile.span_y(scene));
    let lens = Lens::new(scene);
    let tracer = Tracer::new(scene);
    let mut file = format!("P6\n{} {}\n255\n", right - left, bottom - top).into_bytes();
    for y in top..bottom {
        for x in left..right {
            let mut sum = Vec3::ZERO;
            for index in 0..scene.samples {
                let sampler = Sampler::new(scene.seed, x, y, index, scene.samples);
                sum += tracer.light(lens.ray(x, y, &sampler), &sampler);
            }
            let light = sum * (scene.exposure / scene.samples as f32);
            file.extend([light.x, light.y, light.z].map(develop));
        }
    }
    file
}

/// The camera, ready to send rays.
struct Lens {
    place: Vec3,
    right: Vec3,
    up: Vec3,
    ahead: Vec3,
    focus: f32,
    radius: f32,
    /// Half the height of what is seen at distance 1.
    reach: f32,
    width: f32,
    height: f32,
}

impl Lens {
    fn new(scene: &Scene) -> Self {
        let camera = &scene.camera;
        let ahead = (camera.at - camera.from).normalized();
        let right = ahead.cross(Vec3::new(0.0, 1.0, 0.0)).normalized();
        let (sin, cos) = sin_cos((camera.view * 0.5).to_radians());
        Self {
            place: camera.from,
            right,
            up: right.cross(ahead),
            ahead,
            focus: camera.focus,
            radius: camera.aperture * 0.5,
            reach: sin / cos,
            width: scene.width as f32,
            height: scene.height as f32,
        }
    }

    fn ray(&self, x: u32, y: u32, sampler: &Sampler) -> Ray {
        let (u, v) = sampler.pair(0);
        let across = (2.0 * (x as f32 + u) - self.width) / self.height * self.reach;
        let upward = (self.height - 2.0 * (y as f32 + v)) / self.height * self.reach;
        let target = (self.ahead + self.right * across + self.up * upward) * self.focus;
        let (u, v) = sampler.pair(1);
        let (a, b) = disc(u, v);
        let offset = (self.right * a + self.up * b) * self.radius;
        Ray { origin: self.place + offset, direction: (target - offset).normalized() }
    }
}

/// Turns light into a byte: a film's soft shoulder, then sRGB's curve.
fn develop(light: f32) -> u8 {
    let x = light.max(0.0);
    let film = (x * (2.3 * x + 0.04) / (x * (2.2 * x + 0.58) + 0.16)).min(1.0);
    let encoded = if film <= 0.003_130_8 { 12.92 * film } else { 1.055 * twelfths(film) - 0.055 };
    (encoded.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Returns the power 5/12, which is sRGB's exponent of 1/2.4.
fn twelfths(value: f32) -> f32 {
    let root = cube_root(value.sqrt().sqrt());
    let square = root * root;
    square * square * root
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "size 16 9\nsamples 4\nseed 9\ncamera 0 2 6 0 1 0 50 0.1 6\n\
        sky 0.9 0.6 0.4 0.2 0.3 0.6 1 0.6 0.3\nsun 1 1 1 3 2 1 0.02\n\
        material ground mottle 0.2 0.3 0.1 0.1 0.2 0.1 1\nplane ground 0 0.1\n\
        material gold metal 0.9 0.7 0.3 0.1\nmaterial ice glass 1 1 1 1.5\n\
        material wet coat 0.5 0.1 0.1 1.3 0\nmaterial lamp light 9 8 7\n\
        sphere gold 0 1 0 1\nsphere ice 1 0.5 2 0.5\nbox wet -2 0.5 0 1 1 1 30\n\
        cone ground 2 0 0 0.5 2\nquad lamp -1 3 0 1 0 0 0 0 1\n";

    #[test]
    fn tiles_together_are_the_whole_picture() {
        let scene = Scene::parse(TEXT).unwrap();
        let body = |file: &[u8], tile: Tile| {
            let (left, right) = tile.span_x(&scene);
            let (top, bottom) = tile.span_y(&scene);
            file[file.len() - ((right - left) * (bottom - top) * 3) as usize..].to_vec()
        };
        let whole = body(&render(&scene, Tile::WHOLE), Tile::WHOLE);
        let mut joined = vec![0; whole.len()];
        for (column, row) in (0..3).flat_map(|column| (0..2).map(move |row| (column, row))) {
            let tile = Tile { column, row, columns: 3, rows: 2 };
            let pixels = body(&render(&scene, tile), tile);
            let (left, right) = tile.span_x(&scene);
            let (top, _) = tile.span_y(&scene);
            let line = ((right - left) * 3) as usize;
            for (y, pixels) in (top..).zip(pixels.chunks(line)) {
                let start = ((y * scene.width + left) * 3) as usize;
                joined[start..start + line].copy_from_slice(pixels);
            }
        }
        assert_eq!(joined, whole);
        assert!(whole.iter().any(|&byte| byte != whole[0]));
    }

    #[test]
    fn the_curve_is_that_of_srgb() {
        for step in 1u16..=100 {
            let value = f32::from(step) / 100.0;
            assert!((twelfths(value) - value.powf(1.0 / 2.4)).abs() < 1e-5, "{value}");
        }
        assert_eq!(develop(0.0), 0);
        assert_eq!(develop(1e9), 255);
    }

    #[test]
    fn a_tile_of_no_pixels_is_an_empty_picture() {
        let mut scene = Scene::parse(TEXT).unwrap();
        scene.width = 1;
        let tile = Tile { column: 0, row: 0, columns: 2, rows: 1 };
        assert_eq!(render(&scene, tile), b"P6\n0 9\n255\n");
    }
}
