//! Snippets that break one rule each: a rule that cannot complain checks nothing.

use super::{check_any, check_manifest, check_rust, is_foreign, Source};

/// Complaints about a Rust file that is otherwise in order.
fn complaints(path: &str, code: &str) -> Vec<String> {
    let text = format!("//! A room.\n{code}\n");
    [check_any(path, &text), check_rust(&Source::new(path, &text))].concat()
}

fn good(path: &str, code: &str) {
    assert_eq!(complaints(path, code), [""; 0], "{path}: {code}");
}

/// Exactly one complaint, which holds `expected`.
fn bad(path: &str, code: &str, expected: &str) {
    let found = complaints(path, code);
    assert!(found.len() == 1 && found[0].contains(expected), "{path}: {code}: {found:#?}");
}

/// The same, in a room where nothing else is wrong.
fn bad_code(code: &str, expected: &str) {
    bad("src/codec/text.rs", code, expected);
}

#[test]
fn sizes() {
    good("src/codec/text.rs", &format!("// {}", "x".repeat(97)));
    bad_code(&format!("// {}", "x".repeat(98)), ":2: line of 101");
    good("src/codec/text.rs", &format!("// {}", "é".repeat(97)));
    good("src/codec/text.rs", &"\n".repeat(498));
    bad_code(&"\n".repeat(499), "501 lines");
    let function = |lines| format!("pub fn long(a: [u8; 3]) -> u8 {{\n{}}}", "//\n".repeat(lines));
    good("src/codec/text.rs", &function(58));
    bad_code(&function(59), ":2: fn long has 61 lines");
    bad("tests/x.rs", &function(59), "fn long has 61 lines");
    bad("src/codec/text.rs", &format!("impl A {{ {} }}", function(59)), "fn long has 61");
    good("src/codec/text.rs", &format!("trait A {{ fn short(); }}\n{}", "//\n".repeat(80)));
    good("src/codec/text.rs", &format!("type F = fn(u8) -> u8;\n{}", "//\n".repeat(80)));
}

#[test]
fn openings_and_names() {
    let found = check_rust(&Source::new("src/codec/text.rs", "use std::io;\n"));
    assert_eq!(found, ["src/codec/text.rs: does not open with //!"]);
    bad("src/net/utils.rs", "", "`utils` says nothing");
    bad("src/net/common/x.rs", "", "`common` says nothing");
}

#[test]
fn words() {
    bad_code("fn f() { todo!() }", ":2: todo!");
    bad_code("fn f() { dbg!(1); }", ":2: dbg!");
    bad("tests/x.rs", "fn f() { dbg!(1); }", ":2: dbg!");
    bad_code(concat!("// TO", "DO: later"), "without an issue number");
    good("src/codec/text.rs", "// TODO: later, see #12\nfn f() { log(\"todo!()\"); my_todo!() }");
    bad_code("fn f() {} ", "trailing space");
    bad_code(concat!("// see /wo", "rk/main"), "names /wo");
    bad_code(concat!("// from crates", ".io"), "names crates");
}

#[test]
fn panics() {
    bad_code("fn f() { x().unwrap(); }", ":2: unwrap");
    bad_code("fn f() {\n    x()\n        .expect(\"a\");\n}", ":4: unwrap");
    bad("build.rs", "fn f() { x().unwrap(); }", ":2: unwrap");
    bad_code("// cannot fail: far above\n\n\nfn f() { x().unwrap(); }", ":5: unwrap");
    good("src/codec/text.rs", "// cannot fail: x is never empty\nfn f() { x().unwrap(); }");
    good("src/codec/text.rs", "/// `x.unwrap()` panics\nfn f() { \".unwrap()\"; x.unwrap_or(1); }");
    good("src/codec/text.rs", "#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); }\n}");
    bad_code("#[cfg(test)]\nmod tests;\nfn f() { x.unwrap(); }", ":4: unwrap");
    bad_code("#[cfg(test)]\nmod tests { fn f() {} }\n\nfn f() { x.unwrap(); }", ":5: unwrap");
    good("src/codec/text/tests.rs", "fn f() { x.unwrap(); }");
    good("src/codec/text_tests.rs", "fn f() { x.unwrap(); }");
    good("tests/x.rs", "fn f() { x.unwrap(); }");
}

#[test]
fn unsafety() {
    bad_code("fn f() { unsafe { g() } }", ":2: unsafe");
    bad_code("#[allow(unsafe_code)]\nmod x;", ":2: unsafe");
    bad("tests/x.rs", "unsafe fn f() {}", ":2: unsafe");
    bad_code("#[expect(unsafe_code)]\nmod x;", ":2: unsafe");
    good("src/lib.rs", "#![deny(unsafe_code)]\n#![forbid(unsafe_code)]");
    good("src/net/sys.rs", "#![allow(unsafe_code)]\nfn f() { unsafe { g() } }");
    good("src/codec/text.rs", "// unsafe in words\nfn unsafely() {}");
}

