//! A scene and the text that describes one: a statement a line, `#` starts a
//! comment. The README beside this crate lists the statements.

use std::fmt;

use crate::shape::Shape;
use crate::vector::{Vec3, sin_cos};

/// The most bytes of a scene file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The most pixels along an edge of the picture.
pub const EDGE_PIXELS_MAX: u32 = 8_192;
/// The most samples of a pixel.
pub const SAMPLES_MAX: u32 = 65_536;
/// The most surfaces that a path may meet.
pub const BOUNCES_MAX: u32 = 64;
/// The most materials of a scene.
pub const MATERIALS_MAX: usize = 256;
/// The most shapes of a scene.
pub const SHAPES_MAX: usize = 4_096;

/// Everything that a picture depends on.
#[derive(Clone, Debug)]
pub struct Scene {
    pub width: u32,
    pub height: u32,
    pub samples: u32,
    pub bounces: u32,
    pub seed: u32,
    pub exposure: f32,
    pub camera: Camera,
    pub sky: Sky,
    pub materials: Vec<Material>,
    pub shapes: Vec<Shape>,
    /// The material of each shape.
    pub coverings: Vec<usize>,
    pub plane: Option<Plane>,
}

/// Where the picture is taken from.
#[derive(Clone, Debug)]
pub struct Camera {
    pub from: Vec3,
    pub at: Vec3,
    /// Vertical angle of view in degrees.
    pub view: f32,
    /// Diameter of the lens; 0 keeps everything sharp.
    pub aperture: f32,
    /// Distance at which things are sharp.
    pub focus: f32,
}

/// The light from far away: a gradient, a glow about the sun, the sun.
#[derive(Clone, Debug)]
pub struct Sky {
    pub horizon: Vec3,
    pub zenith: Vec3,
    pub glow: Vec3,
    pub sun: Option<Sun>,
}

#[derive(Clone, Debug)]
pub struct Sun {
    pub direction: Vec3,
    /// What a surface that faces the sun receives.
    pub irradiance: Vec3,
    /// Radius of its disc as seen at distance 1.
    pub radius: f32,
}

/// A horizontal plane without end.
#[derive(Clone, Debug)]
pub struct Plane {
    pub height: f32,
    pub material: usize,
    /// How far its normal leans with small waves; 0 is flat.
    pub ripple: f32,
}

/// How a surface answers light.
#[derive(Clone, Debug, PartialEq)]
pub enum Material {
    Matte {
        color: Vec3,
    },
    /// Matte, of two colours in patches of a size.
    Mottle {
        color: Vec3,
        other: Vec3,
        size: f32,
    },
    Metal {
        color: Vec3,
        roughness: f32,
    },
    Glass {
        tint: Vec3,
        index: f32,
    },
    /// Matte under a clear coat, such as lacquer or still water.
    Coat {
        color: Vec3,
        index: f32,
        roughness: f32,
    },
    Light {
        emission: Vec3,
    },
}

/// Why a text is not a scene.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneError {
    /// The line, from 1; 0 where the whole text is meant.
    pub line: usize,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    TooLong,
    UnknownStatement(String),
    UnknownKind(String),
    UnknownMaterial(String),
    RepeatedMaterial(String),
    MissingValue(&'static str),
    BadNumber { name: &'static str, text: String },
    OutOfRange { name: &'static str, low: f32, high: f32 },
    ExtraText(String),
    DarkShape,
    TooManyMaterials,
    TooManyShapes,
    MissingStatement(&'static str),
}

/// A limit as text, to thousandths.
///
/// The library's printing of floats would make the program a seventh larger.
struct Limit(f32);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = (self.0 * 1000.0) as i64;
        match thousandths % 1000 {
            0 => write!(f, "{}", thousandths / 1000),
            rest => write!(f, "{}.{rest:03}", thousandths / 1000),
        }
    }
}

impl fmt::Display for SceneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match &self.problem {
            Problem::TooLong => write!(f, "the scene is longer than {FILE_BYTES_MAX} bytes"),
            Problem::UnknownStatement(word) => write!(f, "no statement is called `{word}`"),
            Problem::UnknownKind(word) => write!(f, "no kind of material is called `{word}`"),
            Problem::UnknownMaterial(word) => write!(f, "no material above is called `{word}`"),
            Problem::RepeatedMaterial(word) => write!(f, "material `{word}` is there already"),
            Problem::MissingValue(name) => write!(f, "the {name} is missing"),
            Problem::BadNumber { name, text } => write!(f, "the {name} `{text}` is not a number"),
            Problem::OutOfRange { name, low, high } => {
                write!(f, "the {name} must be within {} and {}", Limit(*low), Limit(*high))
            }
            Problem::ExtraText(word) => write!(f, "nothing is expected at `{word}`"),
            Problem::DarkShape => write!(f, "only spheres and quads can be lights"),
            Problem::TooManyMaterials => {
                write!(f, "there are more than {MATERIALS_MAX} materials")
            }
            Problem::TooManyShapes => write!(f, "there are more than {SHAPES_MAX} shapes"),
            Problem::MissingStatement(word) => write!(f, "the scene has no `{word}`"),
        }
    }
}

