//! Shapes and where rays meet them.

use crate::vector::{Vec3, greater, lesser};

/// The least distance at which a ray may meet a surface it has just left.
const DISTANCE_MIN: f32 = 1e-3;

/// A half-line with a unit direction.
#[derive(Clone, Copy, Debug)]
pub struct Ray {
    pub origin: Vec3,
    pub direction: Vec3,
}

impl Ray {
    pub fn at(&self, distance: f32) -> Vec3 {
        self.origin + self.direction * distance
    }
}

/// What a scene is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Sphere {
        center: Vec3,
        radius: f32,
    },
    /// Upright; `sin` and `cos` turn it about the vertical through its centre.
    Box {
        center: Vec3,
        half: Vec3,
        sin: f32,
        cos: f32,
    },
    /// Open, with its point above the centre of its base.
    Cone {
        base: Vec3,
        radius: f32,
        height: f32,
    },
    /// A parallelogram: a corner and two edges.
    Quad {
        corner: Vec3,
        u: Vec3,
        v: Vec3,
    },
}

/// A distance along a ray and the surface's outward normal there.
#[derive(Clone, Copy, Debug)]
pub struct Meeting {
    pub distance: f32,
    pub normal: Vec3,
}

impl Shape {
    /// Returns the nearest meeting that is closer than `distance_max`.
    pub fn meet(&self, ray: &Ray, distance_max: f32) -> Option<Meeting> {
        match self {
            Self::Sphere { center, radius } => meet_sphere(*center, *radius, ray, distance_max),
            Self::Box { center, half, sin, cos } => {
                let turned = Ray {
                    origin: turn(ray.origin - *center, -sin, *cos),
                    direction: turn(ray.direction, -sin, *cos),
                };
                let meeting = meet_box(*half, &turned, distance_max)?;
                Some(Meeting { normal: turn(meeting.normal, *sin, *cos), ..meeting })
            }
            Self::Cone { base, radius, height } => {
                meet_cone(*base, *radius, *height, ray, distance_max)
            }
            Self::Quad { corner, u, v } => meet_quad(*corner, *u, *v, ray, distance_max),
        }
    }

    /// Returns the lowest and the highest corner of the space that it fills.
    pub fn bounds(&self) -> (Vec3, Vec3) {
        match self {
            Self::Sphere { center, radius } => {
                let reach = Vec3::ONE * *radius;
                (*center - reach, *center + reach)
            }
            Self::Box { center, half, sin, cos } => {
                let reach = Vec3::new(
                    half.x * cos.abs() + half.z * sin.abs(),
                    half.y,
                    half.x * sin.abs() + half.z * cos.abs(),
                );
                (*center - reach, *center + reach)
            }
            Self::Cone { base, radius, height } => {
                let reach = Vec3::new(*radius, 0.0, *radius);
                (*base - reach, *base + reach + Vec3::new(0.0, *height, 0.0))
            }
            Self::Quad { corner, u, v } => {
                let (a, b, c) = (*corner + *u, *corner + *v, *corner + *u + *v);
                (corner.min(a).min(b).min(c), corner.max(a).max(b).max(c))
            }
        }
    }

    /// Returns the area of a shape that can be a light, else nothing.
    pub fn light_area(&self) -> Option<f32> {
        match self {
            Self::Sphere { radius, .. } => Some(4.0 * std::f32::consts::PI * radius * radius),
            Self::Quad { u, v, .. } => Some(u.cross(*v).length()),
            Self::Box { .. } | Self::Cone { .. } => None,
        }
    }
}

/// Turns a vector about the vertical.
fn turn(vector: Vec3, sin: f32, cos: f32) -> Vec3 {
    Vec3::new(vector.x * cos + vector.z * sin, vector.y, vector.z * cos - vector.x * sin)
}

fn within(distance: f32, distance_max: f32) -> bool {
    distance > DISTANCE_MIN && distance < distance_max
}

