//! Writes the flag table into README.md, between its two markers: `cargo run --example flag_table`.
//!
//! `tests/readme.rs` fails when this was forgotten.

use std::{fs, io};

const BEGIN: &str = "<!-- flags -->\n";
const END: &str = "<!-- /flags -->";

fn main() -> io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path)?;
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(io::Error::other("README.md lacks the markers of the flag table"));
    };
    let table = otlet::flags::readme_table();
    fs::write(path, format!("{before}{BEGIN}{table}{END}{after}"))
}
