//! `hello [--exit CODE] [WORD…]`
//!
//! The smallest useful guest: shows its arguments, its environment, the files
//! of `/in` and the number of lines on stdin, says the same in
//! `/out/hello.txt`, and ends with the exit code that it is asked for.

use std::fmt::Write;
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(code) = exit_code(&arguments) else {
        eprintln!("hello: --exit needs a number from 0 to 255");
        return ExitCode::from(2);
    };
    match greet(&arguments) {
        Ok(()) => ExitCode::from(code),
        Err(error) => {
            eprintln!("hello: {error}");
            ExitCode::FAILURE
        }
    }
}

fn greet(arguments: &[String]) -> io::Result<()> {
    let text = report(arguments, env::vars().collect(), inputs(), stdin_lines()?);
    print!("{text}");
    fs::write("/out/hello.txt", text)
}

/// Returns the exit code asked for, 0 if none is, nothing if it is no code.
fn exit_code(arguments: &[String]) -> Option<u8> {
    match arguments.iter().position(|word| word == "--exit") {
        Some(place) => arguments.get(place + 1)?.parse().ok(),
        None => Some(0),
    }
}

/// Returns the names in `/in`; a job without inputs may have no such folder.
fn inputs() -> Vec<String> {
    let Ok(folder) = fs::read_dir("/in") else { return Vec::new() };
    folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn stdin_lines() -> io::Result<usize> {
    let mut lines = 0;
    for line in io::stdin().lock().split(b'\n') {
        line?;
        lines += 1;
    }
    Ok(lines)
}

fn report(
    arguments: &[String],
    mut variables: Vec<(String, String)>,
    mut inputs: Vec<String>,
    lines: usize,
) -> String {
    variables.sort();
    inputs.sort();
    let mut text = String::from("hello from a guest\n");
    let mut say = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("a string takes any text");
    };
    for (number, argument) in arguments.iter().enumerate() {
        say(format_args!("argument {}: {argument}\n", number + 1));
    }
    for (name, value) in &variables {
        say(format_args!("variable {name}={value}\n"));
    }
    for name in &inputs {
        say(format_args!("input {name}\n"));
    }
    say(format_args!("stdin: {lines} lines\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn exit_code_is_the_number_after_the_option() {
        assert_eq!(exit_code(&words("a b")), Some(0));
        assert_eq!(exit_code(&words("a --exit 255")), Some(255));
        assert_eq!(exit_code(&words("--exit 256")), None);
        assert_eq!(exit_code(&words("--exit")), None);
    }

    #[test]
    fn report_is_sorted_and_whole() {
        let variables = vec![("B".into(), "2".into()), ("A".into(), "1".into())];
        assert_eq!(
            report(&words("x --exit 3"), variables, words("z y"), 2),
            "hello from a guest\nargument 1: x\nargument 2: --exit\nargument 3: 3\n\
             variable A=1\nvariable B=2\ninput y\ninput z\nstdin: 2 lines\n"
        );
    }
}
