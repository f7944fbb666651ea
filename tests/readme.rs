//! The README's flag table is the program's flag table.

#[test]
fn the_flag_table_is_the_programs() {
    let readme = include_str!("../README.md");
    let table = readme
        .split_once("<!-- flags -->\n")
        .and_then(|(_, rest)| rest.split_once("<!-- /flags -->"))
        .map(|(table, _)| table)
        .expect("README.md has the markers <!-- flags --> and <!-- /flags -->");
    let expected = otlet::flags::readme_table();
    assert!(
        table == expected,
        "README.md differs from the flag table; write it with \
         `cargo run --example flag_table`. Expected:\n{expected}"
    );
}
