//! Documents that are refused, cut short, or noise.

use super::tests::{root, CHECKOUT};
use super::Segments;
use crate::codec::otlp::{validate, Signal};

#[test]
fn documents_that_are_refused() {
    let bad = |document: &str, expected: &str| {
        let error = Segments::default().read(document.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{document}");
    };
    bad("", "unexpected end at byte 0");
    bad("[]", "the document is no object");
    bad("7", "the document is no object");
    bad("{}", "name is missing or invalid");
    bad(&root(r#","id":"xyz""#), "id is missing or invalid");
    bad(&root(r#","start_time":"1""#), "start_time is missing or invalid");
    bad(
        &root(r#","trace_id":"1-5759e988-bd862e3fe1be46a994272793x""#),
        "trace_id is missing or invalid",
    );
    bad(r#"{"name":"n","id":"00000000000000aa","start_time":1}"#, "trace_id is missing or invalid");
    bad(&root(r#","parent_id":"xyz""#), "parent_id is missing or invalid");
    bad(&root(r#","parent_id":7"#), "parent_id is missing or invalid");
    bad(&root(r#","trace_id":7"#), "trace_id is missing or invalid");
    for time in ["-1", "1e300", "\"2\"", "true"] {
        bad(&root(&format!(r#","end_time":{time}"#)), "end_time is missing or invalid");
        bad(&root(&format!(r#","start_time":{time}"#)), "start_time is missing or invalid");
    }
    bad(&root(r#","namespace":"mine""#), "namespace is missing or invalid");
    bad(&root(r#","cause":[]"#), "cause is missing or invalid");
    let longer = format!("{} x", root(""));
    bad(&longer, &format!("text after the document at byte {}", longer.len() - 1));
    assert!(Segments::default().read(b"{\"name\":\"\xff\"}").is_err());
}

#[test]
fn truncated_documents_are_refused() {
    let mut segments = Segments::default();
    for end in 0..CHECKOUT.len() {
        assert!(segments.read(&CHECKOUT.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn noise_never_panics_and_what_is_accepted_is_valid() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let pieces = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "7",
        "-1.5e3",
        "\"subsegments\":[",
        "\\",
        "\"cause\":",
        "\"http\":{",
        "\"aws\":{",
        "\"annotations\":{",
        "é",
        "\"name\":\"x\",",
    ];
    let mut segments = Segments::default();
    let mut accepted = 0;
    for _ in 0..5_000 {
        let mut document = CHECKOUT.to_owned();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..document.len());
            let to = (at + random.usize(..6)).min(document.len());
            if document.is_char_boundary(at) && document.is_char_boundary(to) {
                document.replace_range(at..to, pieces[random.usize(..pieces.len())]);
            }
        }
        if let Ok(summary) = segments.read(document.as_bytes()) {
            accepted += 1;
            let mut body = Vec::new();
            segments.write_spans(document.as_bytes(), &mut body);
            let counts = validate(Signal::Traces, &mut body).unwrap();
            assert_eq!((counts.items, counts.repaired_strings), (summary.spans, 0), "{document}");
        }
    }
    assert!(accepted > 0);
}
