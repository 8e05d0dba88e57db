//! Content: reads, writes, offsets, sizes, times.

use super::*;

#[test]
fn positioned_transfers_leave_the_offset_alone() {
    let mut guest = Guest::new();
    let fd = guest.open_rw(TMP, "file", CREAT);
    assert_eq!(guest.pwrite(fd, &[0, 1, 2, 3], 0), Ok(4));
    assert_eq!(guest.pread(fd, 4, 0), Ok(vec![0, 1, 2, 3]));
    assert_eq!(guest.pread(fd, 4, 2), Ok(vec![2, 3]));
    assert_eq!(guest.pread(fd, 4, 100), Ok(vec![]));
    assert_eq!(guest.pwrite(fd, &[9], 6), Ok(1));
    assert_eq!(guest.pread(fd, 8, 3), Ok(vec![3, 0, 0, 9]), "a gap reads as zeros");
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.pread(fd, 1, u64::MAX), Err(INVAL));
    assert_eq!(guest.pread(0, 1, 0), Err(SPIPE));
}

#[test]
fn seeking_moves_within_the_positive_offsets() {
    let mut guest = Guest::new();
    let fd = guest.open_rw(TMP, "file", CREAT);
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.write(fd, &[0; 100]), Ok(100));
    assert_eq!(guest.tell(fd), Ok(100));
    assert_eq!(guest.seek(fd, -50, 1), Ok(50));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.seek(fd, 1000, 1), Ok(1000));
    assert_eq!(guest.seek(fd, -2000, 1), Err(INVAL));
    assert_eq!(guest.seek(fd, -1, 2), Ok(99));
    assert_eq!(guest.seek(fd, i64::MAX, 1), Err(INVAL));
    assert_eq!(guest.seek(fd, 0, 3), Err(INVAL));
    assert_eq!(guest.tell(fd), Ok(99));
    assert_eq!(guest.seek(1, 0, 1), Err(SPIPE));
}

#[test]
fn appending_ignores_the_offset_until_the_flag_goes() {
    let mut guest = Guest::new();
    let fd = guest.open_as(TMP, "file", CREAT, rights::FILE, APPEND).unwrap();
    assert_eq!(guest.write(fd, b"aaaa"), Ok(4));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.read(fd, 9), Ok(b"aaaa".to_vec()));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.write(fd, b"bbbb"), Ok(4));
    assert_eq!(guest.tell(fd), Ok(8));
    assert_eq!(guest.pwrite(fd, b"c", 0), Ok(1));
    assert_eq!(guest.fdstat(fd).unwrap().1, APPEND);
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), 0]), 0);
    assert_eq!(guest.seek(fd, 1, 0), Ok(1));
    assert_eq!(guest.write(fd, b"dd"), Ok(2));
    assert_eq!(guest.content(TMP, "file"), b"cddabbbb");
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), 32]), INVAL);
}

#[test]
fn sizes_change_by_truncation_and_allocation() {
    let mut guest = Guest::new();
    let fd = guest.open_rw(TMP, "file", CREAT);
    let allocate = |guest: &mut Guest, at: u64, length: u64| {
        guest.call("fd_allocate", &[fd.into(), at, length])
    };
    assert_eq!(allocate(&mut guest, 0, 100), 0);
    assert_eq!(guest.stat(fd).unwrap().size, 100);
    assert_eq!(allocate(&mut guest, 10, 10), 0);
    assert_eq!(guest.stat(fd).unwrap().size, 100);
    assert_eq!(allocate(&mut guest, 90, 20), 0);
    assert_eq!(guest.stat(fd).unwrap().size, 110);
    assert_eq!(allocate(&mut guest, 0, 0), INVAL);
    assert_eq!(allocate(&mut guest, 0, u64::MAX), INVAL);
    assert_eq!(allocate(&mut guest, 0, 1 << 62), NOSPC);
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 3]), 0);
    assert_eq!(guest.stat(fd).unwrap().size, 3);
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 5]), 0);
    assert_eq!(guest.pread(fd, 9, 0), Ok(vec![0; 5]));
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), u64::MAX]), INVAL);
    assert_eq!(guest.call("fd_advise", &[fd.into(), 1, 2, 0]), 0);
    assert_eq!(guest.call("fd_advise", &[fd.into(), 1, 2, 6]), INVAL);
    assert_eq!(guest.stat(fd).unwrap().size, 5);
    assert_eq!(guest.open(TMP, "file", TRUNC).map(|_| ()), Ok(()));
    assert_eq!(guest.stat(fd).unwrap().size, 0);
}

