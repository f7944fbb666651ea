//! The house rules, read off the sources: size, layering, dependencies, and what may not be said.
//!
//! Every rule is a function from a file to complaints, and each is shown to complain about a bad
//! snippet below. The rules are about this repository's files only; nothing is executed.

use std::fs;
use std::path::Path;

#[path = "tidy/bad.rs"]
mod bad;
#[path = "tidy/source.rs"]
mod source;
use source::{line_of, words, Source};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 60;
const LINE_CHARACTERS_MAX: usize = 100;

/// From the roof to the cellar: a room knows the rooms after it, never those before it.
const ROOMS: &[&str] = &[
    "main",
    "run",
    "flags",
    "admin",
    "receive",
    "export",
    "pipeline",
    "translate",
    "aws",
    "net",
    "codec",
    "model",
    "observe",
];
/// Neighbours on one floor that never know each other.
const STRANGERS: &[&str] = &["admin", "receive", "export"];

/// Where `unsafe` may stand: system calls, and the allocators that count for a test or a benchmark.
const UNSAFE_FILES: &[&str] = &["src/net/sys", "tests/allocations.rs", "benches/"];
/// The event loop's crates, which only src/net names.
const LOOP_CRATES: &[&str] = &["smol", "async_io", "async_executor", "async_signal"];

const DEPENDENCIES: &[&str] = &[
    "smol",
    "async-io",
    "async-executor",
    "async-signal",
    "futures-lite",
    "httparse",
    "h2",
    "http",
    "bytes",
    "tokio",
    "rustls",
    "futures-rustls",
    "webpki-roots",
    "domain",
    "quick-protobuf",
    "snap",
    "miniz_oxide",
    "crc32fast",
    "nanoserde",
    "foldhash",
    "memchr",
    "regex-lite",
    "lexopt",
    "rustix",
    "libc",
    "log",
    "ring",
    "fastrand",
];
const DEV_DEPENDENCIES: &[&str] = &[];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "types", "manager", "misc"];

/// Split so that this file does not complain about itself: places that exist on one machine only,
/// and package registries, which their clients know by themselves.
const PRIVATE_TEXTS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp/", "wt"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb.debian", ".org"),
    concat!("static.rust-lang", ".org"),
];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut complaints = Vec::new();
    let mut rust_files = 0;
    for (path, text) in files(root) {
        complaints.extend(check_any(&path, &text));
        if path.ends_with(".rs") {
            rust_files += 1;
            complaints.extend(check_rust(&Source::new(&path, &text)));
        }
        if path == "Cargo.toml" {
            complaints.extend(check_manifest(&text));
        }
    }
    assert!(rust_files > 10, "only {rust_files} files found under {}", root.display());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// All text files that belong to the repository, as (path, text).
fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if is_foreign(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((name, text));
            }
        }
    }
    found
}

/// What tools write and other people wrote.
fn is_foreign(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    [".git", "target", "dist", ".venv", ".peers", "corpus", "seeds", "artifacts", "__pycache__"]
        .contains(&last)
        || ["Cargo.lock", "LICENSE"].contains(&last)
}

/// Rules for every text file.
fn check_any(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut complain = |what: &str| complaints.push(format!("{path}:{}: {what}", at + 1));
        if line.ends_with([' ', '\t', '\r']) {
            complain("trailing space");
        }
        for private in PRIVATE_TEXTS {
            if line.contains(private) {
                complain(&format!("names {private}"));
            }
        }
    }
    complaints
}

/// Rules for Rust files.
fn check_rust(file: &Source) -> Vec<String> {
    let rules =
        [size, opening, words_not_to_say, no_panics, no_unsafe, loop_stays_in_net, layers, help];
    rules.iter().flat_map(|rule| rule(file)).collect()
}

fn size(file: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        complaints.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.path));
    }
    for (at, line) in file.text.lines().enumerate() {
        let characters = line.chars().count();
        if characters > LINE_CHARACTERS_MAX {
            complaints.push(format!("{}:{}: line of {characters} characters", file.path, at + 1));
        }
    }
    for (name, first, lines) in file.functions() {
        if lines > FUNCTION_LINES_MAX {
            complaints.push(format!("{}:{first}: fn {name} has {lines} lines", file.path));
        }
    }
    complaints
}

fn opening(file: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    if !file.text.starts_with("//! ") {
        complaints.push(format!("{}: does not open with //!", file.path));
    }
    let names = file.path.split(['/', '.']);
    for name in names.filter(|name| EMPTY_NAMES.contains(name)) {
        complaints.push(format!("{}: `{name}` says nothing about what is inside", file.path));
    }
    complaints
}

fn words_not_to_say(file: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for word in ["todo", "dbg", "unimplemented"] {
        for at in words(&file.code, word).filter(|at| file.code[at + word.len()..].starts_with('!'))
        {
            complaints.push(format!("{}:{}: {word}!", file.path, line_of(&file.code, at)));
        }
    }
    for (at, line) in file.text.lines().enumerate() {
        let comment = line.split_once("//").map_or("", |(_, comment)| comment);
        let is_open = words(comment, "TODO").chain(words(comment, "FIXME")).next().is_some();
        if is_open && !comment.contains('#') {
            complaints.push(format!("{}:{}: open end without an issue number", file.path, at + 1));
        }
    }
    complaints
}

