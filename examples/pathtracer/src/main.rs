//! `pathtracer SCENE [--tile X Y] [--tiles NX NY] [--samples N] [--out FILE]`
//!
//! Exit codes: 0 done, 1 a file or the scene is at fault, 2 the arguments are.

use std::process::ExitCode;
use std::{env, fs};

use pathtracer::picture::{TILES_MAX, Tile, render};
use pathtracer::scene::{SAMPLES_MAX, Scene};

const USAGE: &str =
    "usage: pathtracer SCENE [--tile X Y] [--tiles NX NY] [--samples N] [--out FILE]";

struct Arguments {
    scene: String,
    tile: Tile,
    samples: Option<u32>,
    out: String,
}

fn main() -> ExitCode {
    let arguments = match parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("pathtracer: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("pathtracer: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let path = &arguments.scene;
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut scene = Scene::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    scene.samples = arguments.samples.unwrap_or(scene.samples);
    let out = &arguments.out;
    fs::write(out, render(&scene, arguments.tile))
        .map_err(|error| format!("cannot write {out}: {error}"))
}

fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut words = words;
    let mut scene = None;
    let mut tile = Tile::WHOLE;
    let mut samples = None;
    let mut out = "/out/tile.ppm".to_owned();
    while let Some(word) = words.next() {
        let mut number = |low, high| {
            let text = words.next().ok_or_else(|| format!("a number is missing after {word}"))?;
            let value: u32 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                Err(format!("{value} is not within {low} and {high}"))
            }
        };
        match word.as_str() {
            "--tile" => {
                tile.column = number(0, TILES_MAX - 1)?;
                tile.row = number(0, TILES_MAX - 1)?;
            }
            "--tiles" => {
                tile.columns = number(1, TILES_MAX)?;
                tile.rows = number(1, TILES_MAX)?;
            }
            "--samples" => samples = Some(number(1, SAMPLES_MAX)?),
            "--out" => out = words.next().ok_or("a file is missing after --out")?,
            option if option.starts_with("--") => return Err(format!("no option `{option}`")),
            _ if scene.is_none() => scene = Some(word),
            _ => return Err(format!("nothing is expected at `{word}`")),
        }
    }
    if tile.column >= tile.columns || tile.row >= tile.rows {
        return Err(format!(
            "there is no tile {} {} among {} × {}",
            tile.column, tile.row, tile.columns, tile.rows
        ));
    }
    Ok(Arguments { scene: scene.ok_or("the scene is missing")?, tile, samples, out })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(&str, Tile), &str>) {
        let words = line.split_whitespace().map(str::to_owned);
        match (parse(words), expected) {
            (Ok(got), Ok((scene, tile))) => {
                assert_eq!((got.scene.as_str(), got.tile), (scene, tile));
            }
            (Err(got), Err(expected)) => assert_eq!(got, expected),
            (got, expected) => panic!("{:?} instead of {expected:?}", got.err()),
        }
    }

    #[test]
    fn arguments_name_a_scene_and_a_tile() {
        check("/in/a", Ok(("/in/a", Tile::WHOLE)));
        let tile = Tile { column: 2, row: 1, columns: 3, rows: 2 };
        check("--tile 2 1 /in/a --tiles 3 2", Ok(("/in/a", tile)));
        check("", Err("the scene is missing"));
        check("a b", Err("nothing is expected at `b`"));
        check("a --tile 1", Err("a number is missing after --tile"));
        check("a --tile 1 0", Err("there is no tile 1 0 among 1 × 1"));
        check("a --tiles 0 1", Err("0 is not within 1 and 1024"));
        check("a --fast", Err("no option `--fast`"));
    }
}
