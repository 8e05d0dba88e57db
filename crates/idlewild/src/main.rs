//! idlewild
fn main() {}