#[test]
fn a_write_is_seen_at_once_through_another_descriptor() {
    let mut guest = Guest::new();
    let reader = guest.open_as(TMP, "file", CREAT, rights::FD_READ, 0).unwrap();
    let writer = guest.open_as(TMP, "file", 0, rights::FD_WRITE, 0).unwrap();
    assert_eq!(guest.write(writer, &[1]), Ok(1));
    assert_eq!(guest.read(reader, 1), Ok(vec![1]));
    assert_eq!(guest.read(writer, 1), Err(NOTCAPABLE));
    assert_eq!(guest.write(reader, &[1]), Err(NOTCAPABLE));
}

#[test]
fn times_are_set_as_asked() {
    let mut guest = Guest::new();
    let fd = guest.open_rw(TMP, "file", CREAT);
    let before = guest.stat(fd).unwrap();
    assert!(before.modified >= START_NS);
    let set = |guest: &mut Guest, accessed: u64, modified: u64, flags: u64| {
        guest.call("fd_filestat_set_times", &[fd.into(), accessed, modified, flags])
    };
    assert_eq!(set(&mut guest, 5, before.modified - 100, 4), 0);
    let after = guest.stat(fd).unwrap();
    assert_eq!((after.accessed, after.modified), (before.accessed, before.modified - 100));
    assert!(after.changed > before.changed);
    assert_eq!(set(&mut guest, 1, 1, 4 | 8), INVAL);
    assert_eq!(set(&mut guest, 1, 1, 1 | 2), INVAL);
    assert_eq!(set(&mut guest, 1, 1, 16), INVAL);
    assert_eq!(guest.stat(fd).unwrap().modified, after.modified);
    assert_eq!(set(&mut guest, 5, 0, 1 | 8), 0);
    let last = guest.stat(fd).unwrap();
    assert_eq!(last.accessed, 5);
    assert!(last.modified > after.changed);
    let [path, length] = guest.put(FIRST_PATH, b"file");
    let args = [TMP.into(), 0, path, length, 1, 2, 1 | 4];
    assert_eq!(guest.call("path_filestat_set_times", &args), 0);
    let by_path = guest.stat_at(TMP, 0, "file").unwrap();
    assert_eq!((by_path.accessed, by_path.modified), (1, 2));
}

#[test]
fn an_unlinked_file_lives_until_its_descriptor_closes() {
    let mut guest = Guest::new();
    let fd = guest.open_rw(TMP, "file", CREAT);
    assert_eq!(guest.write(fd, b"alive"), Ok(5));
    assert_eq!(guest.unlink(TMP, "file"), 0);
    assert_eq!(guest.open(TMP, "file", 0), Err(NOENT));
    assert_eq!(guest.pread(fd, 9, 0), Ok(b"alive".to_vec()));
    assert_eq!(guest.stat(fd).unwrap().links, 0);
    assert_eq!(guest.host.files.byte_count(), 5);
    assert_eq!(guest.close(fd), 0);
    assert_eq!(guest.host.files.byte_count(), 0);

    assert_eq!(guest.mkdir(TMP, "dir"), 0);
    let gone = guest.open_directory(TMP, "dir");
    assert_eq!(guest.rmdir(TMP, "dir"), 0);
    assert_eq!(guest.open(gone, "file", CREAT), Err(NOENT));
    assert_eq!(guest.mkdir(gone, "dir"), NOENT);
    assert_eq!(guest.mkdir(TMP, "other"), 0);
    assert_eq!(guest.rename_to(TMP, "other", gone, "moved"), NOENT);
    assert_eq!(guest.close(gone), 0);
}