impl std::error::Error for SceneError {}

impl Scene {
    /// Reads a scene from its text.
    pub fn parse(text: &str) -> Result<Self, SceneError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(SceneError { line: 0, problem: Problem::TooLong });
        }
        let mut draft = Draft::default();
        for (number, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or_default();
            let mut words = Words(content.split_whitespace());
            draft
                .statement(&mut words)
                .map_err(|problem| SceneError { line: number + 1, problem })?;
        }
        draft.finish().map_err(|problem| SceneError { line: 0, problem })
    }
}

/// A scene while its lines are read.
#[derive(Default)]
struct Draft {
    size: Option<(u32, u32)>,
    samples: Option<u32>,
    bounces: Option<u32>,
    seed: u32,
    exposure: Option<f32>,
    camera: Option<Camera>,
    sky: Option<(Vec3, Vec3, Vec3)>,
    sun: Option<Sun>,
    names: Vec<String>,
    materials: Vec<Material>,
    shapes: Vec<Shape>,
    coverings: Vec<usize>,
    plane: Option<Plane>,
}

const FAR: f32 = 1e5;

impl Draft {
    fn statement(&mut self, words: &mut Words<'_>) -> Result<(), Problem> {
        let Some(statement) = words.0.next() else { return Ok(()) };
        match statement {
            "size" => {
                let width = words.whole("width", 1, EDGE_PIXELS_MAX)?;
                self.size = Some((width, words.whole("height", 1, EDGE_PIXELS_MAX)?));
            }
            "samples" => self.samples = Some(words.whole("samples", 1, SAMPLES_MAX)?),
            "bounces" => self.bounces = Some(words.whole("bounces", 1, BOUNCES_MAX)?),
            "seed" => self.seed = words.whole("seed", 0, 1 << 24)?,
            "exposure" => self.exposure = Some(words.number("exposure", 1e-3, 1e3)?),
            "camera" => self.camera = Some(words.camera()?),
            "sky" => {
                let horizon = words.light("horizon")?;
                self.sky = Some((horizon, words.light("zenith")?, words.light("glow")?));
            }
            "sun" => self.sun = Some(words.sun()?),
            "material" => self.material(words)?,
            "plane" => {
                let material = self.dark(words)?;
                let height = words.number("height", -FAR, FAR)?;
                let ripple = words.number("ripple", 0.0, 1.0)?;
                self.plane = Some(Plane { height, material, ripple });
            }
            "sphere" | "box" | "cone" | "quad" => self.shape(statement, words)?,
            other => return Err(Problem::UnknownStatement(other.to_owned())),
        }
        words.end()
    }

    fn material(&mut self, words: &mut Words<'_>) -> Result<(), Problem> {
        let name = words.word("material's name")?.to_owned();
        let material = match words.word("material's kind")? {
            "matte" => Material::Matte { color: words.color("colour")? },
            "mottle" => Material::Mottle {
                color: words.color("colour")?,
                other: words.color("other colour")?,
                size: words.number("size", 1e-3, FAR)?,
            },
            "metal" => Material::Metal {
                color: words.color("colour")?,
                roughness: words.number("roughness", 0.0, 1.0)?,
            },
            "glass" => Material::Glass {
                tint: words.color("tint")?,
                index: words.number("refractive index", 1.0, 4.0)?,
            },
            "coat" => Material::Coat {
                color: words.color("colour")?,
                index: words.number("refractive index", 1.0, 4.0)?,
                roughness: words.number("roughness", 0.0, 1.0)?,
            },
            "light" => Material::Light { emission: words.light("emission")? },
            other => return Err(Problem::UnknownKind(other.to_owned())),
        };
        if self.names.contains(&name) {
            return Err(Problem::RepeatedMaterial(name));
        }
        if self.names.len() == MATERIALS_MAX {
            return Err(Problem::TooManyMaterials);
        }
        self.names.push(name);
        self.materials.push(material);
        Ok(())
    }

