//! Tiles of a picture: which there are, and how they become one file again.

use std::io::{self, BufWriter};
use std::path::Path;

use thiserror::Error;

/// Bytes of a pixel: red, green, blue.
const PIXEL_BYTES: usize = 3;

/// The most pixels along an edge.
const EDGE_MAX: u32 = 8_192;

/// Why there is no picture.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum PictureError {
    /// The scene does not say how large it is.
    #[error("the scene has no proper line `size WIDTH HEIGHT`")]
    Size,
    /// A tile is not a picture.
    #[error("a tile is not a binary PPM picture")]
    Malformed,
    /// A tile has another size than its place.
    #[error("a tile has {found:?} pixels where {expected:?} are missing")]
    Misfit {
        /// What it has.
        found: (u32, u32),
        /// What its place has.
        expected: (u32, u32),
    },
}

/// How a picture is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The picture's width and height in pixels.
    pub(crate) size: (u32, u32),
    /// Columns and rows of tiles.
    pub(crate) tiles: (u32, u32),
}

impl Grid {
    /// Reads the size from the text of a scene.
    pub(crate) fn of_scene(scene: &str, tiles: (u32, u32)) -> Result<Self, PictureError> {
        let line = scene.lines().find_map(|line| line.trim().strip_prefix("size "));
        let line = line.and_then(|rest| rest.split('#').next()).ok_or(PictureError::Size)?;
        let numbers: Option<Vec<u32>> =
            line.split_whitespace().map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[width, height])
                if (1..=EDGE_MAX).contains(&width) && (1..=EDGE_MAX).contains(&height) =>
            {
                Ok(Self { size: (width, height), tiles })
            }
            _ => Err(PictureError::Size),
        }
    }

    /// Returns column and row of every tile, row by row.
    pub(crate) fn places(&self) -> Vec<(u32, u32)> {
        let (columns, rows) = self.tiles;
        (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))).collect()
    }

    /// Returns the first pixel and the size of a tile.
    fn area(&self, (column, row): (u32, u32)) -> ((u32, u32), (u32, u32)) {
        let edge = |length: u32, part: u32, parts: u32| length * part / parts;
        let ((width, height), (columns, rows)) = (self.size, self.tiles);
        let (left, top) = (edge(width, column, columns), edge(height, row, rows));
        let right = edge(width, column + 1, columns);
        let bottom = edge(height, row + 1, rows);
        ((left, top), (right - left, bottom - top))
    }
}

/// A picture that is being put together.
#[derive(Debug)]
pub(crate) struct Picture {
    grid: Grid,
    pixels: Vec<u8>,
}

impl Picture {
    /// Starts a black picture.
    pub(crate) fn new(grid: Grid) -> Self {
        let (width, height) = grid.size;
        let pixels = vec![0; index(width) * index(height) * PIXEL_BYTES];
        Self { grid, pixels }
    }

    /// Puts a tile, as binary PPM, in its place.
    pub(crate) fn place(&mut self, tile: (u32, u32), ppm: &[u8]) -> Result<(), PictureError> {
        let ((left, top), expected) = self.grid.area(tile);
        let (found, pixels) = parse_ppm(ppm).ok_or(PictureError::Malformed)?;
        if found != expected {
            return Err(PictureError::Misfit { found, expected });
        }
        let row_bytes = index(expected.0) * PIXEL_BYTES;
        let stride = index(self.grid.size.0) * PIXEL_BYTES;
        let mut start = index(top) * stride + index(left) * PIXEL_BYTES;
        for row in pixels.chunks_exact(row_bytes) {
            self.pixels[start..start + row_bytes].copy_from_slice(row);
            start += stride;
        }
        Ok(())
    }

    /// Writes the picture as PNG.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let file = BufWriter::new(std::fs::File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.grid.size.0, self.grid.size.1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(())
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a number of 32 bits is an index")
}

/// Reads `P6`, width, height, 255 and as many pixels as that is.
fn parse_ppm(bytes: &[u8]) -> Option<((u32, u32), &[u8])> {
    let mut rest = bytes.strip_prefix(b"P6")?;
    let mut numbers = [0; 3];
    for number in &mut numbers {
        let skipped = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        rest = rest.get(skipped..).filter(|_| skipped > 0)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, after) = rest.split_at_checked(digits)?;
        *number = str::from_utf8(text).ok()?.parse().ok()?;
        rest = after;
    }
    let [width, height, depth] = numbers;
    let (separator, pixels) = rest.split_first()?;
    let expected = index(width).checked_mul(index(height))?.checked_mul(PIXEL_BYTES)?;
    let whole = separator.is_ascii_whitespace() && depth == 255 && pixels.len() == expected;
    whole.then_some(((width, height), pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ppm(width: u32, height: u32, value: u8) -> Vec<u8> {
        let mut bytes = format!("P6\n{width} {height}\n255\n").into_bytes();
        bytes.resize(bytes.len() + index(width * height) * PIXEL_BYTES, value);
        bytes
    }

    #[test]
    fn the_size_stands_in_the_scene() {
        let size = |text| Grid::of_scene(text, (1, 1)).map(|grid| grid.size);
        assert_eq!(size("# a scene\nsize 480 270 # wide\nsamples 1"), Ok((480, 270)));
        for bad in ["", "size 1", "size 0 1", "size 1 9000", "size a b", "size 1 2 3"] {
            assert_eq!(size(bad), Err(PictureError::Size), "{bad}");
        }
    }

    #[test]
    fn tiles_cover_every_pixel_once() {
        let grid = Grid { size: (7, 5), tiles: (3, 2) };
        let mut picture = Picture::new(grid);
        for (number, place) in (1..).zip(grid.places()) {
            let (_, (width, height)) = grid.area(place);
            picture.place(place, &ppm(width, height, number)).unwrap();
        }
        assert!(picture.pixels.iter().all(|value| *value != 0));
        let areas = grid.places().into_iter().map(|place| grid.area(place).1);
        assert_eq!(areas.map(|(width, height)| width * height).sum::<u32>(), 35);
        // The first pixel of the last tile.
        assert_eq!(picture.pixels[(2 * 7 + 4) * PIXEL_BYTES], 6);
    }

    #[test]
    fn what_is_no_tile_is_refused() {
        let grid = Grid { size: (4, 4), tiles: (2, 2) };
        let place = |bytes: &[u8]| Picture::new(grid).place((0, 0), bytes);
        assert_eq!(place(&ppm(2, 2, 1)), Ok(()));
        let misfit = PictureError::Misfit { found: (2, 1), expected: (2, 2) };
        assert_eq!(place(&ppm(2, 1, 1)), Err(misfit));
        let cut = &ppm(2, 2, 1)[..20];
        for bad in [&b""[..], b"P6", b"P5\n2 2\n255\n", b"P6\n2 2\n254\n____________", cut] {
            assert_eq!(place(bad), Err(PictureError::Malformed));
        }
    }
}
