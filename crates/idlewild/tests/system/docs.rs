//! The pages of `docs/` that are made from code are what the code makes.

use std::fs;
use std::path::Path;

use crate::common::Home;

#[test]
fn generated_pages_are_fresh() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, file) in [("rejects", "rejects.md"), ("openapi", "openapi.json"), ("cli", "cli.md")]
    {
        let made = Home::default().run(["__docs", name]).with_code(0).stdout;
        let kept = fs::read_to_string(docs.join(file)).unwrap();
        assert!(made == kept, "docs/{file} differs from the code, run `cargo xtask docs`");
    }
}
