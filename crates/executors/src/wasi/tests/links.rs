//! Symbolic and hard links.

use super::*;

const FOLLOW: u32 = 1;

#[test]
fn links_at_the_end_are_followed_only_when_asked() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir(TMP, "target"), 0);
    assert_eq!(guest.symlink("target", TMP, "link"), 0);
    assert_eq!(guest.open(TMP, "link", DIRECTORY), Err(LOOP));
    assert_eq!(guest.open(TMP, "link", 0), Err(LOOP));
    let followed = guest.open_full(TMP, FOLLOW, "link", DIRECTORY, [0, 0], 0);
    assert_eq!(followed.map(|_| ()), Ok(()));
    assert_eq!(guest.open(TMP, "link/", 0).map(|_| ()), Ok(()));
    guest.touch(TMP, "link/file");
    assert_eq!(guest.stat_at(TMP, 0, "target/file").unwrap().file_type, 4);
    assert_eq!(guest.stat_at(TMP, 0, "link").unwrap().file_type, 7);
    assert_eq!(guest.stat_at(TMP, 0, "link").unwrap().size, 6);
    assert_eq!(guest.stat_at(TMP, FOLLOW, "link").unwrap().file_type, 3);
    assert_eq!(guest.unlink(TMP, "target/file"), 0);
    assert_eq!(guest.unlink(TMP, "link"), 0);
    assert_eq!(guest.rmdir(TMP, "target"), 0);

    guest.touch(TMP, "target");
    assert_eq!(guest.symlink("target", TMP, "link"), 0);
    assert_eq!(guest.open(TMP, "link", 0), Err(LOOP));
    assert_eq!(guest.open_full(TMP, FOLLOW, "link", DIRECTORY, [0, 0], 0), Err(NOTDIR));
    assert_eq!(guest.open_full(TMP, 2, "link", 0, [0, 0], 0), Err(INVAL));
}

#[test]
fn loops_and_escapes_are_refused() {
    let mut guest = Guest::with(&config(&[("data", "")]));
    assert_eq!(guest.symlink("loop", TMP, "loop"), 0);
    assert_eq!(guest.open(TMP, "loop", 0), Err(LOOP));
    assert_eq!(guest.open_full(TMP, FOLLOW, "loop", 0, [0, 0], 0), Err(LOOP));
    assert_eq!(guest.open(TMP, "loop/below", 0), Err(LOOP));
    assert_eq!(guest.symlink("/", TMP, "absolute"), PERM);
    assert_eq!(guest.symlink("../in/data", TMP, "escape"), 0);
    assert_eq!(guest.open_full(TMP, FOLLOW, "escape", 0, [0, 0], 0), Err(PERM));
    let within = guest.open_full(ROOT, FOLLOW, "tmp/escape", 0, [0, 0], 0);
    assert_eq!(within.map(|_| ()), Ok(()), "from the root it does not escape");
    assert_eq!(guest.symlink("", TMP, "empty"), NOENT);
}

#[test]
fn dangling_links_lead_to_where_a_file_can_be_made() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("target", TMP, "link"), 0);
    assert_eq!(guest.open(TMP, "link", DIRECTORY), Err(LOOP));
    assert_eq!(guest.open_full(TMP, FOLLOW, "link", 0, [0, 0], 0), Err(NOENT));
    assert_eq!(guest.open_full(TMP, FOLLOW, "link", CREAT | EXCL, [0, 0], 0), Err(EXIST));
    assert_eq!(guest.mkdir(TMP, "link"), EXIST);
    let made = guest.open_full(TMP, FOLLOW, "link", CREAT, [0, 0], 0);
    assert_eq!(made.map(|_| ()), Ok(()));
    assert_eq!(guest.stat_at(TMP, 0, "target").unwrap().file_type, 4);
}

#[test]
fn new_links_refuse_trailing_slashes_and_taken_names() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("source", TMP, "target/"), NOENT);
    assert_eq!(guest.mkdir(TMP, "target"), 0);
    assert_eq!(guest.symlink("source", TMP, "target/"), EXIST);
    assert_eq!(guest.symlink("source", TMP, "target"), EXIST);
    assert_eq!(guest.rmdir(TMP, "target"), 0);
    guest.touch(TMP, "target");
    assert_eq!(guest.symlink("source", TMP, "target/"), NOTDIR);
    assert_eq!(guest.symlink("source", TMP, "target"), EXIST);
}

