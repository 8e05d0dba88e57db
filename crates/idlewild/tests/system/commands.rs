//! Commands that need no network: arguments, configuration, keys, exit codes.

use std::fs;

use crate::common::{Home, ended, example};
use insta::assert_snapshot;

#[test]
fn wrong_words_end_with_code_2_and_a_reason() {
    let home = Home::default();
    fs::write(home.path("bad.toml"), "nodes = 1\n").unwrap();
    for (words, reason) in [
        (&["nonsense"][..], "unrecognized subcommand 'nonsense'"),
        (&["wallet", "send", "idle1x", "1"], "an address is bech32m text"),
        (&["wallet", "send", "idle1x", "-1"], "unexpected argument"),
        (&["wallet", "balance", "somebody"], "an address is bech32m text"),
        (&["lease", "12"], "`12` is not a lease"),
        (&["verify", "absent.json"], "cannot read absent.json"),
        (&["proof", "money", "x"], "[possible values: account, usd, wild"),
        (&["proof", "receipt", "12"], "a receipt is named LEASE.SEQUENCE"),
        (&["keys", "new", "Main Key"], "a key's name is 1 to 32"),
        (&["--config", "bad.toml", "supply"], "unknown field `nodes`"),
        (&["--config", "absent.toml", "supply"], "cannot read the configuration"),
        (&["--node", "somewhere", "supply"], "not a node's address"),
        (&["demo", "--scene", "absent.scene"], "cannot read the scene"),
        (&["provide", "--slots", "0"], "0 is not in 1..=4096"),
        (&["up", "--no-provider", "--slots", "1"], "cannot be used with"),
    ] {
        let ended = home.run(words).with_code(2);
        assert!(ended.stderr.contains(reason), "{words:?}: {ended:?}");
    }
}

#[test]
fn a_node_that_is_not_there_ends_with_code_3_and_a_hint() {
    let home = Home::default();
    let ended = home.run(["--node", "http://127.0.0.1:1", "supply"]).with_code(3);
    let said = "error: the node at http://127.0.0.1:1 cannot be reached\n  \
                caused by: Connection refused (os error 111)\n\
                hint: start a network with `idlewild up`, or name a node with --node URL\n";
    assert_eq!(ended.stderr, said);
    let ended = home.run(["--json", "--node", "http://127.0.0.1:1", "supply"]).with_code(3);
    let value = ended.json();
    assert_eq!((&value["ok"], &value["error"]["code"]), (&false.into(), &"unreachable".into()));
}

#[test]
fn who_has_no_key_learns_how_to_get_one() {
    for command in ["ps", "wallet"] {
        let ended = Home::default().run([command]).with_code(1);
        assert!(ended.stderr.contains("hint: make one with `idlewild keys new`"), "{ended:?}");
    }
}

#[test]
fn run_ends_with_125_where_there_is_no_result() {
    let home = Home::default();
    let hello = example("hello.wasm");
    let hello = hello.to_str().unwrap();
    home.run(["keys", "new", "--no-passphrase"]).with_code(0);
    fs::create_dir(home.path("full")).unwrap();
    fs::write(home.path("full/a"), "").unwrap();
    fs::create_dir(home.path("linked")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", home.path("linked/a")).unwrap();
    fs::write(home.path("text.wasm"), "no program").unwrap();
    fs::File::create(home.path("huge.wasm")).unwrap().set_len(1 << 30).unwrap();
    for (words, reason) in [
        (&["text.wasm"][..], "is not a WebAssembly program"),
        (&["huge.wasm"], "has more bytes than a program may have"),
        (&["absent.wasm"], "cannot read the program"),
        (&[hello, "--bundle", "absent/a"], "there is no directory absent"),
        (&[hello, "--bundle", "full"], "full: it is a directory"),
        (&[hello, "--input", "absent"], "absent cannot be an input"),
        (&[hello, "--input", "linked"], "neither a regular file nor a directory"),
        (&[hello, "--stdin", "absent"], "cannot read absent"),
        (&[hello, "--output", "full"], "full is not empty"),
        (&[hello, "--require", "1 <"], "--require is not a constraint"),
        (&[hello, "--node", "http://127.0.0.1:1"], "cannot be reached"),
    ] {
        let words = ["run"].iter().chain(words);
        let ended = home.run(words).with_code(125);
        assert!(ended.stderr.contains(reason), "{reason}: {ended:?}");
    }
}

#[test]
fn a_key_comes_back_from_its_words() {
    let home = Home::default();
    let made = home.run(["keys", "new", "first", "--no-passphrase"]).with_code(0);
    assert!(made.stdout.starts_with("idle1"), "{made:?}");
    let again = home.run(["keys", "new", "first", "--no-passphrase"]).with_code(1);
    assert!(again.stderr.contains("there is a key named first already"), "{again:?}");
    let words = home.run(["keys", "export", "first", "--json"]).with_code(0).json();
    let words = words["words"].as_str().unwrap().to_owned();
    assert_eq!(words.split(' ').count(), 24);

    fs::write(home.path("words"), &words).unwrap();
    let mut command = home.command();
    let restore = command.args(["keys", "restore", "second", "--no-passphrase"]);
    let restore = restore.stdin(fs::File::open(home.path("words")).unwrap());
    assert_eq!(ended(&restore.output().unwrap()).with_code(0).stdout, made.stdout);

    let list = home.run(["keys", "list", "--json"]).with_code(0).json();
    let keys = list["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0]["address"], keys[1]["address"]);
}

#[test]
fn a_passphrase_is_needed_again() {
    let home = Home::default();
    let with = |passphrase: &str, words: &[&str]| {
        let mut command = home.command();
        command.env("IDLEWILD_PASSPHRASE", passphrase).args(words);
        ended(&command.output().unwrap())
    };
    with("correct horse", &["keys", "new"]).with_code(0);
    with("correct horse", &["keys", "export"]).with_code(0);
    let wrong = with("battery staple", &["keys", "export"]).with_code(1);
    assert!(wrong.stderr.contains("hint: try again"), "{wrong:?}");
    let none = home.run(["keys", "export"]).with_code(1);
    assert!(none.stderr.contains("hint: set IDLEWILD_PASSPHRASE"), "{none:?}");
}

#[test]
fn a_file_that_is_no_bundle_proves_nothing() {
    let home = Home::default();
    fs::write(home.path("junk.json"), "{}").unwrap();
    let ended = home.run(["verify", "junk.json"]).with_code(1);
    assert_snapshot!(ended.stderr, @r"
    error: junk.json is neither a lease's bundle nor a proof of the state
      caused by: missing field `genesis` at line 1 column 2
    hint: get one with `idlewild lease bundle LEASE` or `idlewild proof KIND NAME`
    ");
}

#[test]
fn completions_and_pages_are_printed() {
    let home = Home::default();
    let bash = home.run(["completions", "bash"]).with_code(0);
    assert!(bash.stdout.contains("complete -F _idlewild"), "{bash:?}");
    let rejects = home.run(["__docs", "rejects"]).with_code(0);
    assert!(rejects.stdout.starts_with("# Rejections\n"), "{rejects:?}");
    let openapi = home.run(["__docs", "openapi"]).with_code(0);
    let openapi: serde_json::Value = serde_json::from_str(&openapi.stdout).unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
}

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let help = Home::default().run(["__docs", "cli"]).with_code(0);
    insta::with_settings!({ omit_expression => true }, {
        assert_snapshot!("help", help.stdout);
    });
}
