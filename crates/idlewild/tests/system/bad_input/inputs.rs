//! Programs and inputs that nobody should be given.

use std::fs;
use std::os::unix::fs::symlink;

use api::Authorization;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use types::manifest::{ENTRIES_MAX, Entry, EntryKind, RelativePath};
use types::{ContentHash, Encode, Manifest, Text};

use super::world::{Said, World};
use crate::counter;

/// Makes an empty directory for inputs, and returns its path in the home.
fn directory(world: &World, fill: impl FnOnce(&std::path::Path)) {
    let path = world.up.home.path("in");
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    fs::create_dir(&path).unwrap();
    fill(&path);
}

fn ran_with_directory(world: &World, fill: impl FnOnce(&std::path::Path)) -> Said {
    directory(world, fill);
    world.ran_with(&["--input", "in"])
}

/// Runs a program of a gigabyte, which is no more than a length on disk.
pub(super) fn gigabyte(world: &World) -> Said {
    fs::File::create(world.up.home.path("huge.wasm")).unwrap().set_len(1 << 30).unwrap();
    world.command(&["run", "huge.wasm"])
}

/// Sends `content` as an upload that is announced as `length` bytes of this hash.
fn uploaded(world: &World, hash: ContentHash, length: u64, content: &[u8]) -> Said {
    let path = "/v1/content";
    let (key, genesis) = (&world.tenant_key, &world.genesis);
    let host = world.host();
    let signed = Authorization::sign(key, genesis, host, "POST", path, hash, api::now());
    let head = format!(
        "POST {path} HTTP/1.1\r\nauthorization: {signed}\r\ncontent-length: {length}\r\n\
         content-type: application/octet-stream"
    );
    world.requested(&head, content)
}

/// Announces an upload of a byte more than content may have, and sends none of it.
pub(super) fn gigabyte_upload(world: &World) -> Said {
    uploaded(world, ContentHash::of(b"whatever"), (1 << 30) + 1, b"")
}

/// Uploads other bytes than those that were announced.
pub(super) fn other_bytes(world: &World) -> Said {
    uploaded(world, ContentHash::of(b"what was announced"), 5, b"other")
}

pub(super) fn no_program(world: &World) -> Said {
    world.ran(b"#!/bin/sh\nexit 0\n")
}

pub(super) fn empty_program(world: &World) -> Said {
    world.ran(b"")
}

pub(super) fn no_program_ordered(world: &World) -> Said {
    world.ordered(b"#!/bin/sh\nexit 0\n".to_vec(), None)
}

pub(super) fn endless_program(world: &World) -> Said {
    world.command(&["run", "/dev/zero"])
}

pub(super) fn endless_stdin(world: &World) -> Said {
    world.ran_with(&["--stdin", "/dev/zero"])
}

pub(super) fn link_out(world: &World) -> Said {
    ran_with_directory(world, |path| symlink("/etc/passwd", path.join("a")).unwrap())
}

pub(super) fn link_to_nothing(world: &World) -> Said {
    ran_with_directory(world, |path| symlink("nothing", path.join("a")).unwrap())
}

pub(super) fn link_to_itself(world: &World) -> Said {
    ran_with_directory(world, |path| symlink(".", path.join("a")).unwrap())
}

pub(super) fn pipe(world: &World) -> Said {
    ran_with_directory(world, |path| {
        mknodat(CWD, path.join("a"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    })
}

pub(super) fn device(world: &World) -> Said {
    world.ran_with(&["--input", "/dev/null"])
}

pub(super) fn too_many(world: &World) -> Said {
    /// Names of one file, fewer than any file system allows.
    const NAMES: usize = 20_000;
    let said = ran_with_directory(world, |path| {
        for number in 0..=ENTRIES_MAX {
            let name = path.join(number.to_string());
            match number % NAMES {
                0 => fs::write(name, "").unwrap(),
                other => fs::hard_link(path.join((number - other).to_string()), name).unwrap(),
            }
        }
    });
    fs::remove_dir_all(world.up.home.path("in")).unwrap();
    said
}

/// Orders a good program whose input is described by these bytes.
fn ordered_with(world: &World, manifest: Vec<u8>) -> Said {
    world.ordered(counter::program(7), Some(manifest))
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: RelativePath::new(path).unwrap(), kind }
}

/// Returns the description of a file under a path that no manifest can have, as if it could.
fn forged(path: &str) -> Vec<u8> {
    let stand_in = "x".repeat(path.len());
    let kind = EntryKind::File { hash: ContentHash::of(b""), bytes: 0 };
    let mut bytes = Manifest::new(vec![entry(&stand_in, kind)]).unwrap().to_bytes();
    let window = bytes.windows(path.len()).position(|part| part == stand_in.as_bytes()).unwrap();
    bytes[window..window + path.len()].copy_from_slice(path.as_bytes());
    bytes
}

pub(super) fn path_above(world: &World) -> Said {
    ordered_with(world, forged("../../passwd"))
}

pub(super) fn path_from_root(world: &World) -> Said {
    ordered_with(world, forged("/etc/passwd"))
}

pub(super) fn link_out_ordered(world: &World) -> Said {
    let target = Text::new("../../etc/passwd").unwrap();
    let link = entry("a", EntryKind::Symlink { target });
    ordered_with(world, Manifest::new(vec![link]).unwrap().to_bytes())
}

/// Describes more files than a job may be given, all of them the same empty one.
pub(super) fn too_many_ordered(world: &World) -> Said {
    let hash = world.store(Vec::new()).unwrap();
    let file = |number| entry(&format!("{number:05}"), EntryKind::File { hash, bytes: 0 });
    let manifest = Manifest::new((0..16_385).map(file).collect()).unwrap();
    ordered_with(world, manifest.to_bytes())
}
