//! Descriptors: pre-opened directories, rights, numbers, streams, polling.

use super::*;

const CHARACTER_DEVICE: u8 = 2;

#[test]
fn a_program_finds_its_directories_by_name() {
    let mut guest = Guest::new();
    for (fd, name) in [(ROOT, "/"), (IN, "/in"), (OUT, "/out"), (TMP, "/tmp")] {
        let prestat = guest.ask_u64("fd_prestat_get", &[fd.into(), RESULT.into()]).unwrap();
        let length = prestat >> 32;
        assert_eq!(prestat & 0xffff_ffff, 0);
        assert_eq!(length, u64::try_from(name.len()).unwrap());
        let args = |room| [fd.into(), DATA.into(), room];
        assert_eq!(guest.call("fd_prestat_dir_name", &args(length - 1)), NAMETOOLONG);
        assert_eq!(guest.call("fd_prestat_dir_name", &args(length + 1)), 0);
        assert_eq!(guest.at(DATA, u32::try_from(length).unwrap()), name.as_bytes());
    }
    for other in [0, 1, 2, 7] {
        assert_eq!(guest.call("fd_prestat_get", &[other, RESULT.into()]), BADF);
    }
}

#[test]
fn a_directory_opens_again_with_its_own_rights() {
    let mut guest = Guest::new();
    let (file_type, flags, base, inherited) = guest.fdstat(ROOT).unwrap();
    assert_eq!((file_type, flags), (3, 0));
    let again = guest.open_full(ROOT, 0, ".", DIRECTORY, [base, inherited], 0).unwrap();
    assert_eq!(guest.fdstat(again).unwrap(), (3, 0, base, inherited));
    assert_eq!(base & (rights::FD_SEEK | rights::FD_FILESTAT_SET_SIZE), 0);
}

#[test]
fn rights_can_only_shrink() {
    let mut guest = Guest::new();
    let wanted = rights::FD_READ | rights::FD_WRITE | rights::FD_SEEK | rights::FD_TELL;
    let fd = guest.open_as(TMP, "file", CREAT, wanted, 0).unwrap();
    assert_eq!(guest.write(fd, b"abc"), Ok(3));
    let kept = rights::FD_SEEK | rights::FD_TELL;
    assert_eq!(guest.call("fd_fdstat_set_rights", &[fd.into(), kept, 0]), 0);
    assert_eq!(guest.fdstat(fd).unwrap().2, kept);
    assert_eq!(guest.read(fd, 1), Err(NOTCAPABLE));
    assert_eq!(guest.write(fd, b"x"), Err(NOTCAPABLE));
    assert_eq!(guest.call("fd_fdstat_set_rights", &[fd.into(), wanted, 0]), NOTCAPABLE);
    assert_eq!(guest.stat(fd), Err(NOTCAPABLE));

    let dir = guest.open_directory(ROOT, "tmp");
    let (_, _, base, inherited) = guest.fdstat(dir).unwrap();
    let (base, inherited) =
        (base & !rights::PATH_FILESTAT_SET_SIZE, inherited & !rights::FD_FILESTAT_SET_SIZE);
    assert_eq!(guest.open(dir, "file", TRUNC).map(|_| ()), Ok(()));
    assert_eq!(guest.call("fd_fdstat_set_rights", &[dir.into(), base, inherited]), 0);
    assert_eq!(guest.open(dir, "file", TRUNC), Err(NOTCAPABLE));
    assert_eq!(guest.open_as(dir, "file", 0, rights::FILE, 0), Err(NOTCAPABLE));
}

#[test]
fn directories_refuse_what_is_for_files() {
    let mut guest = Guest::new();
    assert_eq!(guest.stat(TMP).unwrap().file_type, 3);
    assert_eq!(guest.read(TMP, 1), Err(BADF));
    assert_eq!(guest.pread(TMP, 1, 0), Err(BADF));
    assert_eq!(guest.write(TMP, b"x"), Err(BADF));
    assert_eq!(guest.pwrite(TMP, b"x", 0), Err(BADF));
    for whence in 0..3 {
        assert_eq!(guest.seek(TMP, 0, whence), Err(BADF));
    }
    assert_eq!(guest.tell(TMP), Err(BADF));
    assert_eq!(guest.call("fd_allocate", &[TMP.into(), 0, 1]), BADF);
    assert_eq!(guest.call("fd_filestat_set_size", &[TMP.into(), 0]), BADF);
    assert_eq!(guest.call("fd_advise", &[TMP.into(), 0, 0, 0]), BADF);
    assert_eq!(guest.call("fd_sync", &[TMP.into()]), 0);
}

