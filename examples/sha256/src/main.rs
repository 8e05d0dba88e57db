//! `sha256 [--rounds N] [FILE…]`
//!
//! Prints the SHA-256 of each file, or of stdin if none is named. With rounds,
//! a hash is hashed again N − 1 times, which makes a load of any length.

use std::io::{self, Read};
use std::process::ExitCode;
use std::{env, fs};

use sha256::{Sha256, digest, hex};

const USAGE: &str = "usage: sha256 [--rounds N] [FILE…]";

/// The bytes read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

fn main() -> ExitCode {
    let mut words = env::args().skip(1).peekable();
    let mut rounds = 1;
    if words.next_if(|word| word == "--rounds").is_some() {
        match words.next().and_then(|word| word.parse::<u32>().ok()).filter(|&n| n > 0) {
            Some(number) => rounds = number,
            None => {
                eprintln!("sha256: --rounds needs a number from 1\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let mut files: Vec<String> = words.collect();
    if files.is_empty() {
        files.push("-".to_owned());
    }
    for file in &files {
        match hash(file, rounds) {
            Ok(digest) => println!("{}  {file}", hex(&digest)),
            Err(error) => {
                eprintln!("sha256: {file}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Hashes a file, or stdin where the name is `-`.
fn hash(file: &str, rounds: u32) -> io::Result<[u8; 32]> {
    let first =
        if file == "-" { hash_all(io::stdin().lock()) } else { hash_all(fs::File::open(file)?) }?;
    Ok((1..rounds).fold(first, |last, _| digest(&last)))
}

fn hash_all(mut source: impl Read) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            count => hash.update(&buffer[..count]),
        }
    }
}