/// `unwrap` and `expect` need a proof, `// cannot fail: …`, on the same line or the one above.
fn no_panics(file: &Source) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let calls = [".unwrap(", ".expect(", ".unwrap_err(", ".expect_err("];
    let is_call = |line: &str| calls.iter().any(|call| line.contains(call));
    let is_proved =
        |at: usize| lines[at.saturating_sub(2)..at].iter().any(|l| l.contains("// cannot fail:"));
    let found = file.product_lines().filter(|(at, line)| is_call(line) && !is_proved(*at));
    found.map(|(at, _)| format!("{}:{at}: unwrap or expect without proof", file.path)).collect()
}

fn no_unsafe(file: &Source) -> Vec<String> {
    if UNSAFE_FILES.iter().any(|allowed| file.path.starts_with(allowed)) {
        return Vec::new();
    }
    let lifted = words(&file.code, "unsafe_code").filter(|at| {
        let attribute = file.code[..*at].trim_end();
        !["deny(", "forbid("].iter().any(|strict| attribute.ends_with(strict))
    });
    let found = words(&file.code, "unsafe").chain(lifted);
    found.map(|at| format!("{}:{}: unsafe", file.path, line_of(&file.code, at))).collect()
}

fn loop_stays_in_net(file: &Source) -> Vec<String> {
    if !file.path.starts_with("src/") || file.room() == Some("net") {
        return Vec::new();
    }
    let found =
        LOOP_CRATES.iter().flat_map(|name| words(&file.code, name).map(move |at| (name, at)));
    let complain = |(name, at)| format!("{}:{}: names {name}", file.path, line_of(&file.code, at));
    found.map(complain).collect()
}

fn layers(file: &Source) -> Vec<String> {
    let Some(room) = file.room().filter(|room| *room != "lib" && *room != "main") else {
        return Vec::new();
    };
    let Some(floor) = ROOMS.iter().position(|known| *known == room) else {
        return vec![format!("{}: room `{room}` has no floor in ROOMS", file.path)];
    };
    let is_stranger = |other: &str| STRANGERS.contains(&room) && STRANGERS.contains(&other);
    let may_know = |other: &str| {
        let below = ROOMS.iter().position(|known| *known == other).is_some_and(|at| at > floor);
        other == room || (below && !is_stranger(other))
    };
    let mentions = words(&file.code, "crate").flat_map(|at| mentioned(&file.code, at));
    let bad = mentions.filter(|(_, other)| !may_know(other));
    bad.map(|(line, other)| format!("{}:{line}: {room} may not know {other}", file.path)).collect()
}

/// The rooms in `crate::room` and `crate::{room::X, other}`, with their line.
fn mentioned(code: &str, at: usize) -> Vec<(usize, &str)> {
    let Some(path) = code[at..].strip_prefix("crate::") else { return Vec::new() };
    let names: Vec<&str> = match path.strip_prefix('{') {
        None => vec![path],
        Some(group) => top_level(group),
    };
    let word = |text: &str| text.find(|c: char| !source::is_word(&c)).unwrap_or(text.len());
    let names = names.into_iter().map(str::trim_start).map(|name| &name[..word(name)]);
    // Only modules have lower-case names; `crate::{self}` and macros of the root say no room.
    names
        .filter(|name| name.starts_with(|c: char| c.is_lowercase()) && *name != "self")
        .map(|name| (line_of(code, at), name))
        .collect()
}

/// The entries of a `{a::{b, c}, d}` group, given what follows its first brace.
fn top_level(group: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                entries.push(&group[start..at]);
                break;
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                entries.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    entries
}

/// The list of metrics is sorted, so that a reader finds one and a merge shows two.
fn help(file: &Source) -> Vec<String> {
    if file.path != "src/observe/metrics.rs" {
        return Vec::new();
    }
    let list = file.text.split_once("const HELP").map_or("", |(_, rest)| rest);
    let list = list.split("\n];").next().unwrap_or("");
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next())
        .collect();
    let mut complaints = Vec::new();
    if names.is_empty() {
        complaints.push(format!("{}: no names found in HELP", file.path));
    }
    for pair in names.windows(2).filter(|pair| pair[0] >= pair[1]) {
        complaints.push(format!("{}: {} stands before {}", file.path, pair[0], pair[1]));
    }
    complaints
}

/// Dependencies are on the list, explained by the line above, and without default features.
fn check_manifest(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let (mut section, mut above) = ("", "");
    for line in text.lines() {
        let name = line.split([' ', '=', '.']).next().unwrap_or("");
        let allowed = match section {
            "[dependencies]" => Some(DEPENDENCIES),
            "[dev-dependencies]" => Some(DEV_DEPENDENCIES),
            _ => None,
        };
        if line.starts_with('[') {
            section = line;
            if line.contains("dependencies") && allowed_section(line).is_none() {
                complaints.push(format!("Cargo.toml: section {line}"));
            }
        } else if let Some(list) = allowed.filter(|_| name.starts_with(|c: char| c.is_alphabetic()))
        {
            if !list.contains(&name) {
                complaints.push(format!("Cargo.toml: dependency {name} is not on the list"));
            }
            if !line.contains("default-features = false") {
                complaints.push(format!("Cargo.toml: {name} has default features"));
            }
            if !above.starts_with("# ") {
                complaints.push(format!("Cargo.toml: {name} has no case above it"));
            }
        }
        above = line;
    }
    complaints
}

fn allowed_section(line: &str) -> Option<&str> {
    ["[dependencies]", "[dev-dependencies]"].into_iter().find(|known| *known == line)
}