    fn shape(&mut self, statement: &str, words: &mut Words<'_>) -> Result<(), Problem> {
        if self.shapes.len() == SHAPES_MAX {
            return Err(Problem::TooManyShapes);
        }
        let material = self.covering(words)?;
        let shape = match statement {
            "sphere" => Shape::Sphere {
                center: words.point("centre")?,
                radius: words.number("radius", 1e-3, FAR)?,
            },
            "box" => {
                let center = words.point("centre")?;
                let edge = |name| words.number(name, 1e-3, FAR);
                let [x, y, z] = ["width", "height", "depth"].map(edge);
                let half = Vec3::new(x?, y?, z?) * 0.5;
                let turn = words.number("turn", -180.0, 180.0)?;
                let (sin, cos) = sin_cos(turn.to_radians());
                Shape::Box { center, half, sin, cos }
            }
            "cone" => Shape::Cone {
                base: words.point("base")?,
                radius: words.number("radius", 1e-3, FAR)?,
                height: words.number("height", 1e-3, FAR)?,
            },
            _ => Shape::Quad {
                corner: words.point("corner")?,
                u: words.point("first edge")?,
                v: words.point("second edge")?,
            },
        };
        if matches!(self.materials[material], Material::Light { .. })
            && shape.light_area().is_none()
        {
            return Err(Problem::DarkShape);
        }
        self.shapes.push(shape);
        self.coverings.push(material);
        Ok(())
    }

    fn covering(&self, words: &mut Words<'_>) -> Result<usize, Problem> {
        let name = words.word("material")?;
        self.names
            .iter()
            .position(|known| known == name)
            .ok_or_else(|| Problem::UnknownMaterial(name.to_owned()))
    }

    fn dark(&self, words: &mut Words<'_>) -> Result<usize, Problem> {
        let material = self.covering(words)?;
        match self.materials[material] {
            Material::Light { .. } => Err(Problem::DarkShape),
            _ => Ok(material),
        }
    }

    fn finish(self) -> Result<Scene, Problem> {
        let (width, height) = self.size.ok_or(Problem::MissingStatement("size"))?;
        let (horizon, zenith, glow) = self.sky.ok_or(Problem::MissingStatement("sky"))?;
        Ok(Scene {
            width,
            height,
            samples: self.samples.ok_or(Problem::MissingStatement("samples"))?,
            bounces: self.bounces.unwrap_or(8),
            seed: self.seed,
            exposure: self.exposure.unwrap_or(1.0),
            camera: self.camera.ok_or(Problem::MissingStatement("camera"))?,
            sky: Sky { horizon, zenith, glow, sun: self.sun },
            materials: self.materials,
            shapes: self.shapes,
            coverings: self.coverings,
            plane: self.plane,
        })
    }
}

