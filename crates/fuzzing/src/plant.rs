//! Gives a fuzzer its first inputs: it begins with what the decoders accept, not with nothing.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::TARGETS;

/// Writes a target's seeds into the folder of inputs that this process was started with, which is
/// its first argument that names a folder. Without one there is nothing to do.
///
/// # Panics
/// Where there is no such target, or the folder cannot be written to.
pub fn plant(target: &str) {
    if let Some(folder) = corpus(std::env::args_os().skip(1)) {
        plant_into(&folder, target);
    }
}

fn corpus(mut arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    arguments.find_map(|argument| {
        let is_flag = argument.to_str().is_some_and(|argument| argument.starts_with('-'));
        let path = PathBuf::from(argument);
        (!is_flag && path.is_dir()).then_some(path)
    })
}

fn plant_into(folder: &Path, target: &str) {
    let target = TARGETS.iter().find(|known| known.name == target).expect("the target is known");
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        let path = folder.join(format!("seed-{number}"));
        let known = fs::read(&path).ok();
        if known.as_ref() != Some(&seed) {
            fs::write(&path, seed).expect("the folder of inputs can be written to");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_stand_in_the_folder_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().as_os_str().to_owned();
        let arguments = ["-runs=1".into(), "no such folder".into(), name];
        assert_eq!(corpus(arguments.into_iter()), Some(folder.path().to_owned()));
        assert_eq!(corpus(["-runs=1".into()].into_iter()), None);
        for _ in 0..2 {
            plant_into(folder.path(), "receipt");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let seeds = (TARGETS.iter().find(|it| it.name == "receipt").unwrap().seeds)();
        assert_eq!(fs::read(folder.path().join("seed-0")).unwrap(), seeds[0]);
    }
}