#[test]
fn inputs_are_shared_until_written() {
    let config = config(&[("data", "input"), ("deep/er", "x"), ("tmp/own", "y")]);
    let mut guest = Guest::with(&config);
    assert_eq!(guest.content(IN, "data"), b"input");
    assert_eq!(guest.content(IN, "deep/er"), b"x");
    assert_eq!(guest.content(ROOT, "data"), b"input");
    assert_eq!(guest.content(ROOT, "in/data"), b"input");
    assert_eq!(guest.content(IN, "tmp/own"), b"y");
    assert_eq!(guest.open(ROOT, "tmp/own", 0), Err(NOENT));
    assert_eq!(guest.host.files.byte_count(), 0);

    let fd = guest.open_rw(ROOT, "data", 0);
    assert_eq!(guest.pwrite(fd, b"X", 1), Ok(1));
    assert_eq!(guest.host.files.byte_count(), 5);
    assert_eq!(guest.content(ROOT, "data"), b"iXput");
    assert_eq!(guest.content(IN, "data"), b"input");
    assert_eq!(Arc::strong_count(&config.inputs.files[0].1), 2);
}

#[test]
fn nothing_below_in_changes() {
    let mut guest = Guest::with(&config(&[("data", "input"), ("dir/file", "")]));
    let all = rights::FILE;
    assert_eq!(guest.open_as(IN, "data", 0, all, 0), Err(ROFS));
    assert_eq!(guest.open(IN, "data", TRUNC), Err(ROFS));
    assert_eq!(guest.open(IN, "new", CREAT), Err(ROFS));
    assert_eq!(guest.open(IN, "data", CREAT).map(|_| ()), Ok(()));
    assert_eq!(guest.mkdir(IN, "new"), ROFS);
    assert_eq!(guest.unlink(IN, "data"), ROFS);
    assert_eq!(guest.rename(IN, "data", "other"), ROFS);
    assert_eq!(guest.rename_to(IN, "data", OUT, "data"), XDEV);
    assert_eq!(guest.rename_to(ROOT, "data", IN, "data"), XDEV);
    assert_eq!(guest.link(IN, 0, "data", OUT, "data"), XDEV);
    assert_eq!(guest.symlink("data", IN, "link"), ROFS);
    let fd = guest.open_as(IN, "data", 0, all & !rights::FD_WRITE, 0).unwrap();
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 0]), ROFS);
    assert_eq!(guest.call("fd_allocate", &[fd.into(), 0, 100]), ROFS);
    assert_eq!(guest.call("fd_filestat_set_times", &[fd.into(), 0, 0, 5]), ROFS);
    for pinned in ["in", "out", "tmp"] {
        let expected = if pinned == "in" { NOTEMPTY } else { BUSY };
        assert_eq!(guest.rmdir(ROOT, pinned), expected);
        assert_eq!(guest.unlink(ROOT, pinned), ISDIR);
    }
    assert_eq!(guest.rename(ROOT, "out", "elsewhere"), BUSY);
    assert_eq!(guest.rename(ROOT, "dir", "out"), BUSY);
    assert_eq!(guest.content(IN, "data"), b"input");
}

#[test]
fn empty_directories_of_the_input_are_there_and_are_no_results() {
    let mut config = config(&[("dir/file", "input")]);
    let paths = ["dir/empty", "deep/er", "tmp"];
    config.inputs.directories = paths.map(|path| InputPath::parse(path).unwrap()).to_vec();
    let mut guest = Guest::with(&config);
    for path in ["dir/empty", "deep/er", "in/dir/empty", "in/deep/er", "in/tmp"] {
        assert_eq!(guest.stat_at(ROOT, 0, path).map(|stat| stat.file_type), Ok(3), "{path}");
    }
    assert_eq!(guest.mkdir(IN, "dir/empty/new"), ROFS);
    assert_eq!(guest.rmdir(ROOT, "deep/er"), 0);
    guest.touch(ROOT, "dir/empty/made");
    let outputs = guest.host.finish();
    let paths: Vec<_> = outputs.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["dir/empty/made"]);
}
