//! Stack traces as exceptions with frames: Java, PHP, JavaScript, .NET, Python, Go, and what the
//! other direction writes. The text tells which it is.
//!
//! The innermost frame comes first, as X-Ray shows them. What an exception was caused by becomes an
//! exception of its own (Java's `Caused by:`, Python's chained tracebacks). Suppressed exceptions
//! and lines that are no frame are passed over.

/// Frames of one trace, all exceptions together; the rest is left out and counted.
pub(super) const FRAMES_MAX: usize = 256;

/// Exceptions of one trace; the rest is left out.
pub(super) const THROWN_MAX: usize = 32;

/// What Python writes between an exception and the one that followed from it.
const PYTHON_LINKS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// By which Java's frames are known, whose labels begin with a module.
const JAVA_PLACES: [&str; 6] =
    [".java:", ".kt:", ".scala:", ".groovy:", "Native Method", "Unknown Source"];

/// One exception; the outermost one's kind and message are told elsewhere.
#[derive(Debug, Default)]
pub(super) struct Thrown<'a> {
    pub kind: &'a str,
    pub message: String,
    pub frames: Vec<Frame<'a>>,
    /// Frames that were left out.
    pub truncated: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub label: &'a str,
    pub path: &'a str,
    pub line: Option<u32>,
}

impl<'a> Thrown<'a> {
    fn push(&mut self, frame: Frame<'a>, left: &mut usize) {
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                self.frames.push(frame);
            }
            None => self.truncated += 1,
        }
    }
}

/// The exceptions of a trace: the outermost, then what each was caused by.
pub(super) fn read(trace: &str) -> Vec<Thrown<'_>> {
    let mut lines = trace.lines();
    if lines.clone().any(|line| line.trim_start().starts_with("File \"")) {
        return read_python(lines);
    }
    let is_go = |line: &str| line.starts_with("goroutine ") && line.ends_with(':');
    match lines.clone().take(2).any(is_go) {
        true => {
            lines.find(|line| is_go(line));
            vec![read_go(lines)]
        }
        false => read_java(lines),
    }
}

/// Java, and what looks like it.
fn read_java<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Thrown<'a>> {
    let (mut all, mut left) = (vec![Thrown::default()], FRAMES_MAX);
    for line in lines {
        let at = all.len() - 1;
        let last = &mut all[at];
        // Two tabs: of a suppressed exception.
        let own = if line.starts_with("\t\t") { None } else { frame(line.trim()) };
        if let Some(frame) = own {
            last.push(frame, &mut left);
        } else if let Some(cause) = line.strip_prefix("Caused by: ") {
            if all.len() == THROWN_MAX {
                break;
            }
            all.push(thrown(cause));
        } else if at > 0 && last.frames.is_empty() && !line.starts_with(['\t', ' ']) {
            // A message may have several lines.
            last.message.push('\n');
            last.message.push_str(line);
        }
    }
    all
}

// Traceback (most recent call last):
//   File "app.py", line 12, in handler
//     raise ValueError("bad")
// ValueError: bad
fn read_python<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Thrown<'a>> {
    // Python tells the first cause first, and of each the outermost frame first.
    let mut all = vec![Thrown::default()];
    let mut is_linked = false;
    for line in lines {
        let at = all.len() - 1;
        let last = &mut all[at];
        if PYTHON_LINKS.contains(&line.trim()) {
            is_linked = true;
        } else if let Some(frame) = frame(line.trim()) {
            if is_linked {
                all.push(Thrown::default());
                is_linked = false;
            }
            if let Some(last) = all.last_mut() {
                last.frames.push(frame);
            }
        } else if !last.frames.is_empty() && !is_linked && !line.starts_with(' ') {
            match last.kind {
                "" => *last = Thrown { frames: std::mem::take(&mut last.frames), ..thrown(line) },
                _ if line.is_empty() => {}
                _ => {
                    last.message.push('\n');
                    last.message.push_str(line);
                }
            }
        }
    }
    all.reverse();
    all.truncate(THROWN_MAX);
    let mut left = FRAMES_MAX;
    for thrown in &mut all {
        for frame in std::mem::take(&mut thrown.frames).into_iter().rev() {
            thrown.push(frame, &mut left);
        }
    }
    all
}

// main.handler(0x1, {0x2, 0x3})
//     /app/main.go:12 +0x1d
fn read_go<'a>(mut lines: impl Iterator<Item = &'a str>) -> Thrown<'a> {
    let (mut thrown, mut left) = (Thrown::default(), FRAMES_MAX);
    while let (Some(label), Some(place)) = (lines.next(), lines.next()) {
        let place = place.split_whitespace().next().unwrap_or_default();
        thrown.push(in_place(label.trim(), place), &mut left);
    }
    thrown
}

// ValueError: bad
// ^ kind      ^ message
fn thrown(line: &str) -> Thrown<'_> {
    let (kind, message) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
    Thrown { kind, message: message.to_owned(), ..Thrown::default() }
}

fn frame(line: &str) -> Option<Frame<'_>> {
    if let Some(rest) = line.strip_prefix("File \"") {
        // File "app.py", line 12, in handler
        let (path, rest) = rest.split_once("\", line ")?;
        let (number, rest) = rest.split_once(',').unwrap_or((rest, ""));
        let label = rest.trim().strip_prefix("in ").unwrap_or_default();
        return Some(Frame { label, path, line: number.trim().parse().ok() });
    }
    let rest = line.strip_prefix("at ")?;
    if let Some((label, place)) = rest.split_once(") in ") {
        // at App.Program.Main(String[] args) in /src/Program.cs:line 12
        let (path, number) = place.rsplit_once(":line ").unwrap_or((place, ""));
        let label = &rest[..label.len() + 1];
        return Some(Frame { label, path, line: number.parse().ok() });
    }
    let Some((label, place)) = split_parentheses(rest) else {
        // at /app/index.js:12:5
        return Some(in_place("", rest));
    };
    // at java.base/java.lang.Thread.run(Thread.java:12)
    //    ^ module, left out         ^ path
    let label = label.trim();
    let is_java = JAVA_PLACES.iter().any(|part| place.contains(part));
    let bare = label.split_once('/').filter(|_| is_java).map_or(label, |(_, bare)| bare);
    match place.is_empty() {
        // at A.Main() of .NET without symbols
        true => Some(Frame { label: rest, path: "", line: None }),
        // at com.example.App.main(App.java:12), at handler (/app/index.js:12:5)
        false => Some(in_place(bare, place)),
    }
}

// main.(*T).f(/app/main.go: 12)
//            ^ what the last parenthesis closes
fn split_parentheses(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_suffix(')')?;
    let mut depth = 1;
    let open = inside.bytes().rposition(|byte| {
        depth += i32::from(byte == b')') - i32::from(byte == b'(');
        depth == 0
    })?;
    Some((&inside[..open], &inside[open + 1..]))
}

/// A path with a line, and with a column after that in JavaScript.
fn in_place<'a>(label: &'a str, place: &'a str) -> Frame<'a> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let Some((before, last)) = place.rsplit_once(':') else {
        return Frame { label, path: place, line: None };
    };
    match (before.rsplit_once(':'), number(last)) {
        (Some((path, line)), Some(_)) if number(line).is_some() => {
            Frame { label, path, line: number(line) }
        }
        (_, line) if line.is_some() || last.trim() == "<unknown>" => {
            Frame { label, path: before, line }
        }
        _ => Frame { label, path: place, line: None },
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
