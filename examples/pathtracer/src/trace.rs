//! The light along a path.
//!
//! A path starts at the camera and bounces from surface to surface. Where it
//! meets a matte surface, a straight look at the sun and at one lamp adds their
//! light; light from the sky, and what other surfaces return, is found by
//! following the path on. A lamp or the sun met by chance therefore counts only
//! where no straight look was taken: from the camera, a mirror or glass.

use crate::lamps::Lamps;
use crate::sampler::{Sampler, hash, unit};
use crate::scene::{Material, Plane, Scene, Sky};
use crate::shape::Ray;
use crate::tree::Tree;
use crate::vector::{Vec3, disc, greater, lesser};

/// The most light that a path brings at once to its first matte surface by way
/// of others. It trades rare bright specks for a little lost light.
const INDIRECT_MAX: f32 = 0.6;

/// Surfaces met before a dim path may be ended at random.
const BOUNCES_SURE: u32 = 3;

/// Decisions of a path: two for the camera, then these at each surface.
const DECISIONS: u32 = 5;
const DIRECTION: u32 = 2;
const CHOICE: u32 = 3;
const SUN: u32 = 4;
const LAMP: u32 = 5;
const SURVIVAL: u32 = 6;

/// A scene prepared for tracing.
#[derive(Debug)]
pub struct Tracer<'a> {
    scene: &'a Scene,
    tree: Tree,
    lamps: Lamps,
}

/// A surface on a ray.
#[derive(Clone, Copy, Debug)]
struct Surface {
    point: Vec3,
    /// Outward.
    normal: Vec3,
    material: usize,
}

/// How a path goes on.
struct Bounce {
    direction: Vec3,
    weight: Vec3,
    /// Whether the surface was matte, so that straight looks were taken.
    scattered: bool,
}

impl<'a> Tracer<'a> {
    pub fn new(scene: &'a Scene) -> Self {
        Self { scene, tree: Tree::new(&scene.shapes), lamps: Lamps::new(scene) }
    }

    /// Returns the light that arrives along a ray.
    pub fn light(&self, ray: Ray, sampler: &Sampler) -> Vec3 {
        let (mut ray, mut weight, mut light) = (ray, Vec3::ONE, Vec3::ZERO);
        let (mut scattered, mut indirect) = (false, false);
        for bounce in 0..=self.scene.bounces {
            let decisions = bounce * DECISIONS;
            let found = self.arrive(&ray, scattered, weight);
            light += if indirect { limited(found.0) } else { found.0 };
            let Some(surface) = found.1 else { break };
            if bounce == self.scene.bounces {
                break;
            }
            let facing = face(surface.normal, ray.direction);
            let Some(next) = self.bounce(&surface, facing, &ray, sampler, decisions) else {
                break;
            };
            weight = weight * next.weight;
            scattered = next.scattered;
            if scattered {
                let direct = weight * self.look(&surface, facing, sampler, decisions);
                light += if indirect { limited(direct) } else { direct };
                indirect = true;
            }
            if bounce >= BOUNCES_SURE {
                let chance = lesser(weight.max_component(), 0.95);
                if sampler.pair(decisions + SURVIVAL).0 >= chance {
                    break;
                }
                weight = weight / chance;
            }
            ray = Ray { origin: surface.point, direction: next.direction };
        }
        light
    }

    /// Returns the weighted light that the ray ends in, or the surface it meets.
    fn arrive(&self, ray: &Ray, scattered: bool, weight: Vec3) -> (Vec3, Option<Surface>) {
        let Some(surface) = self.meet(ray) else {
            return (weight * sky_light(&self.scene.sky, ray.direction, !scattered), None);
        };
        match self.scene.materials[surface.material] {
            Material::Light { .. } if scattered => (Vec3::ZERO, None),
            Material::Light { emission } => (weight * emission, None),
            _ => (Vec3::ZERO, Some(surface)),
        }
    }