#[test]
fn reading_a_link_cuts_to_the_buffer() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("target", TMP, "link"), 0);
    let read = |guest: &mut Guest, room: u32| {
        guest.put(DATA, &[0; 10]);
        let [path, length] = guest.put(FIRST_PATH, b"link");
        let args = [TMP.into(), path, length, DATA.into(), room.into(), RESULT.into()];
        let used = guest.ask_u32("path_readlink", &args).unwrap();
        (used, guest.at(DATA, 10))
    };
    assert_eq!(read(&mut guest, 10), (6, b"target\0\0\0\0".to_vec()));
    assert_eq!(read(&mut guest, 4), (4, b"targ\0\0\0\0\0\0".to_vec()));
    assert_eq!(read(&mut guest, 0), (0, vec![0; 10]));
    guest.touch(TMP, "file");
    let [path, length] = guest.put(FIRST_PATH, b"file");
    let args = [TMP.into(), path, length, DATA.into(), 9, RESULT.into()];
    assert_eq!(guest.call("path_readlink", &args), INVAL);
}

#[test]
fn hard_links_name_the_same_file() {
    let mut guest = Guest::new();
    guest.store(TMP, "file", b"x");
    assert_eq!(guest.mkdir(TMP, "dir"), 0);
    let dir = guest.open_directory(TMP, "dir");
    assert_eq!(guest.link(TMP, 0, "file", TMP, "link"), 0);
    assert_eq!(guest.link(TMP, 0, "file", dir, "link"), 0);
    let original = guest.stat_at(TMP, 0, "file").unwrap();
    assert_eq!(original.links, 3);
    assert_eq!(guest.stat_at(dir, 0, "link").unwrap(), original);
    assert_eq!(guest.link(TMP, 0, "file", TMP, "link"), EXIST);
    assert_eq!(guest.link(TMP, 0, "file", TMP, "file"), EXIST);
    assert_eq!(guest.link(TMP, 0, "file", TMP, "dir"), EXIST);
    assert_eq!(guest.link(TMP, 0, "dir", TMP, "new"), PERM);
    assert_eq!(guest.link(TMP, 0, "file", TMP, "new/"), NOENT);
    assert_eq!(guest.unlink(TMP, "file"), 0);
    assert_eq!(guest.content(dir, "link"), b"x");

    assert_eq!(guest.symlink("missing", TMP, "dangling"), 0);
    assert_eq!(guest.link(TMP, 0, "dangling", TMP, "second"), 0);
    assert_eq!(guest.stat_at(TMP, 0, "second").unwrap().file_type, 7);
    assert_eq!(guest.link(TMP, FOLLOW, "dangling", TMP, "third"), NOENT);
    assert_eq!(guest.link(TMP, 0, "link", TMP, "dangling"), EXIST);
}

#[test]
fn times_of_a_link_are_not_those_of_its_target() {
    let mut guest = Guest::new();
    guest.touch(TMP, "file");
    assert_eq!(guest.symlink("file", TMP, "link"), 0);
    let file = guest.stat_at(TMP, 0, "file").unwrap();
    let set = |guest: &mut Guest, lookup: u32, modified: u64| {
        let [path, length] = guest.put(FIRST_PATH, b"link");
        let args = [TMP.into(), lookup.into(), path, length, 0, modified, 4];
        guest.call("path_filestat_set_times", &args)
    };
    assert_eq!(set(&mut guest, 0, 200), 0);
    assert_eq!(guest.stat_at(TMP, 0, "link").unwrap().modified, 200);
    assert_eq!(guest.stat_at(TMP, 0, "file").unwrap(), file);
    assert_eq!(guest.stat_at(TMP, FOLLOW, "link").unwrap(), file);
    assert_eq!(set(&mut guest, FOLLOW, 300), 0);
    assert_eq!(guest.stat_at(TMP, 0, "file").unwrap().modified, 300);
    assert_eq!(guest.stat_at(TMP, 0, "link").unwrap().modified, 200);
}
