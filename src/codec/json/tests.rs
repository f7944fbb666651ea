//! The JSON reader against tables of good and bad documents, every prefix and seeded noise.

use super::*;

/// Reads a whole document by skipping it.
fn check(text: &str) -> Result<(), Error> {
    let mut json = Reader::new(text);
    json.skip()?;
    json.end()
}

fn ok(text: &str) {
    assert_eq!(check(text), Ok(()), "{text}");
    for end in 0..text.trim_end().len() {
        // A number cut short is a number.
        if text.is_char_boundary(end) && !text.starts_with(['-', '1', '0']) {
            assert!(check(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }
}

fn bad(text: &str, reason: &str, offset: usize) {
    let error = check(text).expect_err(text);
    assert_eq!((error.reason, error.offset), (reason, offset), "{text}");
}

#[test]
fn good_documents() {
    ok("null");
    ok(" true ");
    ok("false\n");
    ok("0");
    ok("-0.5e+10");
    ok("1E5");
    ok("18446744073709551615");
    ok(r#""""#);
    ok(r#""\"\\\/\b\f\n\r\t\u00e9""#);
    ok(r#""é 漢 🦀""#);
    ok("{}");
    ok("[ ]");
    ok(r#"{"a":{"b":[1,[],{}, null]} , "c":"d"}"#);
    ok(r#"[[[{"a":[]}]]]"#);
    ok(r#"{"":1,"":2}"#);
}

#[test]
fn bad_documents() {
    bad("", "unexpected end", 0);
    bad("{", "unexpected end", 1);
    bad("[1,]", "expected a value", 3);
    bad("[,1]", "expected a value", 1);
    bad("[1 2]", "expected ',' or the end of a container", 3);
    bad("[1}", "expected ',' or the end of a container", 2);
    bad("{1:2}", "expected a key", 1);
    bad(r#"{"a" 1}"#, "expected ':'", 5);
    bad(r#"{"a":}"#, "expected a value", 5);
    bad(r#"{"a":1,}"#, "expected a key", 7);
    bad("nul", "expected a value", 0);
    bad("trye", "expected a value", 0);
    bad("nullx", "text after the document", 4);
    bad("01", "malformed number", 0);
    bad("-", "malformed number", 0);
    bad("1.", "malformed number", 0);
    bad("1.e5", "malformed number", 0);
    bad("1e", "malformed number", 0);
    bad("1e+", "malformed number", 0);
    bad("+1", "expected a value", 0);
    bad("NaN", "expected a value", 0);
    bad(".5", "expected a value", 0);
    bad("{} {}", "text after the document", 3);
    bad(r#""\x""#, "malformed escape", 1);
    bad(r#""\u12g4""#, "malformed escape", 1);
    bad("\"a\nb\"", "control character in a string", 2);
    bad("\"abc", "unexpected end", 4);
}

#[test]
fn invalid_utf8_is_refused_before_reading() {
    let error = Reader::from_bytes(b"\"\xff\"").expect_err("not UTF-8");
    assert_eq!(error, Error { reason: "invalid UTF-8", offset: 1 });
    assert_eq!(error.to_string(), "invalid UTF-8 at byte 1");
    assert!(Reader::from_bytes("\"é\"".as_bytes()).is_ok());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(check(&nested(DEPTH_MAX as usize)), Ok(()));
    bad(&nested(DEPTH_MAX as usize + 1), "nested too deeply", DEPTH_MAX as usize);
    bad(&"{\"a\":".repeat(100_000), "nested too deeply", DEPTH_MAX as usize * 5);
}

fn decoded(text: &str) -> String {
    let mut json = Reader::new(text);
    json.string().expect(text).expect(text).decode().into_owned()
}

#[test]
fn escapes_decode() {
    assert_eq!(decoded(r#""plain""#), "plain");
    assert_eq!(decoded(r#""\"\\\/\b\f\n\r\t""#), "\"\\/\u{8}\u{c}\n\r\t");
    assert_eq!(decoded(r#""a\u003cb\u00E9""#), "a<bé");
    assert_eq!(decoded(r#""\ud83e\udd80!""#), "🦀!");
    assert_eq!(decoded(r#""\ud83e!""#), "\u{fffd}!");
    assert_eq!(decoded(r#""\udd80\ud83e""#), "\u{fffd}\u{fffd}");
    assert_eq!(decoded(r#""\ud83e\u0041""#), "\u{fffd}A");
    let mut json = Reader::new(r#""a\nb""#);
    let text = json.string().expect("valid").expect("a string");
    assert_eq!(text.as_written(), r"a\nb");
}

#[test]
fn values_of_another_type_read_as_absent() {
    let mut json = Reader::new(r#"[{"a":[1]},"x",7,[2],true,null,9]"#);
    assert_eq!(json.array(), Ok(true));
    let mut next = || {
        assert_eq!(json.element(), Ok(true));
        json.clone()
    };
    assert_eq!(next().number(), Ok(None));
    assert_eq!(next().object(), Ok(false));
    assert_eq!(next().string(), Ok(None));
    assert_eq!(next().boolean(), Ok(None));
    assert_eq!(next().boolean(), Ok(Some(true)));
    assert_eq!(next().array(), Ok(false));
    assert_eq!(next().number(), Ok(Some("9")));
    assert_eq!(json.element(), Ok(false));
    assert_eq!(json.end(), Ok(()));
}

#[test]
fn values_nobody_asks_for_are_skipped() {
    let mut json = Reader::new(r#"{"a":{"x":[1,{"y":2}]},"b":3,"c":[4,5]}"#);
    assert_eq!(json.kind(), Ok(Kind::Object));
    assert_eq!(json.object(), Ok(true));
    let mut seen = String::new();
    while let Some(key) = json.key().expect("valid") {
        seen.push_str(key.as_written());
        if key.as_written() == "b" {
            assert_eq!(json.number(), Ok(Some("3")));
            assert!(json.number().is_err(), "a value is there once");
        }
    }
    assert_eq!(seen, "abc");
    assert_eq!(json.end(), Ok(()));
}

#[test]
fn raw_values_are_as_written() {
    let mut json = Reader::new(r#"[ {"a" : [1, 2]} ,3]"#);
    assert_eq!(json.array(), Ok(true));
    assert!(json.key().is_err(), "an array has no keys");
    assert_eq!(json.element(), Ok(true));
    assert_eq!(json.raw(), Ok(r#"{"a" : [1, 2]}"#));
    assert!(json.end().is_err(), "the array is still open");
}

#[test]
fn values_deeper_than_the_bound_are_passed_over() {
    let deep = format!("{}\"]}}\u{e9}\"{}", "[{\"a\":".repeat(1000), "}]".repeat(1000));
    let text = format!("{{\"a\":{deep} ,\"b\":1}}");
    let mut reader = Reader::new(&text);
    assert!(reader.object().unwrap());
    reader.key().unwrap();
    let before = reader.offset();
    reader.clone().skip_unbounded().unwrap();
    let mut again = reader.clone();
    reader.skip_unbounded().unwrap();
    assert_eq!(&text[before..reader.offset()], deep);
    assert_eq!(reader.key().unwrap().unwrap().as_written(), "b");
    again.skip_to(before + deep.len());
    assert_eq!(again.key().unwrap().unwrap().as_written(), "b");
    // Every prefix ends early; what is between brackets is not looked at.
    for end in (0..deep.len()).filter(|end| deep.is_char_boundary(*end)) {
        assert!(Reader::new(&deep[..end]).skip_unbounded().is_err(), "{end}");
    }
    assert!(Reader::new("[x\u{e9}:,]").skip_unbounded().is_ok());
    assert!(Reader::new("x").skip_unbounded().is_err());
}

#[test]
fn noise_never_panics() {
    let pieces = ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "null", " ", "\\", "\"", "é", "-"];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        let _ = check(&text);
        let _ = Reader::new(&text).string().map(|found| found.map(Text::decode));
    }
}
