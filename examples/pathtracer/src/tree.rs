//! A tree of boxes over the shapes, so that a ray tests few of them.

use crate::shape::{Meeting, Ray, Shape};
use crate::vector::{Vec3, greater, lesser};

/// Shapes in a leaf; below this, testing them all is quicker than splitting.
const LEAF_SHAPES_MAX: usize = 3;

/// Levels at which a split may be uneven.
const DEPTH_FREE: usize = 16;

/// Levels of the tree: below the free ones, splits halve the shapes, of which
/// there are at most 2¹².
const DEPTH_MAX: usize = DEPTH_FREE + 12;

/// A binary tree in depth-first order; a node's first child follows it.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    order: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Node {
    low: Vec3,
    high: Vec3,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Leaf { start: usize, end: usize },
    Split { axis: usize, second: usize },
}

impl Tree {
    /// Builds the tree from the top, by the cheapest cut at each node.
    pub fn new(shapes: &[Shape]) -> Self {
        let mut tree = Self { nodes: Vec::new(), order: (0..shapes.len()).collect() };
        let bounds: Vec<_> = shapes.iter().map(Shape::bounds).collect();
        if !shapes.is_empty() {
            tree.split(&bounds, 0, shapes.len(), 0);
        }
        tree
    }

    /// Returns the nearest shape on the ray, by its number, and where they meet.
    pub fn meet(&self, shapes: &[Shape], ray: &Ray, distance_max: f32) -> Option<(usize, Meeting)> {
        let mut nearest = None;
        let mut limit = distance_max;
        self.visit(
            ray,
            |start, end| {
                for &number in &self.order[start..end] {
                    if let Some(meeting) = shapes[number].meet(ray, limit) {
                        limit = meeting.distance;
                        nearest = Some((number, meeting));
                    }
                }
                Some(limit)
            },
            distance_max,
        );
        nearest
    }

    /// Tells whether any shape lies on the ray before the distance.
    pub fn blocks(&self, shapes: &[Shape], ray: &Ray, distance: f32) -> bool {
        let mut blocked = false;
        self.visit(
            ray,
            |start, end| {
                blocked = self.order[start..end]
                    .iter()
                    .any(|&number| shapes[number].meet(ray, distance).is_some());
                if blocked { None } else { Some(distance) }
            },
            distance,
        );
        blocked
    }

    /// Calls `leaf` with the shapes' range of each leaf on the ray, until it
    /// returns no further limit.
    fn visit(&self, ray: &Ray, mut leaf: impl FnMut(usize, usize) -> Option<f32>, limit: f32) {
        let d = ray.direction;
        let inverse = Vec3::new(1.0 / d.x, 1.0 / d.y, 1.0 / d.z);
        let mut limit = limit;
        let mut stack = [0usize; DEPTH_MAX + 1];
        let mut waiting = usize::from(!self.nodes.is_empty());
        while waiting > 0 {
            waiting -= 1;
            let number = stack[waiting];
            let node = &self.nodes[number];
            if !node.crossed(ray.origin, inverse, limit) {
                continue;
            }
            match node.kind {
                Kind::Leaf { start, end } => match leaf(start, end) {
                    Some(next) => limit = next,
                    None => return,
                },
                Kind::Split { axis, second } => {
                    // The nearer half goes on top, so that it is met first.
                    let halves = [second, number + 1];
                    let turned = usize::from(d.axis(axis) < 0.0);
                    stack[waiting] = halves[turned];
                    stack[waiting + 1] = halves[1 - turned];
                    waiting += 2;
                }
            }
        }
    }

    fn split(&mut self, bounds: &[(Vec3, Vec3)], start: usize, end: usize, depth: usize) {
        let (low, high) = around(bounds, &self.order[start..end]);
        let place = self.nodes.len();
        if end - start <= LEAF_SHAPES_MAX {
            self.nodes.push(Node { low, high, kind: Kind::Leaf { start, end } });
            return;
        }
        let (axis, count) = cut(bounds, &self.order[start..end], depth);
        sort_along(bounds, axis, &mut self.order[start..end]);
        self.nodes.push(Node { low, high, kind: Kind::Split { axis, second: 0 } });
        self.split(bounds, start, start + count, depth + 1);
        let second = self.nodes.len();
        self.nodes[place].kind = Kind::Split { axis, second };
        self.split(bounds, start + count, end, depth + 1);
    }
}