#[test]
fn the_loop_stays_in_net() {
    bad("src/receive/scrape.rs", "use smol::LocalExecutor;", "names smol");
    bad("src/main.rs", "use async_io::Timer;", "names async_io");
    good("src/net/event_loop.rs", "use smol::LocalExecutor;\nuse async_io::Timer;");
    good("src/receive/scrape.rs", "// smol is elsewhere\nuse crate::net;\nstruct Smol;");
}

#[test]
fn layers() {
    bad("src/codec/text.rs", "use crate::net::Notify;", "codec may not know net");
    bad("src/net.rs", "use crate::{codec, model::{Label, x}, aws::Key};", "net may not know aws");
    bad("src/export/stdout.rs", "use crate::receive::X;", "export may not know receive");
    bad("src/receive/scrape.rs", "use crate::export::X;", "receive may not know export");
    bad("src/admin/mod.rs", "fn f() { crate::export::x() }", "admin may not know export");
    bad("src/admin/mod.rs", "use crate::flags::Config;", "admin may not know flags");
    bad("src/observe/log.rs", "use crate::model::Label;", "observe may not know model");
    bad("src/pipeline/mod.rs", "use crate::unheard::X;", "pipeline may not know unheard");
    bad("src/cellar/mod.rs", "", "room `cellar` has no floor");
    bad(
        "src/codec/text.rs",
        "#[cfg(test)]\nmod tests { use crate::net::run; }",
        ":3: codec may not",
    );
    good("src/flags/mod.rs", "use crate::{admin, receive::scrape, export::{self, stdout}};");
    good("src/receive/scrape.rs", "use crate::{\n    codec::{gzip, text},\n    net::Notify,\n};");
    good("src/net/http1.rs", "use crate::net::x;\nuse crate::codec::gzip;\nuse super::dns;");
    bad("src/flags/mod.rs", "use crate::run::x;", "flags may not know run");
    good("src/run.rs", "use crate::{admin, export, flags, receive};");
    good("src/main.rs", "use otlet::flags;");
}

#[test]
fn help_is_sorted() {
    let list = |names: &str| format!("const HELP: &[(&str, &str)] = &[\n{names}];");
    let path = "src/observe/metrics.rs";
    good(path, &list("    (\"a\", \"x\"),\n    (\"b\", \"x\"),\n"));
    bad(path, &list("    (\"b\", \"x\"),\n    (\"a\", \"x\"),\n"), "b stands before a");
    bad(path, &list("    (\"a\", \"x\"),\n    (\"a\", \"x\"),\n"), "a stands before a");
    bad(path, &list(""), "no names found");
}

#[test]
fn literals_are_not_code() {
    for literal in [
        r#""unsafe""#,
        r#""\"unsafe""#,
        r##"r"unsafe""##,
        r###"r#"" unsafe"#"###,
        r#"b"unsafe""#,
        r##"br"unsafe""##,
        "/* /* */ unsafe */",
        "('\"', \"unsafe\", '\\'', \"unsafe\", b'\"')",
    ] {
        good("src/codec/text.rs", &format!("const A: X = {literal};"));
        bad_code(&format!("const A: X = {literal};\nunsafe"), ":3: unsafe");
    }
    bad_code("fn f<'a>(x: &'a str) { unsafe {} }", ":2: unsafe");
    bad_code("fn f(attr: u8) { attr\"unsafe\" ; unsafe {} }", ":2: unsafe");
}

#[test]
fn manifests() {
    let found = |text: &str| check_manifest(text);
    let plain = "[dependencies]\n# Logs.\nlog = { version = \"0.4\", default-features = false }\n";
    assert_eq!(found(plain), [""; 0]);
    for (text, expected) in [
        (plain.replace("log", "serde"), "dependency serde is not on the list"),
        (plain.replace("# Logs.\n", ""), "log has no case above it"),
        (plain.replace(", default-features = false", ""), "log has default features"),
        (plain.replace("[dep", "[dev-dep"), "dependency log is not on the list"),
        (plain.replace("[dep", "[build-dep"), "section [build-dependencies]"),
        (plain.replace("dencies]", "dencies.log]"), "section [dependencies.log]"),
    ] {
        let found = found(&text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
}

#[test]
fn foreign_files_are_left_alone() {
    assert!(is_foreign("tests/.venv") && is_foreign("fuzz/target") && is_foreign("Cargo.lock"));
    assert!(!is_foreign("src/target_state.rs") && !is_foreign(".ci"));
}