#[test]
fn numbers_move_and_the_lowest_free_one_is_next() {
    let mut guest = Guest::new();
    guest.store(TMP, "one", b"1");
    let from = guest.open_rw(TMP, "one", 0);
    let to = guest.open_rw(TMP, "two", CREAT);
    let before = guest.fdstat(from).unwrap();
    assert_eq!(guest.call("fd_renumber", &[from.into(), to.into()]), 0);
    assert_eq!(guest.close(from), BADF);
    assert_eq!(guest.fdstat(to).unwrap(), before);
    assert_eq!(guest.read(to, 9), Ok(b"1".to_vec()));
    assert_eq!(guest.call("fd_renumber", &[to.into(), from.into()]), BADF);
    assert_eq!(guest.call("fd_renumber", &[to.into(), to.into()]), 0);
    assert_eq!(guest.open(TMP, "two", 0), Ok(from));

    let dir = guest.open_directory(ROOT, "tmp");
    let inode = guest.stat(dir).unwrap().inode;
    assert_eq!(guest.call("fd_renumber", &[dir.into(), ROOT.into()]), 0);
    assert_eq!(guest.stat(ROOT).unwrap().inode, inode);
    assert_eq!(guest.fdstat(dir), Err(BADF));
    assert_eq!(guest.close(ROOT), 0);
    assert_eq!(guest.fdstat(ROOT), Err(BADF));
    assert_eq!(guest.open(TMP, "two", 0), Ok(ROOT));
}

#[test]
fn streams_are_captured_and_not_terminals() {
    let mut guest = Guest::new();
    let tells = rights::FD_SEEK | rights::FD_TELL;
    for fd in 0..3 {
        let (file_type, _, base, _) = guest.fdstat(fd).unwrap();
        assert_eq!(file_type, CHARACTER_DEVICE);
        assert_eq!(base & tells, tells, "what a C library takes for no terminal");
        assert_eq!(guest.stat(fd).unwrap().file_type, CHARACTER_DEVICE);
        assert_eq!(guest.seek(fd, 0, 1), Err(SPIPE));
    }
    assert_eq!(guest.read(0, 3), Ok(b"std".to_vec()));
    assert_eq!(guest.read(0, 9), Ok(b"in".to_vec()));
    assert_eq!(guest.read(0, 9), Ok(vec![]));
    assert_eq!(guest.read(1, 9), Err(NOTCAPABLE));
    assert_eq!(guest.write(0, b"x"), Err(NOTCAPABLE));
    assert_eq!(guest.write(1, b"out"), Ok(3));
    assert_eq!(guest.write(2, b"err"), Ok(3));
    let file = guest.open(TMP, "file", CREAT).unwrap();
    assert_eq!(guest.call("fd_renumber", &[1, file.into()]), 0);
    assert_eq!(guest.write(1, b"x"), Err(BADF));
    assert_eq!(guest.write(file, b"put"), Ok(3));
    let outputs = guest.host.finish();
    assert_eq!((&outputs.stdout[..], &outputs.stderr[..]), (&b"output"[..], &b"err"[..]));
}

/// Writes a subscription; returns where it begins.
fn subscribe(guest: &mut Guest, at: u32, user_data: u64, kind: u8, body: &[(usize, u64)]) {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&user_data.to_le_bytes());
    bytes[8] = kind;
    for (offset, value) in body {
        bytes[*offset..*offset + 8].copy_from_slice(&value.to_le_bytes());
    }
    guest.put(DATA + at * 48, &bytes);
}

/// An event: user data, error, kind, bytes, flags.
type Event = (u64, u16, u8, u64, u8);

