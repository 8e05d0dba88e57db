//! Integrates a small system of bodies and a logistic map.

use std::hint::black_box;

#[derive(Clone, Copy)]
struct Body {
    place: [f64; 3],
    speed: [f64; 3],
    mass: f64,
}

fn step(bodies: &mut [Body; 5], dt: f64) {
    for i in 0..5 {
        for j in i + 1..5 {
            let mut d = [0.0; 3];
            for k in 0..3 {
                d[k] = bodies[i].place[k] - bodies[j].place[k];
            }
            let square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 1e-3;
            let pull = dt / (square * square.sqrt());
            for k in 0..3 {
                let (mi, mj) = (bodies[i].mass, bodies[j].mass);
                bodies[i].speed[k] -= d[k] * mj * pull;
                bodies[j].speed[k] += d[k] * mi * pull;
            }
        }
    }
    for body in bodies {
        for k in 0..3 {
            body.place[k] += body.speed[k] * dt;
        }
    }
}

fn main() {
    let mut bodies = [Body { place: [0.0; 3], speed: [0.0; 3], mass: 1.0 }; 5];
    for (i, body) in bodies.iter_mut().enumerate() {
        let i = i as f64;
        body.place = [i * 1.5, (i * 2.0).cos(), (i * 3.0).sin()];
        body.mass = 1.0 / (1.0 + i);
    }
    for _ in 0..600_000 {
        step(&mut bodies, 1e-4);
    }
    let mut x = 0.3_f64;
    let mut sum = 0.0;
    for _ in 0..20_000_000 {
        x = 3.7 * x * (1.0 - x);
        sum += x;
    }
    black_box((bodies[0].place, sum));
}
