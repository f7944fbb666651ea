//! Stack traces as each language prints them, and the exceptions they tell.

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
    ok(
        "at java.base/java.lang.Thread.run(Thread.java:8)",
        "java.lang.Thread.run",
        "Thread.java",
        Some(8),
    );
    ok("at a.B.c(Native Method)", "a.B.c", "Native Method", None);
    ok("at handler (/app/index.js:12:5)", "handler", "/app/index.js", Some(12));
    ok("at handler (file:///app/index.js:12:5)", "handler", "file:///app/index.js", Some(12));
    ok("at f (/a (copy)/i.js:12:5)", "f", "/a (copy)/i.js", Some(12));
    ok("at x.org/m.(*T).f(/m.go: 3)", "x.org/m.(*T).f", "/m.go", Some(3));
    ok("at /app/index.js:12:5", "", "/app/index.js", Some(12));
    ok("at A.Main(String[] a) in /src/P.cs:line 12", "A.Main(String[] a)", "/src/P.cs", Some(12));
    ok("at A.Main()", "A.Main()", "", None);
    ok("File \"app.py\", line 12, in handler", "handler", "app.py", Some(12));
    for none in ["", "ValueError: bad", "Caused by: x", "raise ValueError()", "... 3 more"] {
        assert!(frame(none).is_none(), "{none}");
    }
}

/// Exceptions as `kind|message|label:line,…`.
fn shown(trace: &str) -> Vec<String> {
    let frame = |frame: &Frame<'_>| format!("{}:{}", frame.label, frame.line.unwrap_or(0));
    let one = |thrown: &Thrown<'_>| {
        let frames: Vec<_> = thrown.frames.iter().map(frame).collect();
        format!("{}|{}|{}", thrown.kind, thrown.message, frames.join(","))
    };
    read(trace).iter().map(one).collect()
}

#[test]
fn causes_of_java() {
    let trace = "a.E: out\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\n\tSuppressed: a.S: s\n\
        \t\tat a.S.s(S.java:9)\n\t... 1 more\nCaused by: a.F: in\nner: x\n\tat a.F.f(F.java:3)\n\
        \t... 2 more\nCaused by: a.G\n\tat a.G.g(G.java:4)\n";
    assert_eq!(shown(trace), ["||a.B.c:1,a.B.d:2", "a.F|in\nner: x|a.F.f:3", "a.G||a.G.g:4"]);
    assert_eq!(shown(&trace.replace('\n', "\r\n")).len(), 3);
}

#[test]
fn causes_of_python() {
    let traceback = |line: u32, said: &str| {
        format!(
            "Traceback (most recent call last):\n  \
             File \"o.py\", line {line}, in outer\n    f()\n  \
             File \"i.py\", line {}, in inner\n    raise E\n{said}\n",
            line + 1
        )
    };
    let one = traceback(1, "E: m");
    assert_eq!(shown(&one), ["E|m|inner:2,outer:1"]);
    for link in PYTHON_LINKS {
        let trace = format!("{}more\n\n{link}\n\n{}", traceback(1, "K: k"), traceback(5, "V: v"));
        assert_eq!(shown(&trace), ["V|v|inner:6,outer:5", "K|k\nmore|inner:2,outer:1"]);
    }
}

#[test]
fn goroutines() {
    let trace = "goroutine 7 [running]:\nmain.f(0x1, {0x2})\n\t/app/main.go:12 +0x1d\n\
        created by main.main in goroutine 1\n\t/app/main.go:3 +0x25\n";
    assert_eq!(shown(trace), ["||main.f(0x1, {0x2}):12,created by main.main in goroutine 1:3"]);
    assert_eq!(shown(&format!("it broke\n{trace}")), shown(trace));
    assert_eq!(read(trace)[0].frames[0].path, "/app/main.go");
}

#[test]
fn frames_and_causes_are_bounded() {
    let frames = "\tat f(F.java:1)\n".repeat(FRAMES_MAX + 3);
    let read_frames = read(&frames);
    assert_eq!((read_frames[0].frames.len(), read_frames[0].truncated), (FRAMES_MAX, 3));
    let causes = "Caused by: E: m\n".repeat(THROWN_MAX + 3);
    assert_eq!(read(&causes).len(), THROWN_MAX);
    let python = "  File \"a\", line 1, in f\n".repeat(FRAMES_MAX + 2);
    let read_python = read(&python);
    assert_eq!((read_python[0].frames.len(), read_python[0].truncated), (FRAMES_MAX, 2));
    let mut chain = "  File \"a\", line 1, in f\nE: m\n".to_owned();
    for _ in 0..THROWN_MAX {
        chain += &format!("\n{}\n\n  File \"a\", line 1, in f\nE: m\n", PYTHON_LINKS[0]);
    }
    assert_eq!(read(&chain).len(), THROWN_MAX);
}
