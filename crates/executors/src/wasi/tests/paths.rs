//! Resolution, opening, directories, renaming.

use super::*;

#[test]
fn interesting_paths_resolve_as_in_posix_and_never_leave() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir(TMP, "dir"), 0);
    assert_eq!(guest.mkdir(TMP, "dir/nested"), 0);
    guest.touch(TMP, "dir/nested/file");
    for (path, expected) in [
        ("/dir/nested/file", Err(PERM)),
        ("dir/.//nested/../../dir/nested/../nested///./file", Ok(())),
        ("dir/nested/file\0", Err(INVAL)),
        ("dir/nested/file/", Err(NOTDIR)),
        ("dir/nested/file///", Err(NOTDIR)),
        ("dir/nested/file/.", Err(NOTDIR)),
        ("dir/nested/", Ok(())),
        ("dir/nested///", Ok(())),
        ("dir/nested/.", Ok(())),
        ("dir/nested/../..", Ok(())),
        ("dir/nested/../../..", Err(PERM)),
        ("dir/nested/../../../tmp/dir/nested/file", Err(PERM)),
        ("..", Err(PERM)),
        ("", Err(NOENT)),
        (".", Ok(())),
        ("./", Ok(())),
        ("dir/missing/file", Err(NOENT)),
        ("missing/../dir", Err(NOENT)),
    ] {
        assert_eq!(guest.open(TMP, path, 0).map(|_| ()), expected, "{path:?}");
    }
    let [path, length] = guest.put(FIRST_PATH, b"\xff");
    assert_eq!(guest.call("path_create_directory", &[TMP.into(), path, length]), ILSEQ);
}

#[test]
fn opening_checks_what_is_there() {
    let mut guest = Guest::new();
    guest.touch(TMP, "file");
    assert_eq!(guest.mkdir(TMP, "dir"), 0);
    assert_eq!(guest.open(TMP, "missing", 0), Err(NOENT));
    assert_eq!(guest.open(TMP, "file", CREAT | EXCL), Err(EXIST));
    assert_eq!(guest.open(TMP, "dir", CREAT | EXCL), Err(EXIST));
    assert_eq!(guest.open(TMP, "dir", CREAT), Err(ISDIR));
    assert_eq!(guest.open(TMP, "dir", TRUNC), Err(ISDIR));
    assert_eq!(guest.open(TMP, "file", DIRECTORY), Err(NOTDIR));
    assert_eq!(guest.open(TMP, "new/", CREAT), Err(ISDIR));
    assert_eq!(guest.open(TMP, "new", CREAT | DIRECTORY), Err(INVAL));
    assert_eq!(guest.open(TMP, "file", 16), Err(INVAL));
    assert_eq!(guest.open_as(TMP, ".", 0, 0, 4).map(|_| ()), Ok(()), "O_NONBLOCK");
    assert_eq!(guest.open_as(TMP, "file", 0, 1 << 40, 0), Err(INVAL));
    let read_write = rights::FD_READ | rights::FD_WRITE;
    assert_eq!(guest.open_as(TMP, ".", DIRECTORY, read_write, 0), Err(ISDIR));
    assert_eq!(guest.open_as(TMP, ".", DIRECTORY, rights::FD_READ, 0).map(|_| ()), Ok(()));
    let file = guest.open(TMP, "file", 0).unwrap();
    assert_eq!(guest.open(file, "below", CREAT), Err(NOTDIR));
    assert_eq!(guest.open(1, "below", CREAT), Err(NOTDIR));
    assert_eq!(guest.open(99, "below", CREAT), Err(BADF));
}

#[test]
fn removing_distinguishes_files_from_directories() {
    let mut guest = Guest::new();
    guest.touch(TMP, "file");
    assert_eq!(guest.mkdir(TMP, "dir"), 0);
    assert_eq!(guest.mkdir(TMP, "dir"), EXIST);
    assert_eq!(guest.mkdir(TMP, "file"), EXIST);
    assert_eq!(guest.mkdir(TMP, "other/"), 0);
    assert_eq!(guest.rmdir(TMP, "other/"), 0);
    assert_eq!(guest.unlink(TMP, "dir"), ISDIR);
    assert_eq!(guest.unlink(TMP, "dir/"), ISDIR);
    assert_eq!(guest.unlink(TMP, "file/"), NOTDIR);
    assert_eq!(guest.rmdir(TMP, "file"), NOTDIR);
    assert_eq!(guest.rmdir(TMP, "file/"), NOTDIR);
    assert_eq!(guest.rmdir(TMP, "dir/."), INVAL);
    guest.touch(TMP, "dir/file");
    assert_eq!(guest.rmdir(TMP, "dir"), NOTEMPTY);
    assert_eq!(guest.unlink(TMP, "dir/file"), 0);
    assert_eq!(guest.rmdir(TMP, "dir"), 0);
    assert_eq!(guest.rmdir(TMP, "dir"), NOENT);
    assert_eq!(guest.unlink(TMP, "file"), 0);
    assert_eq!(guest.unlink(TMP, "file"), NOENT);
}