/// The words of one line.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn word(&mut self, name: &'static str) -> Result<&'a str, Problem> {
        self.0.next().ok_or(Problem::MissingValue(name))
    }

    fn number(&mut self, name: &'static str, low: f32, high: f32) -> Result<f32, Problem> {
        let text = self.word(name)?;
        let value: f32 =
            text.parse().map_err(|_| Problem::BadNumber { name, text: text.to_owned() })?;
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            Err(Problem::OutOfRange { name, low, high })
        }
    }

    fn whole(&mut self, name: &'static str, low: u32, high: u32) -> Result<u32, Problem> {
        let text = self.word(name)?;
        let value: u32 =
            text.parse().map_err(|_| Problem::BadNumber { name, text: text.to_owned() })?;
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            Err(Problem::OutOfRange { name, low: low as f32, high: high as f32 })
        }
    }

    fn triple(&mut self, name: &'static str, low: f32, high: f32) -> Result<Vec3, Problem> {
        let x = self.number(name, low, high)?;
        let y = self.number(name, low, high)?;
        Ok(Vec3::new(x, y, self.number(name, low, high)?))
    }

    fn point(&mut self, name: &'static str) -> Result<Vec3, Problem> {
        self.triple(name, -FAR, FAR)
    }

    fn color(&mut self, name: &'static str) -> Result<Vec3, Problem> {
        self.triple(name, 0.0, 1.0)
    }

    fn light(&mut self, name: &'static str) -> Result<Vec3, Problem> {
        self.triple(name, 0.0, 1e6)
    }

    fn camera(&mut self) -> Result<Camera, Problem> {
        Ok(Camera {
            from: self.point("camera's place")?,
            at: self.point("camera's target")?,
            view: self.number("angle of view", 1.0, 170.0)?,
            aperture: self.number("aperture", 0.0, FAR)?,
            focus: self.number("focus", 1e-3, FAR)?,
        })
    }

    fn sun(&mut self) -> Result<Sun, Problem> {
        Ok(Sun {
            direction: self.point("sun's direction")?.normalized(),
            irradiance: self.light("sun's irradiance")?,
            radius: self.number("sun's radius", 1e-3, 1.0)?,
        })
    }

    fn end(&mut self) -> Result<(), Problem> {
        self.0.next().map_or(Ok(()), |word| Err(Problem::ExtraText(word.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "size 4 3\nsamples 2\ncamera 0 1 5  0 1 0  40 0 5\n\
                        sky 1 1 1  0 0 1  0 0 0\nmaterial red matte 1 0 0\n\
                        material lamp light 9 9 9\n";

    fn check(body: &str, line: usize, expected: &str) {
        let error = Scene::parse(&format!("{HEAD}{body}")).unwrap_err();
        assert_eq!(error.to_string(), format!("line {line}: {expected}"));
    }

    #[test]
    fn a_scene_is_read_with_its_defaults() {
        let scene = Scene::parse(&format!("{HEAD}sphere red 0 1 0 1 # a ball\n\n")).unwrap();
        assert_eq!((scene.width, scene.height, scene.samples, scene.bounces), (4, 3, 2, 8));
        assert_eq!(scene.shapes, [Shape::Sphere { center: Vec3::new(0.0, 1.0, 0.0), radius: 1.0 }]);
        assert_eq!(scene.coverings, [0]);
        assert!(scene.plane.is_none() && scene.sky.sun.is_none());
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        check("ball red 0 0 0 1", 7, "no statement is called `ball`");
        check("sphere blue 0 0 0 1", 7, "no material above is called `blue`");
        check("material new velvet 0 0 0", 7, "no kind of material is called `velvet`");
        check("material red matte 0 0 0", 7, "material `red` is there already");
        check("sphere red 0 0 0", 7, "the radius is missing");
        check("sphere red 0 0 x 1", 7, "the centre `x` is not a number");
        check("sphere red 0 0 NaN 1", 7, "the centre must be within -100000 and 100000");
        check("\nsphere red 0 0 0 -1", 8, "the radius must be within 0.001 and 100000");
        check("sphere red 0 0 0 1 2", 7, "nothing is expected at `2`");
        check("cone lamp 0 0 0 1 2", 7, "only spheres and quads can be lights");
        check("plane lamp 0 0", 7, "only spheres and quads can be lights");
        check("size 0 5", 7, "the width must be within 1 and 8192");
    }

    #[test]
    fn limits_hold_at_n_and_not_at_one_more() {
        let shapes = |count| format!("{HEAD}{}", "sphere red 0 0 0 1\n".repeat(count));
        assert!(Scene::parse(&shapes(SHAPES_MAX)).is_ok());
        let error = Scene::parse(&shapes(SHAPES_MAX + 1)).unwrap_err();
        assert_eq!(error.problem, Problem::TooManyShapes);
        let materials = |count| {
            let lines: String =
                (0..count).map(|n| format!("material m{n} matte 0 0 0\n")).collect();
            Scene::parse(&format!("{HEAD}{lines}"))
        };
        assert!(materials(MATERIALS_MAX - 2).is_ok());
        let error = materials(MATERIALS_MAX - 1).unwrap_err();
        assert_eq!(error.problem, Problem::TooManyMaterials);
        let padded = |length: usize| format!("{HEAD}{}", "#".repeat(length - HEAD.len()));
        assert!(Scene::parse(&padded(FILE_BYTES_MAX)).is_ok());
        let error = Scene::parse(&padded(FILE_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error.problem, Problem::TooLong);
    }

    #[test]
    fn a_scene_without_a_camera_is_refused() {
        let error = Scene::parse("size 1 1\nsamples 1\nsky 1 1 1 1 1 1 0 0 0\n").unwrap_err();
        assert_eq!(error.to_string(), "the scene has no `camera`");
    }
}
