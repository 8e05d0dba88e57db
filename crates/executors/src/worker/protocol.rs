//! What a worker process and its parent say to each other, over the worker's standard input and
//! output.
//!
//! A frame is a `u32` length and as many bytes, the canonical encoding of one message. Both sides
//! bound what they read; the parent trusts nothing that comes from the worker.

use std::io::{self, Read, Write};

use classes::job::{Spec, Usage};
use types::{Blob, ContentHash, Decode, Encode, Hash, Text, Time, codec};

use crate::wasm::EngineKind;

/// Bytes of content that one message carries.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes of one frame: a chunk and what surrounds it.
pub const FRAME_BYTES_MAX: usize = CHUNK_BYTES_MAX + 4096;

/// What the parent says.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// How to run jobs; the first message, once.
    Setup {
        /// Jobs at the same time.
        slots: u16,
        /// Bytes of content that are kept for later jobs.
        content_bytes_max: u64,
    },
    /// A job to run. Content that it needs is asked for.
    Run {
        /// The parent's number for it.
        job: u64,
        /// What is to be done.
        spec: Box<Spec>,
        /// Where its clock starts.
        created: Time,
        /// The wall-clock time that it may take, in milliseconds.
        wall_ms: u64,
        /// What runs its program.
        engine: EngineKind,
        /// The fuel beyond which nobody wants to know more.
        bill: Option<u64>,
    },
    /// Part of a content that was asked for.
    Content {
        /// Its name.
        hash: ContentHash,
        /// The next bytes.
        chunk: Blob<CHUNK_BYTES_MAX>,
        /// Whether these are the last.
        last: bool,
    },
    /// A job is not wanted any more.
    Cancel {
        /// The parent's number for it.
        job: u64,
    },
}
codec!(enum Command {
    0 = Setup { slots, content_bytes_max },
    1 = Run { job, spec, created, wall_ms, engine, bill },
    2 = Content { hash, chunk, last },
    3 = Cancel { job },
});
codec!(enum EngineKind {
    0 = Compiler,
    1 = Interpreter,
});

/// What the worker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is set up and shut in.
    Ready,
    /// A job needs a content that its specification names, and waits for it.
    Need {
        /// The parent's number for it.
        job: u64,
        /// The content.
        hash: ContentHash,
    },
    /// A job's program is being made ready, which cannot be interrupted.
    Preparing {
        /// The parent's number for it.
        job: u64,
    },
    /// A job's program is ready and runs.
    Running {
        /// The parent's number for it.
        job: u64,
    },
    /// Part of a content that a job made; one content follows another.
    Output {
        /// The parent's number for the job.
        job: u64,
        /// The content's name.
        hash: ContentHash,
        /// The next bytes; as many as fit, but for the last.
        chunk: Blob<CHUNK_BYTES_MAX>,
        /// Whether these are the last.
        last: bool,
    },
    /// A job ended with a result, of which all content was sent.
    Done {
        /// The parent's number for it.
        job: u64,
        /// The meter reading.
        usage: Usage,
        /// The root of its trace.
        trace_root: Hash,
        /// How long the guest ran, in microseconds.
        guest_us: u64,
        /// Why the job could not begin.
        unrunnable: Option<Text<512>>,
    },
    /// A job ended without a result, through no fault of its own.
    Abort {
        /// The parent's number for it.
        job: u64,
        /// What happened.
        why: Text<512>,
    },
    /// A job ended without a result because its time was over.
    TimedOut {
        /// The parent's number for it.
        job: u64,
    },
    /// A job was left since it used more fuel than its bill.
    OverBill {
        /// The parent's number for it.
        job: u64,
    },
}
codec!(enum Reply {
    0 = Ready,
    1 = Need { job, hash },
    2 = Output { job, hash, chunk, last },
    3 = Done { job, usage, trace_root, guest_us, unrunnable },
    4 = Abort { job, why },
    5 = Preparing { job },
    6 = Running { job },
    7 = TimedOut { job },
    8 = OverBill { job },
});

/// Encodes a message with its length in front.
pub(super) fn frame<T: Encode>(message: &T) -> Vec<u8> {
    let mut frame = vec![0; 4];
    message.encode(&mut frame);
    let length = u32::try_from(frame.len().saturating_sub(4)).expect("messages are bounded");
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

/// Checks a frame's length.
pub(super) fn frame_length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    Ok(length)
}

/// Decodes a message.
pub(super) fn message<T: Decode>(bytes: &[u8]) -> io::Result<T> {
    T::from_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads one message; nothing at the end of the stream.
///
/// # Errors
/// The stream's error, or [`io::ErrorKind::InvalidData`] for what is no message.
pub fn read<T: Decode>(input: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut bytes = vec![0; frame_length(length)?];
    input.read_exact(&mut bytes)?;
    message(&bytes).map(Some)
}

/// Writes one message.
///
/// # Errors
/// The stream's error.
pub fn write<T: Encode>(output: &mut impl Write, message: &T) -> io::Result<()> {
    output.write_all(&frame(message))?;
    output.flush()
}

/// Returns the beginning of a text that people read.
pub(super) fn excerpt(text: &str) -> Text<512> {
    let cut: String = text.chars().take(120).collect();
    Text::new(cut).expect("120 characters are at most 480 bytes")
}

/// Splits content into chunks, each with whether it is the last; an empty content is one chunk.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = (Blob<CHUNK_BYTES_MAX>, bool)> {
    let count = bytes.len().div_ceil(CHUNK_BYTES_MAX).max(1);
    (0..count).map(move |index| {
        let start = index * CHUNK_BYTES_MAX;
        let end = bytes.len().min(start + CHUNK_BYTES_MAX);
        let chunk = Blob::new(bytes[start..end].to_vec()).expect("a chunk is within the bound");
        (chunk, index + 1 == count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cross_the_pipe_unchanged() {
        let sent = Command::Setup { slots: 3, content_bytes_max: 9 };
        let mut pipe = Vec::new();
        write(&mut pipe, &sent).unwrap();
        assert_eq!(read(&mut pipe.as_slice()).unwrap(), Some(sent));
        assert_eq!(read::<Command>(&mut [].as_slice()).unwrap(), None);
    }

    #[test]
    fn a_long_or_cut_frame_is_an_error() {
        let long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
        assert!(read::<Command>(&mut long.as_slice()).is_err());
        assert!(read::<Command>(&mut [9, 0, 0, 0, 1].as_slice()).is_err());
    }

    #[test]
    fn chunks_make_the_whole() {
        let check = |length: usize, count: usize| {
            let bytes = vec![7; length];
            let parts: Vec<_> = chunks(&bytes).collect();
            assert_eq!(parts.len(), count);
            let lasts = parts.iter().filter(|(_, last)| *last).count();
            assert_eq!((lasts, parts.last().map(|(_, last)| *last)), (1, Some(true)));
            let joined: Vec<u8> =
                parts.iter().flat_map(|(chunk, _)| chunk.as_slice().to_vec()).collect();
            assert_eq!(joined, bytes);
        };
        check(0, 1);
        check(CHUNK_BYTES_MAX, 1);
        check(CHUNK_BYTES_MAX + 1, 2);
    }
}