    fn meet(&self, ray: &Ray) -> Option<Surface> {
        let met = self.tree.meet(&self.scene.shapes, ray, f32::MAX);
        let limit = met.map_or(f32::MAX, |(_, meeting)| meeting.distance);
        if let Some(plane) = &self.scene.plane {
            let distance = (plane.height - ray.origin.y) / ray.direction.y;
            if distance > 1e-3 && distance < limit {
                let point = ray.at(distance);
                let normal = plane_normal(plane, point, distance);
                return Some(Surface { point, normal, material: plane.material });
            }
        }
        let (number, meeting) = met?;
        Some(Surface {
            point: ray.at(meeting.distance),
            normal: meeting.normal,
            material: self.scene.coverings[number],
        })
    }

    /// Chooses how the path goes on; `facing` is the normal on the ray's side.
    fn bounce(
        &self,
        surface: &Surface,
        facing: Vec3,
        ray: &Ray,
        sampler: &Sampler,
        decisions: u32,
    ) -> Option<Bounce> {
        let pair = sampler.pair(decisions + DIRECTION);
        let mirror = |weight, roughness| {
            let direction = roughen(ray.direction.reflect(facing), roughness, pair);
            // A rough mirror may point into the surface; that light is lost.
            (direction.dot(facing) > 0.0).then_some(Bounce { direction, weight, scattered: false })
        };
        let matte = |color| {
            Some(Bounce { direction: scatter(facing, pair), weight: color, scattered: true })
        };
        let slant = -ray.direction.dot(facing);
        let choice = || sampler.pair(decisions + CHOICE).0;
        match self.scene.materials[surface.material] {
            Material::Matte { color } => matte(color),
            Material::Mottle { color, other, size } => {
                matte(color.mix(other, patches(surface.point / size)))
            }
            Material::Metal { color, roughness } => mirror(color, roughness),
            Material::Coat { color, index, roughness } => {
                if choice() < reflectance(slant, 1.0 / index) {
                    mirror(Vec3::ONE, roughness)
                } else {
                    matte(color)
                }
            }
            Material::Glass { tint, index } => {
                let entering = surface.normal.dot(ray.direction) < 0.0;
                let ratio = if entering { 1.0 / index } else { index };
                if choice() < reflectance(slant, ratio) {
                    mirror(Vec3::ONE, 0.0)
                } else {
                    let direction = refract(ray.direction, facing, slant, ratio);
                    Some(Bounce { direction, weight: tint, scattered: false })
                }
            }
            Material::Light { .. } => None,
        }
    }

    /// Returns the light of the sun and of one lamp on a white matte surface.
    fn look(&self, surface: &Surface, facing: Vec3, sampler: &Sampler, decisions: u32) -> Vec3 {
        let mut light = Vec3::ZERO;
        if let Some(sun) = &self.scene.sky.sun {
            let pair = sampler.pair(decisions + SUN);
            let direction = roughen(sun.direction, sun.radius, pair);
            let slant = direction.dot(facing);
            if slant > 0.0 && !self.blocked(surface.point, direction, f32::MAX) {
                light += sun.irradiance * (slant / std::f32::consts::PI);
            }
        }
        let choice = sampler.pair(decisions + CHOICE).1;
        let pair = sampler.pair(decisions + LAMP);
        if let Some(lamp) = self.lamps.sample(self.scene, surface.point, choice, pair) {
            let slant = lamp.direction.dot(facing);
            if slant > 0.0 && !self.blocked(surface.point, lamp.direction, lamp.distance) {
                light += lamp.light * (slant / std::f32::consts::PI);
            }
        }
        light
    }

    fn blocked(&self, point: Vec3, direction: Vec3, distance: f32) -> bool {
        let ray = Ray { origin: point, direction };
        // The last bit of the way is the lamp itself.
        let limit = distance * 0.999;
        if let Some(plane) = &self.scene.plane {
            let meeting = (plane.height - point.y) / direction.y;
            if meeting > 1e-3 && meeting < limit {
                return true;
            }
        }
        self.tree.blocks(&self.scene.shapes, &ray, limit)
    }
}

