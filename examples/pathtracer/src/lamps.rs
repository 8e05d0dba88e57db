//! The shapes that shine, and drawing a point on one of them.

use crate::scene::{Material, Scene};
use crate::shape::Shape;
use crate::vector::{Vec3, disc, greater, lesser};

/// All lamps, with the chance of each in proportion to its power.
#[derive(Clone, Debug)]
pub struct Lamps {
    lamps: Vec<Lamp>,
}

#[derive(Clone, Debug)]
struct Lamp {
    shape: usize,
    emission: Vec3,
    chance: f32,
    /// The chances of all lamps up to and with this one.
    sum: f32,
}

/// A lamp as seen from a point: where to look, and the light that a surface
/// facing it would receive from there.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub direction: Vec3,
    pub distance: f32,
    pub light: Vec3,
}

impl Lamps {
    pub fn new(scene: &Scene) -> Self {
        let mut lamps = Vec::new();
        for (number, &covering) in scene.coverings.iter().enumerate() {
            let Material::Light { emission } = scene.materials[covering] else { continue };
            let Some(area) = scene.shapes[number].light_area() else { continue };
            let power = area * (emission.x + emission.y + emission.z);
            if power > 0.0 {
                lamps.push(Lamp { shape: number, emission, chance: power, sum: 0.0 });
            }
        }
        let total: f32 = lamps.iter().map(|lamp| lamp.chance).sum();
        let mut sum = 0.0;
        for lamp in &mut lamps {
            lamp.chance /= total;
            sum += lamp.chance;
            lamp.sum = sum;
        }
        Self { lamps }
    }

    /// Draws a lamp by `choice` and a point on it by `pair`.
    pub fn sample(&self, scene: &Scene, from: Vec3, choice: f32, pair: (f32, f32)) -> Option<Look> {
        let place = self.lamps.partition_point(|lamp| lamp.sum <= choice);
        // Rounding may leave the last sum just below 1.
        let lamp = self.lamps.get(place).or(self.lamps.last())?;
        let (direction, distance, solid_angle) = match &scene.shapes[lamp.shape] {
            Shape::Sphere { center, radius } => toward_sphere(*center, *radius, from, pair)?,
            Shape::Quad { corner, u, v } => toward_quad(*corner, *u, *v, from, pair)?,
            Shape::Box { .. } | Shape::Cone { .. } => return None,
        };
        Some(Look { direction, distance, light: lamp.emission * (solid_angle / lamp.chance) })
    }
}

/// Draws evenly from the cone of directions in which the sphere appears.
fn toward_sphere(
    center: Vec3,
    radius: f32,
    from: Vec3,
    (u, v): (f32, f32),
) -> Option<(Vec3, f32, f32)> {
    let offset = center - from;
    let square = offset.dot(offset) - radius * radius;
    if square <= 0.0 {
        return None;
    }
    let axis = offset.normalized();
    let sine_square = radius * radius / offset.dot(offset);
    // 1 − cos of the cone's half angle, without cancellation.
    let cap = sine_square / (1.0 + (1.0 - sine_square).sqrt());
    let (x, y) = disc(u, v);
    let part = lesser(x * x + y * y, 1.0) * cap;
    let cos = 1.0 - part;
    let (tangent, other) = axis.frame();
    let stretch = greater(cap * (2.0 - part), 0.0).sqrt();
    let direction = (axis * cos + (tangent * x + other * y) * stretch).normalized();
    let along = offset.dot(direction);
    let aside = offset - direction * along;
    let distance = along - greater(radius * radius - aside.dot(aside), 0.0).sqrt();
    Some((direction, distance, 2.0 * std::f32::consts::PI * cap))
}

/// Draws evenly from the parallelogram's area.
fn toward_quad(
    corner: Vec3,
    u: Vec3,
    v: Vec3,
    from: Vec3,
    (a, b): (f32, f32),
) -> Option<(Vec3, f32, f32)> {
    let offset = corner + u * a + v * b - from;
    let square = offset.dot(offset);
    if square < 1e-6 {
        return None;
    }
    let distance = square.sqrt();
    let direction = offset / distance;
    // The cross product's length is the area, so this is area × cosine.
    let facing = u.cross(v).dot(direction).abs();
    Some((direction, distance, facing / square))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Sampler;

    #[test]
    fn directions_to_a_sphere_meet_it_at_the_distance_given() {
        let (center, radius) = (Vec3::new(1.0, 2.0, 3.0), 0.5);
        for index in 0..64 {
            let pair = Sampler::new(0, 0, 0, index, 64).pair(0);
            let (direction, distance, angle) =
                toward_sphere(center, radius, Vec3::ZERO, pair).unwrap();
            let point = direction * distance;
            assert!(((point - center).length() - radius).abs() < 1e-2);
            assert!(angle > 0.0 && angle < 0.1);
        }
    }

    #[test]
    fn brighter_lamps_are_drawn_more_often() {
        let text = "size 1 1\nsamples 1\ncamera 0 0 5 0 0 0 40 0 5\nsky 0 0 0 0 0 0 0 0 0\n\
                    material dim light 1 1 1\nmaterial bright light 3 3 3\n\
                    sphere dim -5 0 0 1\nsphere bright 5 0 0 1\n";
        let scene = Scene::parse(text).unwrap();
        let lamps = Lamps::new(&scene);
        let left = (0..1000u16)
            .filter(|&step| {
                let choice = f32::from(step) / 1000.0;
                let look = lamps.sample(&scene, Vec3::ZERO, choice, (0.5, 0.5)).unwrap();
                look.direction.x < 0.0
            })
            .count();
        assert_eq!(left, 250);
    }
}
