//! Questions at a terminal whose answers are not shown.
//!
//! While one stands the terminal hands every key to this process, also those that would end or
//! stop it: a process that goes with the echo off leaves a terminal that shows nothing. What the
//! keys mean is then decided here, and the terminal is as it was before on every way out.

use std::io::{self, Read, Stdin, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Asks for a line that is not shown.
///
/// # Errors
/// `Interrupted` when the key that ends programs is pressed, and what the terminal says.
pub(crate) fn hidden(question: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let hidden = Hidden::of(&stdin)?;
    let keys = Keys::of(&hidden.before);
    write!(io::stderr(), "{question}")?;
    let answer = keys.read(&mut stdin.lock());
    drop(hidden);
    writeln!(io::stderr())?;
    answer
}

/// A terminal without echo; it has it again when this is dropped.
struct Hidden<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn of(terminal: &'a Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        let hidden = Self { terminal, before };
        tcsetattr(terminal, OptionalActions::Flush, &raw)?;
        Ok(hidden)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Fails only where the terminal is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// The keys that mean something.
#[derive(Debug, Clone, Copy)]
struct Keys {
    interrupt: u8,
    quit: u8,
    suspend: u8,
    erase: u8,
    kill: u8,
    end: u8,
}

impl Keys {
    fn of(terminal: &Termios) -> Self {
        let code = |index| terminal.special_codes[index];
        Self {
            interrupt: code(SpecialCodeIndex::VINTR),
            quit: code(SpecialCodeIndex::VQUIT),
            suspend: code(SpecialCodeIndex::VSUSP),
            erase: code(SpecialCodeIndex::VERASE),
            kill: code(SpecialCodeIndex::VKILL),
            end: code(SpecialCodeIndex::VEOF),
        }
    }

    /// Reads keys up to the end of a line.
    fn read(self, keys: &mut impl Read) -> io::Result<String> {
        // Of its full size from the start, so that no copy is left behind where it grows.
        let mut line = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
        loop {
            let mut key = [0];
            keys.read_exact(&mut key)?;
            let [key] = key;
            match key {
                b'\n' | b'\r' => break,
                // A key that is switched off has the code 0.
                0 => {}
                _ if key == self.interrupt || key == self.quit => {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                _ if key == self.suspend => {}
                _ if key == self.end && line.is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                _ if key == self.end => break,
                _ if key == self.erase => erase(&mut line),
                _ if key == self.kill => line.clear(),
                _ if line.len() < ANSWER_BYTES_MAX => line.push(key),
                _ => return Err(io::Error::other("the answer is too long")),
            }
        }
        let line = std::mem::take(&mut *line);
        String::from_utf8(line).map_err(|_| io::Error::other("the answer is not UTF-8"))
    }
}

/// Takes the last character away.
fn erase(line: &mut Vec<u8>) {
    let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    while line.pop_if(|byte| continues(byte)).is_some() {}
    line.pop();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> io::Result<String> {
        let keys = Keys { interrupt: 3, quit: 28, suspend: 26, erase: 127, kill: 21, end: 4 };
        keys.read(&mut text.as_bytes())
    }

    #[test]
    fn keys_edit_the_line() {
        for (keys, line) in [
            ("secret\n", "secret"),
            ("secret\rmore", "secret"),
            ("sé\u{7f}ecret\n", "secret"),
            ("\u{7f}\u{7f}a\n", "a"),
            ("wrong\u{15}right\n", "right"),
            ("a\u{1a}b\0\n", "ab"),
            ("a\u{4}", "a"),
            ("\n", ""),
        ] {
            assert_eq!(typed(keys).unwrap(), line, "{keys:?}");
        }
    }

    #[test]
    fn keys_end_it() {
        for (keys, kind) in [
            ("sec\u{3}ret\n", io::ErrorKind::Interrupted),
            ("\u{1c}", io::ErrorKind::Interrupted),
            ("\u{4}", io::ErrorKind::UnexpectedEof),
            ("no end", io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(typed(keys).unwrap_err().kind(), kind, "{keys:?}");
        }
        assert!(typed(&"x".repeat(ANSWER_BYTES_MAX)).is_err());
        let long = format!("{}\n", "x".repeat(ANSWER_BYTES_MAX + 1));
        assert_eq!(typed(&long).unwrap_err().to_string(), "the answer is too long");
    }
}