fn poll(guest: &mut Guest, count: u32) -> Result<Vec<Event>, u32> {
    let events = DATA + 0x1000;
    let args = [DATA.into(), events.into(), count.into(), RESULT.into()];
    let written = guest.ask_u32("poll_oneoff", &args)?;
    let bytes = guest.at(events, written * 32);
    let event = |event: &[u8; 32]| {
        let error = u16::from_le_bytes([event[8], event[9]]);
        (u64_at(event, 0), error, event[10], u64_at(event, 16), event[24])
    };
    Ok(bytes.as_chunks::<32>().0.iter().map(event).collect())
}

#[test]
fn a_poll_of_clocks_lets_time_pass() {
    let mut guest = Guest::new();
    let now = |guest: &mut Guest, clock| {
        guest.ask_u64("clock_time_get", &[clock, 0, RESULT.into()]).unwrap()
    };
    let before = now(&mut guest, 1);
    subscribe(&mut guest, 0, 1, 0, &[(16, 1), (24, 9_000_000)]);
    subscribe(&mut guest, 1, 2, 0, &[(16, 0), (24, 5_000_000)]);
    assert_eq!(poll(&mut guest, 2), Ok(vec![(2, 0, 0, 0, 0)]), "the first deadline only");
    let after = now(&mut guest, 1);
    assert!(after - before >= 5_000_000 && after - before < 5_100_000);
    let deadline = now(&mut guest, 0) + 1_000_000;
    subscribe(&mut guest, 0, 3, 0, &[(16, 0), (24, deadline), (40, 1)]);
    assert_eq!(poll(&mut guest, 1), Ok(vec![(3, 0, 0, 0, 0)]));
    assert!(now(&mut guest, 0) >= deadline);
    assert_eq!(poll(&mut guest, 1), Ok(vec![(3, 0, 0, 0, 0)]), "a deadline in the past is due");
    assert_eq!(poll(&mut guest, 0), Err(INVAL));
    subscribe(&mut guest, 0, 4, 0, &[(16, 9)]);
    assert_eq!(poll(&mut guest, 1).unwrap()[0].1, 28);
    subscribe(&mut guest, 0, 4, 3, &[]);
    assert_eq!(poll(&mut guest, 1), Err(INVAL));
}

#[test]
fn descriptors_are_ready_before_any_clock() {
    let mut guest = Guest::new();
    guest.store(TMP, "file", b"abc");
    let file = guest.open_as(TMP, "file", 0, rights::FD_READ, 0).unwrap();
    subscribe(&mut guest, 0, 10, 0, &[(16, 1), (24, 200_000_000)]);
    subscribe(&mut guest, 1, 11, 1, &[(16, 0)]);
    subscribe(&mut guest, 2, 12, 2, &[(16, 1)]);
    subscribe(&mut guest, 3, 13, 1, &[(16, file.into())]);
    subscribe(&mut guest, 4, 14, 2, &[(16, u64::from(u32::MAX))]);
    let events = poll(&mut guest, 5).unwrap();
    assert_eq!(events[0], (11, 0, 1, 5, 0));
    assert_eq!((events[1].0, events[1].1, events[1].2), (12, 0, 2));
    assert_eq!(events[2], (13, 0, 1, 3, 0));
    assert_eq!((events[3].0, events[3].1), (14, 8));
    assert_eq!(events.len(), 4);
    assert_eq!(guest.read(0, 9), Ok(b"stdin".to_vec()));
    subscribe(&mut guest, 0, 11, 1, &[(16, 0)]);
    assert_eq!(poll(&mut guest, 1), Ok(vec![(11, 0, 1, 0, 1)]), "the end is a hang-up");
}

#[test]
fn there_are_no_sockets() {
    let mut guest = Guest::new();
    assert_eq!(guest.call("sock_shutdown", &[1, 1]), NOTSOCK);
    assert_eq!(guest.call("sock_shutdown", &[99, 1]), BADF);
    assert_eq!(guest.call("sock_accept", &[ROOT.into(), 0, 0]), NOTSOCK);
    assert_eq!(guest.call("sock_recv", &[0, 0, 0, 0, 0, 0]), NOTSOCK);
    assert_eq!(guest.call("sock_send", &[99, 0, 0, 0, 0]), BADF);
}