/// Returns the corners of the box around some shapes.
fn around(bounds: &[(Vec3, Vec3)], numbers: &[usize]) -> (Vec3, Vec3) {
    numbers.iter().fold((Vec3::ONE * f32::MAX, Vec3::ONE * f32::MIN), |(low, high), &number| {
        (low.min(bounds[number].0), high.max(bounds[number].1))
    })
}

/// Sorts shapes by where their middle lies, those at the same place by number.
fn sort_along(bounds: &[(Vec3, Vec3)], axis: usize, numbers: &mut [usize]) {
    let middle = |number: usize| bounds[number].0.axis(axis) + bounds[number].1.axis(axis);
    numbers.sort_unstable_by(|&a, &b| middle(a).total_cmp(&middle(b)).then(a.cmp(&b)));
}

/// Chooses an axis and how many shapes along it go into the first half.
///
/// The cost of a half is its surface, which is in proportion to the rays that
/// cross it, times its shapes. Deep down the halves are made even, so that the
/// depth stays within its limit.
fn cut(bounds: &[(Vec3, Vec3)], numbers: &[usize], depth: usize) -> (usize, usize) {
    let even = numbers.len() / 2;
    let mut best = (f32::MAX, 0, even);
    for axis in 0..3 {
        let mut sorted = numbers.to_vec();
        sort_along(bounds, axis, &mut sorted);
        let ahead = costs(bounds, sorted.iter());
        let behind = costs(bounds, sorted.iter().rev());
        for count in 1..numbers.len() {
            let cost = ahead[count - 1] + behind[numbers.len() - count - 1];
            if cost < best.0 && (depth < DEPTH_FREE || count == even) {
                best = (cost, axis, count);
            }
        }
    }
    (best.1, best.2)
}

/// Returns the cost of a half made of the first shape, the first two, …
fn costs<'a>(bounds: &[(Vec3, Vec3)], numbers: impl Iterator<Item = &'a usize>) -> Vec<f32> {
    let mut reach = (Vec3::ONE * f32::MAX, Vec3::ONE * f32::MIN);
    let mut count = 0.0;
    numbers
        .map(|&number| {
            reach = (reach.0.min(bounds[number].0), reach.1.max(bounds[number].1));
            count += 1.0;
            let edge = reach.1 - reach.0;
            count * (edge.x * edge.y + edge.y * edge.z + edge.z * edge.x)
        })
        .collect()
}

impl Node {
    fn crossed(&self, origin: Vec3, inverse: Vec3, limit: f32) -> bool {
        let a = (self.low - origin) * inverse;
        let b = (self.high - origin) * inverse;
        let (near, far) = (a.min(b), a.max(b));
        let enter = greater(greater(near.x, near.y), greater(near.z, 0.0));
        let leave = lesser(lesser(far.x, far.y), lesser(far.z, limit));
        enter <= leave
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{hash, unit};

    fn number(key: u32) -> f32 {
        unit(hash(key)) * 20.0 - 10.0
    }

    fn point(key: u32) -> Vec3 {
        Vec3::new(number(key * 3), number(key * 3 + 1), number(key * 3 + 2))
    }

    #[test]
    fn tree_finds_what_testing_every_shape_finds() {
        let shapes: Vec<_> = (0..200)
            .map(|key| Shape::Sphere { center: point(key), radius: 0.2 + unit(hash(key + 9_000)) })
            .collect();
        let tree = Tree::new(&shapes);
        let mut met = 0;
        for key in 0..2_000 {
            let ray =
                Ray { origin: point(key + 1_000), direction: point(key + 5_000).normalized() };
            let slow = shapes
                .iter()
                .filter_map(|shape| shape.meet(&ray, f32::MAX))
                .map(|meeting| meeting.distance)
                .reduce(f32::min);
            let quick = tree.meet(&shapes, &ray, f32::MAX).map(|(_, meeting)| meeting.distance);
            assert_eq!(slow, quick);
            assert_eq!(tree.blocks(&shapes, &ray, f32::MAX), slow.is_some());
            met += usize::from(slow.is_some());
        }
        assert!((200..1_900).contains(&met), "{met}");
    }

    #[test]
    fn no_shapes_meet_no_ray() {
        let ray = Ray { origin: Vec3::ZERO, direction: Vec3::new(0.0, 0.0, 1.0) };
        assert!(Tree::new(&[]).meet(&[], &ray, f32::MAX).is_none());
    }
}