fn limited(light: Vec3) -> Vec3 {
    let most = light.max_component();
    if most > INDIRECT_MAX { light * (INDIRECT_MAX / most) } else { light }
}

fn face(normal: Vec3, direction: Vec3) -> Vec3 {
    if normal.dot(direction) > 0.0 { -normal } else { normal }
}

/// Draws a direction off a matte surface, more often the steeper.
fn scatter(normal: Vec3, (u, v): (f32, f32)) -> Vec3 {
    let (x, y) = disc(u, v);
    let (tangent, other) = normal.frame();
    let up = greater(1.0 - x * x - y * y, 0.0).sqrt();
    (tangent * x + other * y + normal * up).normalized()
}

/// Draws a direction within a cone whose radius at distance 1 is `radius`.
fn roughen(direction: Vec3, radius: f32, (u, v): (f32, f32)) -> Vec3 {
    if radius == 0.0 {
        return direction;
    }
    let (x, y) = disc(u, v);
    let (tangent, other) = direction.frame();
    (direction + (tangent * x + other * y) * radius).normalized()
}

/// Returns the part of light that a clear surface reflects, after Fresnel.
///
/// `slant` is the cosine of arrival, `ratio` the refractive index on the side
/// of arrival over that beyond.
fn reflectance(slant: f32, ratio: f32) -> f32 {
    let square = 1.0 - ratio * ratio * (1.0 - slant * slant);
    if square <= 0.0 {
        return 1.0;
    }
    let beyond = square.sqrt();
    let across = (ratio * slant - beyond) / (ratio * slant + beyond);
    let along = (slant - ratio * beyond) / (slant + ratio * beyond);
    0.5 * (across * across + along * along)
}

fn refract(direction: Vec3, facing: Vec3, slant: f32, ratio: f32) -> Vec3 {
    let square = 1.0 - ratio * ratio * (1.0 - slant * slant);
    (direction * ratio + facing * (ratio * slant - greater(square, 0.0).sqrt())).normalized()
}

/// Returns the sky's light from a direction, with the sun's disc or without.
fn sky_light(sky: &Sky, direction: Vec3, with_sun: bool) -> Vec3 {
    let up = greater(direction.y, 0.0);
    // Rises fast near the horizon, as the air's depth falls.
    let rise = 1.0 - (1.0 - up) * (1.0 - up) * (1.0 - up);
    let mut light = sky.horizon.mix(sky.zenith, rise);
    if let Some(sun) = &sky.sun {
        let toward = greater(direction.dot(sun.direction), 0.0);
        let wide = toward * toward * toward * toward;
        let narrow = wide * wide * wide * wide;
        light += sky.glow * (0.25 * wide + 0.75 * narrow * narrow);
        let aside = direction - sun.direction * direction.dot(sun.direction);
        if with_sun && toward > 0.0 && aside.length() < sun.radius {
            let area = std::f32::consts::PI * sun.radius * sun.radius;
            light += sun.irradiance / area;
        }
    }
    light
}

/// Leans the plane's normal by small waves, which die out in the distance.
fn plane_normal(plane: &Plane, point: Vec3, distance: f32) -> Vec3 {
    if plane.ripple == 0.0 {
        return Vec3::new(0.0, 1.0, 0.0);
    }
    let lean = |x: f32, z: f32| noise(x, 0.0, z) + 0.5 * noise(x * 2.3, 7.0, z * 2.3) - 0.75;
    let (x, z) = (point.x * 0.9, point.z * 2.6);
    let amount = plane.ripple / (1.0 + distance * 0.02);
    Vec3::new(lean(x, z) * amount, 1.0, lean(x + 31.7, z + 11.3) * amount).normalized()
}

/// Returns 0..=1, in soft patches about one unit wide with finer ones inside.
fn patches(point: Vec3) -> f32 {
    let coarse = noise(point.x, point.y, point.z);
    let fine = noise(point.x * 3.7, point.y * 3.7, point.z * 3.7);
    (1.6 * (0.65 * coarse + 0.35 * fine) - 0.3).clamp(0.0, 1.0)
}

