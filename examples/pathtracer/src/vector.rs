//! Three-dimensional vectors and the few functions that the tracer needs.
//!
//! Everything here is made of `+ - * /` and `sqrt`, which IEEE 754 defines to
//! the last bit, so a picture is the same on every machine and in every build.

use std::f32::consts::FRAC_PI_4;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A point, a direction or a linear RGB colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

impl Vec3 {
    pub const ZERO: Self = Self::new(0.0, 0.0, 0.0);
    pub const ONE: Self = Self::new(1.0, 1.0, 1.0);

    pub const fn new(x: f32, y: f32, z: f32) -> Self {
        Self { x, y, z }
    }

    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Scales to length one; the zero vector stays what it is.
    pub fn normalized(self) -> Self {
        let length = self.length();
        if length > 0.0 { self / length } else { self }
    }

    /// Returns the greatest component.
    pub fn max_component(self) -> f32 {
        greater(greater(self.x, self.y), self.z)
    }

    pub fn min(self, other: Self) -> Self {
        Self::new(lesser(self.x, other.x), lesser(self.y, other.y), lesser(self.z, other.z))
    }

    pub fn max(self, other: Self) -> Self {
        Self::new(greater(self.x, other.x), greater(self.y, other.y), greater(self.z, other.z))
    }

    /// Mixes from `self` at 0 to `other` at 1.
    pub fn mix(self, other: Self, amount: f32) -> Self {
        self * (1.0 - amount) + other * amount
    }

    /// Mirrors a direction that arrives at a surface with this normal.
    pub fn reflect(self, normal: Self) -> Self {
        self - normal * (2.0 * self.dot(normal))
    }

    /// Returns the component along axis 0, 1 or 2.
    pub fn axis(self, axis: usize) -> f32 {
        match axis {
            0 => self.x,
            1 => self.y,
            _ => self.z,
        }
    }

    /// Returns two directions that form a right-handed frame with this unit one.
    pub fn frame(self) -> (Self, Self) {
        let helper =
            if self.x.abs() > 0.5 { Self::new(0.0, 1.0, 0.0) } else { Self::new(1.0, 0.0, 0.0) };
        let tangent = helper.cross(self).normalized();
        (tangent, self.cross(tangent))
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.x, -self.y, -self.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// Multiplies component by component, as light with a surface's colour.
impl Mul for Vec3 {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::new(self.x * other.x, self.y * other.y, self.z * other.z)
    }
}

impl Div<f32> for Vec3 {
    type Output = Self;
    fn div(self, divisor: f32) -> Self {
        self * (1.0 / divisor)
    }
}

/// Returns the lesser number, the second if either is NaN.
///
/// One comparison and one selection on any machine; the library's `min` is a
/// function call in WebAssembly.
pub fn lesser(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Returns the greater number, the second if either is NaN.
pub fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Returns sine and cosine of an angle within ±π.
///
/// A polynomial serves a quarter of the angle; two doublings lead back.
pub fn sin_cos(angle: f32) -> (f32, f32) {
    let (mut sin, mut cos) = sin_cos_small(angle * 0.25);
    for _ in 0..2 {
        (sin, cos) = (2.0 * sin * cos, cos * cos - sin * sin);
    }
    (sin, cos)
}

/// Maps the unit square onto the unit disc, areas kept in proportion.
pub fn disc(u: f32, v: f32) -> (f32, f32) {
    let (a, b) = (2.0 * u - 1.0, 2.0 * v - 1.0);
    if a == 0.0 && b == 0.0 {
        (0.0, 0.0)
    } else if a.abs() > b.abs() {
        let (sin, cos) = sin_cos_small(FRAC_PI_4 * (b / a));
        (a * cos, a * sin)
    } else {
        let (sin, cos) = sin_cos_small(FRAC_PI_4 * (a / b));
        (b * sin, b * cos)
    }
}

/// Returns the cube root of a number in 0..=1, by Newton's iteration.
pub fn cube_root(value: f32) -> f32 {
    if value <= 0.0 {
        return 0.0;
    }
    let mut root = value.sqrt().sqrt().max(1e-3);
    for _ in 0..8 {
        root -= (root - value / (root * root)) / 3.0;
    }
    root
}

/// Taylor polynomials, good to a float's last bits within ±π/4.
fn sin_cos_small(x: f32) -> (f32, f32) {
    let s = x * x;
    let sin = x * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0))));
    let cos = 1.0 - s / 2.0 * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0)));
    (sin, cos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_agree_with_the_library() {
        for step in -180i16..=180 {
            let angle = f32::from(step).to_radians();
            let (sin, cos) = sin_cos(angle);
            assert!((sin - angle.sin()).abs() < 2e-6, "sin {step}");
            assert!((cos - angle.cos()).abs() < 2e-6, "cos {step}");
        }
    }

    #[test]
    fn cube_root_inverts_the_cube() {
        for step in 0u16..=1000 {
            let value = f32::from(step) / 1000.0;
            let root = cube_root(value);
            assert!((root * root * root - value).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn disc_stays_inside_the_unit_circle() {
        for u in 0u8..=20 {
            for v in 0u8..=20 {
                let (x, y) = disc(f32::from(u) / 20.0, f32::from(v) / 20.0);
                assert!(x * x + y * y <= 1.0 + 1e-5);
            }
        }
    }

    #[test]
    fn frame_is_orthonormal() {
        let normal = Vec3::new(0.3, -0.8, 0.2).normalized();
        let (tangent, other) = normal.frame();
        for dot in [normal.dot(tangent), normal.dot(other), tangent.dot(other)] {
            assert!(dot.abs() < 1e-6);
        }
        assert!((tangent.length() - 1.0).abs() < 1e-6);
    }
}