#[test]
fn renaming_replaces_what_posix_lets_it_replace() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir(TMP, "source"), 0);
    assert_eq!(guest.rename(TMP, "source", "target"), 0);
    assert_eq!(guest.open(TMP, "source", DIRECTORY), Err(NOENT));
    assert_eq!(guest.mkdir(TMP, "source"), 0);
    assert_eq!(guest.rename(TMP, "source", "target"), 0, "over an empty directory");
    assert_eq!(guest.mkdir(TMP, "source"), 0);
    guest.touch(TMP, "target/file");
    assert_eq!(guest.rename(TMP, "source", "target"), NOTEMPTY);
    assert_eq!(guest.rename(TMP, "source", "target/file"), NOTDIR);
    assert_eq!(guest.rename(TMP, "target/file", "source"), ISDIR);
    assert_eq!(guest.rename(TMP, "target", "target/below"), INVAL);
    assert_eq!(guest.rename(TMP, "target", "target"), 0);
    assert_eq!(guest.rename(TMP, "missing", "target"), NOENT);
    assert_eq!(guest.rename(TMP, ".", "target"), BUSY);

    guest.store(TMP, "one", b"1");
    guest.store(TMP, "two", b"2");
    assert_eq!(guest.rename(TMP, "one", "two"), 0, "over a file");
    assert_eq!(guest.content(TMP, "two"), b"1");
    assert_eq!(guest.open(TMP, "one", 0), Err(NOENT));
    assert_eq!(guest.link(TMP, 0, "two", TMP, "twin"), 0);
    assert_eq!(guest.rename(TMP, "two", "twin"), 0, "two names of a file both stay");
    assert_eq!(guest.stat_at(TMP, 0, "two").unwrap().links, 2);
    assert_eq!(guest.rename_to(TMP, "two", OUT, "result"), 0);
    assert_eq!(guest.content(OUT, "result"), b"1");
}

#[test]
fn trailing_slashes_of_renames_want_directories() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir(TMP, "source"), 0);
    assert_eq!(guest.rename(TMP, "source/", "target"), 0);
    assert_eq!(guest.rename(TMP, "target", "source/"), 0);
    assert_eq!(guest.rename(TMP, "source/", "target/"), 0);
    assert_eq!(guest.rename(TMP, "target", "source"), 0);
    assert_eq!(guest.rmdir(TMP, "source"), 0);
    guest.touch(TMP, "source");
    assert_eq!(guest.rename(TMP, "source/", "target"), NOTDIR);
    assert_eq!(guest.rename(TMP, "source", "target/"), NOTDIR);
    assert_eq!(guest.rename(TMP, "source/", "target/"), NOTDIR);
    assert_eq!(guest.unlink(TMP, "source"), 0);
}

/// One listed entry: cookie of the next, inode, name, type.
type Listed = (u64, u64, String, u8);

/// Lists with a buffer of `room` bytes; returns the whole entries and whether that was all.
fn list(guest: &mut Guest, fd: u32, cookie: u64, room: u32) -> (Vec<Listed>, bool) {
    let args = [fd.into(), DATA.into(), room.into(), cookie, RESULT.into()];
    let used = guest.ask_u32("fd_readdir", &args).unwrap();
    assert!(used <= room);
    let bytes = guest.at(DATA, used);
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while rest.len() >= 24 {
        let length = usize::try_from(u64_at(rest, 16) & 0xffff_ffff).unwrap();
        if rest.len() < 24 + length {
            break;
        }
        let name = String::from_utf8(rest[24..24 + length].to_vec()).unwrap();
        entries.push((u64_at(rest, 0), u64_at(rest, 8), name, rest[20]));
        rest = &rest[24 + length..];
    }
    (entries, used < room)
}

#[test]
fn listings_are_sorted_and_resume_at_any_cookie() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir(TMP, "dir"), 0);
    let dir = guest.open_directory(TMP, "dir");
    let (dots, end) = list(&mut guest, dir, 0, 256);
    assert!(end);
    assert_eq!(dots.iter().map(|entry| entry.2.as_str()).collect::<Vec<_>>(), [".", ".."]);
    assert_eq!(dots[0].1, guest.stat(dir).unwrap().inode);
    assert_eq!(dots[1].1, guest.stat(TMP).unwrap().inode);

    guest.touch(dir, "b");
    guest.touch(dir, "a");
    assert_eq!(guest.mkdir(dir, "c"), 0);
    let (all, _) = list(&mut guest, dir, 0, 256);
    let names: Vec<_> = all.iter().map(|entry| (entry.2.as_str(), entry.3)).collect();
    assert_eq!(names, [(".", 3), ("..", 3), ("a", 4), ("b", 4), ("c", 3)]);
    assert_eq!(all[2].1, guest.stat_at(dir, 0, "a").unwrap().inode);
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(list(&mut guest, dir, entry.0, 256).0, all[at + 1..]);
    }
    assert_eq!(guest.unlink(dir, "a"), 0);
    let (rest, _) = list(&mut guest, dir, all[1].0, 256);
    assert_eq!(rest, all[3..], "a removed entry makes the listing skip no other");
    assert_eq!(list(&mut guest, dir, u64::MAX, 256), (vec![], true));
}

#[test]
fn long_listings_come_whole_through_small_buffers() {
    let mut guest = Guest::new();
    for number in 0..1000 {
        guest.touch(OUT, &format!("file.{number}"));
    }
    let (mut total, mut cookie) = (0, 0);
    loop {
        let (entries, end) = list(&mut guest, OUT, cookie, 256);
        total += entries.len();
        if end {
            break;
        }
        cookie = entries.last().unwrap().0;
    }
    assert_eq!(total, 1002);
}

#[test]
fn directories_count_their_subdirectories_as_links() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir(TMP, "a"), 0);
    assert_eq!(guest.mkdir(TMP, "a/b"), 0);
    guest.touch(TMP, "a/file");
    assert_eq!(guest.stat_at(TMP, 0, "a").unwrap().links, 3);
    assert_eq!(guest.rename(TMP, "a/b", "c"), 0);
    assert_eq!(guest.stat_at(TMP, 0, "a").unwrap().links, 2);
    assert_eq!(guest.stat(TMP).unwrap().links, 4);
}