fn meet_sphere(center: Vec3, radius: f32, ray: &Ray, distance_max: f32) -> Option<Meeting> {
    let offset = center - ray.origin;
    let along = offset.dot(ray.direction);
    // The distance from the axis, not a difference of large squares: it stays
    // exact for hills whose radius is far greater than their visible part.
    let aside = offset - ray.direction * along;
    let square = radius * radius - aside.dot(aside);
    if square < 0.0 {
        return None;
    }
    let root = square.sqrt();
    let distance = [along - root, along + root].into_iter().find(|&d| within(d, distance_max))?;
    Some(Meeting { distance, normal: (ray.at(distance) - center) / radius })
}

fn meet_box(half: Vec3, ray: &Ray, distance_max: f32) -> Option<Meeting> {
    let (mut near, mut far) = (f32::MIN, f32::MAX);
    let (mut near_axis, mut far_axis) = (0, 0);
    for axis in 0..3 {
        let inverse = 1.0 / ray.direction.axis(axis);
        let a = (-half.axis(axis) - ray.origin.axis(axis)) * inverse;
        let b = (half.axis(axis) - ray.origin.axis(axis)) * inverse;
        if lesser(a, b) > near {
            (near, near_axis) = (lesser(a, b), axis);
        }
        if greater(a, b) < far {
            (far, far_axis) = (greater(a, b), axis);
        }
    }
    if near > far {
        return None;
    }
    let (distance, axis, sign) = if within(near, distance_max) {
        (near, near_axis, -1.0)
    } else if within(far, distance_max) {
        (far, far_axis, 1.0)
    } else {
        return None;
    };
    let side = if ray.direction.axis(axis) < 0.0 { -sign } else { sign };
    let normal = match axis {
        0 => Vec3::new(side, 0.0, 0.0),
        1 => Vec3::new(0.0, side, 0.0),
        _ => Vec3::new(0.0, 0.0, side),
    };
    Some(Meeting { distance, normal })
}

fn meet_cone(
    base: Vec3,
    radius: f32,
    height: f32,
    ray: &Ray,
    distance_max: f32,
) -> Option<Meeting> {
    // With the origin at the point and y downwards: x² + z² = (slope·y)².
    let slope = radius / height;
    let offset = ray.origin - base - Vec3::new(0.0, height, 0.0);
    let d = ray.direction;
    let k = slope * slope;
    let a = d.x * d.x + d.z * d.z - k * d.y * d.y;
    let b = offset.x * d.x + offset.z * d.z - k * offset.y * d.y;
    let c = offset.x * offset.x + offset.z * offset.z - k * offset.y * offset.y;
    let square = b * b - a * c;
    if square < 0.0 || a == 0.0 {
        return None;
    }
    let root = square.sqrt();
    let (first, second) = ((-b - root) / a, (-b + root) / a);
    let distance =
        [lesser(first, second), greater(first, second)].into_iter().find(|&distance| {
            let depth = -(offset.y + d.y * distance);
            within(distance, distance_max) && (0.0..=height).contains(&depth)
        })?;
    let point = offset + d * distance;
    Some(Meeting { distance, normal: Vec3::new(point.x, -k * point.y, point.z).normalized() })
}