/// Returns smooth noise in 0..=1 over space, with one random value a unit cell's
/// corner.
fn noise(x: f32, y: f32, z: f32) -> f32 {
    let floor = [x.floor(), y.floor(), z.floor()];
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let [a, b, c] = [ease(x - floor[0]), ease(y - floor[1]), ease(z - floor[2])];
    let cell = floor.map(|value| value as i32);
    let corner = |dx: i32, dy: i32, dz: i32| {
        let bits = |value: i32| value.cast_unsigned();
        let row = bits(cell[0].wrapping_add(dx)).wrapping_mul(0x8da6_b343);
        let column = bits(cell[1].wrapping_add(dy)).wrapping_mul(0xd816_3841);
        let layer = bits(cell[2].wrapping_add(dz)).wrapping_mul(0xcb1a_b31f);
        unit(hash(row ^ column ^ layer))
    };
    let mix = |from: f32, to: f32, amount: f32| from + (to - from) * amount;
    let edge = |dy, dz| mix(corner(0, dy, dz), corner(1, dy, dz), a);
    mix(mix(edge(0, 0), edge(1, 0), b), mix(edge(0, 1), edge(1, 1), b), c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glass_reflects_little_ahead_and_all_beyond_the_critical_angle() {
        assert!((reflectance(1.0, 1.0 / 1.5) - 0.04).abs() < 1e-3);
        assert_eq!(reflectance(0.1, 1.5), 1.0);
        assert!(reflectance(0.0, 1.0 / 1.5) > 0.999);
    }

    #[test]
    fn refraction_follows_snell() {
        let facing = Vec3::new(0.0, 1.0, 0.0);
        let arriving = Vec3::new(0.6, -0.8, 0.0);
        let beyond = refract(arriving, facing, 0.8, 1.0 / 1.5);
        assert!((beyond.x - 0.4).abs() < 1e-5 && beyond.y < 0.0);
    }

    #[test]
    fn a_matte_ball_in_an_even_sky_is_as_bright_as_its_colour() {
        let text = "size 1 1\nsamples 1\nbounces 4\ncamera 0 0 5 0 0 0 40 0 5\n\
                    sky 1 1 1 1 1 1 0 0 0\nmaterial m matte 0.5 0.5 0.5\nsphere m 0 0 0 1\n";
        let scene = Scene::parse(text).unwrap();
        let tracer = Tracer::new(&scene);
        let ray = Ray { origin: Vec3::new(0.0, 0.0, 5.0), direction: Vec3::new(0.0, 0.0, -1.0) };
        for index in 0..64 {
            let light = tracer.light(ray, &Sampler::new(0, 0, 0, index, 64));
            assert!((light.x - 0.5).abs() < 1e-5, "{light:?}");
        }
    }

    #[test]
    fn a_lamp_overhead_lights_the_ground_by_its_solid_angle() {
        let text = "size 1 1\nsamples 1\nbounces 1\ncamera 0 1 0 0 0 0 40 0 1\n\
                    sky 0 0 0 0 0 0 0 0 0\nmaterial white matte 1 1 1\nplane white 0 0\n\
                    material lamp light 10 10 10\nsphere lamp 0 10 0 1\n";
        let scene = Scene::parse(text).unwrap();
        let tracer = Tracer::new(&scene);
        let ray = Ray {
            origin: Vec3::new(2.0, 2.0, 0.0),
            direction: Vec3::new(-1.0, -1.0, 0.0).normalized(),
        };
        let samples = 256;
        let sum = (0..samples)
            .map(|index| tracer.light(ray, &Sampler::new(3, 1, 1, index, samples)).x)
            .sum::<f32>();
        // A ball of radiance L and angular radius a straight above gives L·sin²a.
        let mean = sum / samples as f32;
        assert!((mean - 0.1).abs() < 0.002, "{mean}");
    }
}
