//! Stack traces as frames: Java, JavaScript, .NET, Python, and what the other direction writes.
//! Lines that are no frame are passed over.

use super::json_out::Json;

/// Frames of one exception; what is more is counted as `truncated` is, but left out.
const FRAMES_MAX: usize = 256;

struct Frame<'a> {
    label: &'a str,
    path: &'a str,
    line: Option<u32>,
}

/// Writes the member `stack`, if there are frames.
pub(super) fn write(trace: &str, json: &mut Json) {
    let mut lines = trace.lines().map(str::trim);
    let mut is_open = false;
    for _ in 0..FRAMES_MAX {
        let Some(frame) = lines.find_map(frame) else { break };
        if !is_open {
            json.key("stack");
            json.open('[');
            is_open = true;
        }
        json.open('{');
        json.text("path", frame.path);
        json.text("label", frame.label);
        if let Some(line) = frame.line {
            json.integer("line", i64::from(line));
        }
        json.close('}');
    }
    if is_open {
        json.close(']');
    }
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
    if let Some((label, place)) = rest.split_once(" in ") {
        // at App.Program.Main(String[] args) in /src/Program.cs:line 12
        let (path, number) = place.rsplit_once(":line ").unwrap_or((place, ""));
        return Some(Frame { label, path, line: number.parse().ok() });
    }
    match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        // at com.example.App.main(App.java:12), at handler (/app/index.js:12:5)
        Some((label, place)) => Some(in_place(label.trim(), place)),
        // at /app/index.js:12:5
        None => Some(in_place("", rest)),
    }
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
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_languages() {
        let ok = |line: &str, label: &str, path: &str, number| {
            let frame = frame(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((frame.label, frame.path, frame.line), (label, path, number), "{line}");
        };
        ok("at handler(app.py: 12)", "handler", "app.py", Some(12));
        ok("at x(: <unknown>)", "x", "", None);
        ok("at com.example.App.main(App.java:12)", "com.example.App.main", "App.java", Some(12));
        ok("at a.B.c(Native Method)", "a.B.c", "Native Method", None);
        ok("at handler (/app/index.js:12:5)", "handler", "/app/index.js", Some(12));
        ok("at /app/index.js:12:5", "", "/app/index.js", Some(12));
        ok(
            "at A.Main(String[] a) in /src/P.cs:line 12",
            "A.Main(String[] a)",
            "/src/P.cs",
            Some(12),
        );
        ok("File \"app.py\", line 12, in handler", "handler", "app.py", Some(12));
        for none in ["", "ValueError: bad", "Caused by: x", "raise ValueError()", "... 3 more"] {
            assert!(frame(none).is_none(), "{none}");
        }
    }
}