fn meet_quad(corner: Vec3, u: Vec3, v: Vec3, ray: &Ray, distance_max: f32) -> Option<Meeting> {
    let normal = u.cross(v);
    let slant = normal.dot(ray.direction);
    if slant == 0.0 {
        return None;
    }
    let distance = normal.dot(corner - ray.origin) / slant;
    if !within(distance, distance_max) {
        return None;
    }
    let point = ray.at(distance) - corner;
    let square = normal.dot(normal);
    let a = point.cross(v).dot(normal) / square;
    let b = u.cross(point).dot(normal) / square;
    if !(0.0..=1.0).contains(&a) || !(0.0..=1.0).contains(&b) {
        return None;
    }
    Some(Meeting { distance, normal: normal / square.sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &Shape, origin: Vec3, direction: Vec3, expected: Option<(f32, Vec3)>) {
        let ray = Ray { origin, direction: direction.normalized() };
        let met = shape.meet(&ray, f32::MAX);
        match (met, expected) {
            (None, None) => {}
            (Some(met), Some((distance, normal))) => {
                assert!((met.distance - distance).abs() < 1e-4, "{met:?}");
                assert!((met.normal - normal).length() < 1e-4, "{met:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    const BACK: Vec3 = Vec3::new(0.0, 0.0, -5.0);
    const AHEAD: Vec3 = Vec3::new(0.0, 0.0, 1.0);
    const FACING: Vec3 = Vec3::new(0.0, 0.0, -1.0);

    #[test]
    fn sphere_is_met_in_front_and_from_inside() {
        let sphere = Shape::Sphere { center: Vec3::ZERO, radius: 1.0 };
        check(&sphere, BACK, AHEAD, Some((4.0, FACING)));
        check(&sphere, Vec3::ZERO, AHEAD, Some((1.0, AHEAD)));
        check(&sphere, BACK, -AHEAD, None);
    }

    #[test]
    fn box_is_met_on_the_turned_side() {
        let half = Vec3::new(1.0, 2.0, 3.0);
        let straight = Shape::Box { center: Vec3::ZERO, half, sin: 0.0, cos: 1.0 };
        let quarter = Shape::Box { center: Vec3::ZERO, half, sin: 1.0, cos: 0.0 };
        check(&straight, BACK, AHEAD, Some((2.0, FACING)));
        check(&quarter, BACK, AHEAD, Some((4.0, FACING)));
        check(&straight, Vec3::new(1.5, 0.0, -5.0), AHEAD, None);
    }

    #[test]
    fn cone_narrows_to_its_point() {
        let cone = Shape::Cone { base: Vec3::ZERO, radius: 1.0, height: 2.0 };
        let normal = Vec3::new(0.0, 1.0, -2.0).normalized();
        check(&cone, Vec3::new(0.0, 1.0, -5.0), AHEAD, Some((4.5, normal)));
        check(&cone, Vec3::new(0.0, 2.1, -5.0), AHEAD, None);
        check(&cone, Vec3::new(0.0, -0.1, -5.0), AHEAD, None);
    }

    #[test]
    fn quad_ends_at_its_edges() {
        let quad = Shape::Quad {
            corner: Vec3::new(-1.0, -1.0, 0.0),
            u: Vec3::new(2.0, 0.0, 0.0),
            v: Vec3::new(0.0, 2.0, 0.0),
        };
        check(&quad, BACK, AHEAD, Some((5.0, AHEAD)));
        check(&quad, Vec3::new(1.1, 0.0, -5.0), AHEAD, None);
    }

    #[test]
    fn bounds_hold_every_meeting() {
        let (sin, cos) = crate::vector::sin_cos(0.7);
        let shapes = [
            Shape::Sphere { center: Vec3::ONE, radius: 0.5 },
            Shape::Box { center: Vec3::ONE, half: Vec3::new(0.2, 0.4, 0.9), sin, cos },
            Shape::Cone { base: Vec3::ONE, radius: 0.5, height: 1.0 },
        ];
        for shape in shapes {
            let (low, high) = shape.bounds();
            let slack = Vec3::ONE * 1e-4;
            for step in 0u16..1000 {
                let part = f32::from(step) / 1000.0;
                let (x, y) = crate::vector::disc(part, part * 37.0 - (part * 37.0).floor());
                let origin = Vec3::new(x * 9.0, y * 9.0, -8.0);
                let ray = Ray { origin, direction: (Vec3::ONE - origin).normalized() };
                if let Some(met) = shape.meet(&ray, f32::MAX) {
                    let point = ray.at(met.distance);
                    assert_eq!(point.max(low - slack), point, "{shape:?}");
                    assert_eq!(point.min(high + slack), point, "{shape:?}");
                }
            }
        }
    }
}
