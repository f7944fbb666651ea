//! The classic text format, one case per line: what Prometheus takes, what it refuses.

use super::*;
use crate::model::NORMAL_NAN_BITS;

/// One line per event: `name{labels} value @time part:type`, `-- name type unit help`.
pub(super) fn show(event: &Event<'_>) -> String {
    match event {
        Event::FamilyEnd(family) => {
            format!("-- {} {:?} {} {}", family.name, family.metric_type, family.unit, family.help)
        }
        Event::Sample(sample) => {
            let mut text = format!("{}{} {}", sample.name, set(sample.labels), sample.value);
            if let Some(time) = sample.timestamp_ms {
                text += &format!(" @{time}");
            }
            if let Some(exemplar) = sample.exemplar {
                text += &format!(" # {} {}", set(exemplar.labels), exemplar.value);
                if let Some(time) = exemplar.timestamp_ms {
                    text += &format!(" @{time}");
                }
            }
            text + &format!(" {:?}:{:?}", sample.part, sample.family.metric_type)
        }
    }
}

fn set(labels: &[Label<'_>]) -> String {
    let pairs = labels.iter().map(|label| format!("{}={:?}", label.name, label.value));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// The events of a page given in one window, and how it went.
pub(super) fn read(format: Format, page: &[u8]) -> (Vec<String>, Result<(), ParseError>) {
    let (mut parser, mut events) = (Parser::new(format), Vec::new());
    let mut visit = |event: Event<'_>| {
        events.push(show(&event));
        Ok(())
    };
    let result = parser.parse(page, true, &mut visit).and_then(|consumed| {
        assert_eq!(consumed, page.len());
        parser.finish(&mut visit)
    });
    (events, result)
}

fn ok(page: &str, expected: &[&str]) {
    let (events, result) = read(Format::Text, page.as_bytes());
    assert_eq!(result, Ok(()), "{page:?}");
    assert_eq!(events, expected, "{page:?}");
}

/// A page of samples without metadata; families are of no interest.
fn sample(line: &str, expected: &str) {
    let (events, result) = read(Format::Text, line.as_bytes());
    assert_eq!(result, Ok(()), "{line:?}");
    assert_eq!(events[0], format!("{expected} Value:Unknown"), "{line:?}");
    assert_eq!(events.len(), 2, "{line:?}");
}

fn bad(page: &str, reason: &str) {
    let (events, result) = read(Format::Text, page.as_bytes());
    assert_eq!(result.map_err(|error| error.reason), Err(reason), "{page:?}: {events:?}");
}

#[test]
fn samples() {
    sample("a 1", "a{} 1");
    sample("a 1 5", "a{} 1 @5");
    sample("a{} 1", "a{} 1");
    sample("a {b=\"c\"} 1", "a{b=\"c\"} 1");
    sample("a{ b = \"c\" , } 1", "a{b=\"c\"} 1");
    sample("a{b=\"c\"}1", "a{b=\"c\"} 1");
    sample("a{b=\"c\" d=\"e\"} 1", "a{b=\"c\",d=\"e\"} 1");
    sample("a{b=\"c\"d=\"e\"} 1", "a{b=\"c\",d=\"e\"} 1");
    sample("{\"a.b\"} 1", "a.b{} 1");
    sample("{\"a.b\",} 1", "a.b{} 1");
    sample("{\"a.b\",c=\"d\"} 1", "a.b{c=\"d\"} 1");
    sample("{c=\"d\",\"a.b\"} 1", "a.b{c=\"d\"} 1");
    sample("a{\"b.c\"=\"d\"} 1", "a{b.c=\"d\"} 1");
    sample("a-5", "a{} -5");
    sample("a+5", "a{} 5");
    sample("a.5", "a{} 0.5");
    sample(" \ta 1", "a{} 1");
    sample("a 1\r\n", "a{} 1");
    sample("a 1\r", "a{} 1");
    sample("a 1 5 \t\r\n", "a{} 1 @5");
    sample("\ta\t{\tb\t=\t\"c\"\t}\t1\t5\t", "a{b=\"c\"} 1 @5");
    sample("a{b=\"\"} 1", "a{b=\"\"} 1");
    sample("a:b{_c=\"d\"} 1", "a:b{_c=\"d\"} 1");
    sample("a{b=\"{}=,#\"} 1", "a{b=\"{}=,#\"} 1");
    sample("a 1 9223372036854775807", "a{} 1 @9223372036854775807");
    sample("a{b=\"é\u{0}\"} 1", "a{b=\"é\\0\"} 1");
    ok("", &[]);
    ok("\n  \t\n\r\n", &[]);
    ok("a 1\na 1\n", &["a{} 1 Value:Unknown", "a{} 1 Value:Unknown", "-- a Unknown  "]);
}

#[test]
fn escapes() {
    sample(r#"a{b="\\ \" \n \x"} 1"#, r#"a{b="\\ \" \n \\x"} 1"#);
    sample("a{b=\"x\ny\"} 1", "a{b=\"x\\ny\"} 1");
    sample(r#"{"a\"b","c\\d"="\n"} 1"#, r#"a"b{c\d="\n"} 1"#);
    ok(
        "# HELP a x\\\\y\\nz\\\"  w \r\n# HELP \"b\\\\c\" é\n",
        &["-- a Unknown  x\\y\nz\\\"  w ", "-- b\\c Unknown  é"],
    );
}

#[test]
fn values() {
    for (text, value) in
        [("+Inf", "inf"), ("-Inf", "-inf"), ("inf", "inf"), ("Infinity", "inf"), ("+5", "5")]
    {
        sample(&format!("a {text}"), &format!("a{{}} {value}"));
    }
    for (text, value) in
        [(".5", "0.5"), ("5.", "5"), ("1E5", "100000"), ("00012", "12"), ("1e-999", "0")]
    {
        sample(&format!("a {text}"), &format!("a{{}} {value}"));
    }
    for text in ["+nan", "1_000", "0x10", "0x1p-3", "1e999", "", "x"] {
        bad(&format!("a {text}"), "bad float");
    }
    for text in ["NaN", "nan"] {
        let mut bits = 0;
        let mut visit = |event: Event<'_>| -> Result<(), ParseError> {
            if let Event::Sample(sample) = event {
                bits = sample.value.to_bits();
            }
            Ok(())
        };
        let page = format!("a {text}\n");
        assert!(Parser::new(Format::Text).parse(page.as_bytes(), true, &mut visit).is_ok());
        assert_eq!(bits, NORMAL_NAN_BITS);
    }
}

#[test]
fn bad_samples() {
    bad("a{,} 1", "bad label name");
    bad("a{b=\"c\",,} 1", "bad label name");
    bad("a{b='c'} 1", "label value is not quoted");
    bad("a{1b=\"c\"} 1", "bad label name");
    bad("a{b:c=\"d\"} 1", "expected = after a label name");
    bad("a{=\"x\"} 1", "bad label name");
    bad("{a} 1", "expected = after a label name");
    bad("{c=\"d\"} 1", "no metric name");
    bad("{} 1", "no metric name");
    bad("{\"a\",\"b\"} 1", "expected = after a label name");
    bad("{\"a\" b=\"c\"} 1", "expected a comma or closing brace");
    bad("a{\"b\"} 1", "expected = after a label name");
    bad("\"a\" 1", "no metric name");
    bad("{\"\"} 1", "empty name");
    bad("a{\"\"=\"b\"} 1", "empty name");
    bad("a-b 1", "bad float");
    bad("a.b 1", "bad float");
    bad("a", "bad float");
    bad("a{b=\"c\"}", "bad float");
    bad("a{b=\"c\"", "bad label name");
    bad("a{b=\"c} 1", "quote not closed");
    bad("a{b=\"c\\", "quote not closed");
    bad("a\r 1", "bad float");
    bad("a 1\r5", "bad timestamp");
    bad("a 1 -5", "bad timestamp");
    bad("a 1 +5", "bad timestamp");
    bad("a 1 1.5", "expected the end of the line");
    bad("a 1 9223372036854775808", "bad timestamp");
    bad("a 1 # x", "bad timestamp");
    bad("a 1 2 3", "expected the end of the line");
    bad("a 1\u{1}", "bad timestamp");
    bad("\u{feff}a 1", "no metric name");
    bad("1a 1", "no metric name");
    bad("a{b=\"1\",b=\"2\"} 1", "label name is not unique");
    bad("a{\"b\"=\"1\",b=\"2\"} 1", "label name is not unique");
    bad(r#"a{"\x"="1","\\x"="2"} 1"#, "label name is not unique");
    bad("a{__name__=\"z\"} 1", "label name is not unique");
}

#[test]
fn comments() {
    for line in [
        "#",
        "#TYPE a counter",
        "# EOF",
        "# UNIT a s",
        "# HELP",
        "# TYPE",
        "# TYPE \t",
        "#HELP a",
        "# HELPX a",
        "# type a x",
        "# TYPE a\u{b}x"[..6].trim_end(),
        "# x \"",
        "## TYPE a b",
    ] {
        ok(line, &[]);
    }
    ok("#  TYPE   a counter", &["-- a Counter  "]);
    ok("#\tTYPE\ta counter\r\n", &["-- a Counter  "]);
    ok(" # TYPE \"a.b\" gauge", &["-- a.b Gauge  "]);
    ok("# TYPE a untyped", &["-- a Unknown  "]);
    ok("# HELP a", &["-- a Unknown  "]);
    ok("# HELP a   b", &["-- a Unknown    b"]);
    for text in [
        " a  counter",
        " a counter ",
        " a Counter",
        " a unknown",
        " a info",
        " a",
        " a counter x",
        " a counter\r\r",
    ] {
        bad(&format!("# TYPE{text}"), "invalid metric type");
    }
    bad("# HELP #x", "bad metric name");
    bad("# TYPE 1a counter", "bad metric name");
    bad("# HELP \"\" x", "empty name");
    bad("# HELP \"a", "quote not closed");
}

#[test]
fn families() {
    ok(
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 3\nh_x 4\n",
        &[
            "h_bucket{le=\"1.0\"} 1 Bucket:Histogram",
            "h_sum{} 2 Sum:Histogram",
            "h_count{} 3 Count:Histogram",
            "-- h Histogram  x",
            "h_x{} 4 Value:Unknown",
            "-- h_x Unknown  ",
        ],
    );
    // The last TYPE applies to what follows it; metadata may come late; families may interleave.
    ok(
        "a 1\n# TYPE a gauge\na 2\n# TYPE a counter\na 3\nb 4\na 5\n# HELP a z\n",
        &[
            "a{} 1 Value:Unknown",
            "a{} 2 Value:Gauge",
            "a{} 3 Value:Counter",
            "-- a Counter  ",
            "b{} 4 Value:Unknown",
            "-- b Unknown  ",
            "a{} 5 Value:Unknown",
            "-- a Unknown  z",
        ],
    );
    ok(
        "# TYPE s summary\ns{quantile=\"0.10\"} 1\ns 2\ns_sum 3\n# TYPE t gauge\n",
        &[
            "s{quantile=\"0.1\"} 1 Quantile:Summary",
            "s{} 2 Value:Summary",
            "s_sum{} 3 Sum:Summary",
            "-- s Summary  ",
            "-- t Gauge  ",
        ],
    );
}

#[test]
fn bounds_follow_the_last_type() {
    let bucket = |page: &str| {
        let (events, result) = read(Format::Text, page.as_bytes());
        assert_eq!(result, Ok(()), "{page}");
        let bucket = events.iter().find(|event| event.contains("{le=")).cloned();
        bucket.unwrap_or_default().split(['{', '}']).nth(1).map(str::to_owned)
    };
    for (page, expected) in [
        ("# TYPE a histogram\nb{le=\"1e3\"} 1\n", "le=\"1000.0\""),
        ("# TYPE a histogram\n# HELP b x\nb{le=\"0.5\"} 1\n", "le=\"0.5\""),
        ("# TYPE a histogram\nb{le=\"x\\\\\"} 1\n", "le=\"x\\\\\""),
        ("# TYPE a summary\nb{le=\"1\"} 1\n", "le=\"1\""),
        ("# TYPE a histogram\n# TYPE b gauge\nb{le=\"1\"} 1\n", "le=\"1\""),
        ("b{le=\"1\"} 1\n", "le=\"1\""),
        ("# TYPE a histogram\nb{le=\"1000000\",x=\"\\n\"} 1\n", "le=\"1e+06\",x=\"\\n\""),
    ] {
        assert_eq!(bucket(page).as_deref(), Some(expected), "{page}");
    }
}

#[test]
fn errors_say_where() {
    let error = read(Format::Text, b"a 1\n# x\nb{c=\"\n\"} 1\na 1x\"\n").1;
    let error = error.err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("line 5: bad float: \"a 1x\\\"\""));
    // What stands before the bad byte is no line.
    assert_eq!(read(Format::Text, b"a 1\nb 2\xff\n").0, ["a{} 1 Value:Unknown"]);
    let error = read(Format::Text, b"a 1\nb{c=\"\xff\"} 1\n").1.err().map(|e| e.to_string());
    assert_eq!(error.as_deref(), Some("line 2: invalid UTF-8: \"b{c=\\\"\u{fffd}\\\"} 1\""));
    let long = format!("{} x", "é".repeat(900));
    let error = read(Format::Text, long.as_bytes()).1.map_err(|error| error.excerpt);
    assert_eq!(error, Err("é".repeat(EXCERPT_CHARS_MAX) + "…"));
}
