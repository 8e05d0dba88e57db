//! Disks of a test's own: small ones that fill up, and ones that the system stops writing to.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of a disk: a start and some seconds of work take a tenth.
const BYTES: u64 = 64 << 20;
/// What takes all the room.
const BALLAST: &str = "ballast";

/// A mounted disk. Dropped, it is gone.
pub(super) struct Disk {
    at: PathBuf,
    /// The file that it is on, where that is not memory.
    image: Option<PathBuf>,
}

impl Disk {
    /// Mounts one on a directory, which is made; nothing where this account may not.
    pub(super) fn small(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={BYTES}");
        said(run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(at)]))?;
        Some(Self { at: at.to_owned(), image: None })
    }

    /// Mounts one that [`Self::fail`] works on, with a file that it is on.
    pub(super) fn breakable(at: &Path, image: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        File::create(image).unwrap().set_len(BYTES).unwrap();
        said(run("mkfs.ext4", &["-q", text(image)]))?;
        let disk = Self { at: at.to_owned(), image: Some(image.to_owned()) };
        said(disk.mount_image())?;
        if !disk.switch().exists() {
            println!("skipped: this system has no way to make a disk fail");
            return None;
        }
        Some(disk)
    }

    fn mount_image(&self) -> Result<(), String> {
        let image = self.image.as_deref().unwrap();
        run("mount", &["-o", "loop,errors=remount-ro", text(image), text(&self.at)])
    }

    /// Returns what the file system takes for an error of its disk.
    fn switch(&self) -> PathBuf {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let is_this = |line: &&str| line.split(' ').nth(1) == self.at.to_str();
        let line = mounts.lines().find(is_this).unwrap();
        let device = line.split(' ').next().unwrap().trim_start_matches("/dev/");
        Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error")
    }

    /// Takes all the room.
    pub(super) fn fill(&self) {
        let mut ballast = File::create(self.at.join(BALLAST)).unwrap();
        loop {
            match ballast.write(&[0; 4_096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives it back.
    pub(super) fn free(&self) {
        fs::remove_file(self.at.join(BALLAST)).unwrap();
    }

    /// Lets nothing be written that is not being written; `rw` undoes it.
    pub(super) fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), text(&self.at)]).unwrap();
    }

    /// Has an error, after which nothing can be written although files are open.
    pub(super) fn fail(&self) {
        fs::write(self.switch(), "1").unwrap();
    }

    /// Does what an administrator does after an error.
    pub(super) fn repair(&self) {
        run("umount", &[text(&self.at)]).unwrap();
        // It exits with 1 when it repaired something.
        let _ = run("fsck.ext4", &["-p", text(self.image.as_deref().unwrap())]);
        self.mount_image().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", text(&self.at)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Says why a test is not for this machine.
fn said(done: Result<(), String>) -> Option<()> {
    done.inspect_err(|why| println!("skipped: no disk of its own: {why}")).ok()
}

/// Runs a command of the system, with its output as the error.
pub(super) fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(words).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
}
