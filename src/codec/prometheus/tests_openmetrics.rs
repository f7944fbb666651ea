//! OpenMetrics 1.0, one case per line: what Prometheus takes, what it refuses.

use super::tests_text::read;
use super::*;

/// A page without its `# EOF`.
fn ok(page: &str, expected: &[&str]) {
    for end in ["# EOF", "# EOF\n"] {
        let (events, result) = read(Format::OpenMetrics, format!("{page}{end}").as_bytes());
        assert_eq!(result, Ok(()), "{page:?}");
        assert_eq!(events, expected, "{page:?}");
    }
}

fn sample(line: &str, expected: &str) {
    let family = if expected.starts_with("a.b") { "a.b" } else { "a" };
    let shown = format!("{expected} Value:Unknown");
    ok(&format!("{line}\n"), &[&shown, &format!("-- {family} Unknown  ")]);
}

/// A line that does not stand in a page.
fn bad(line: &str, reason: &str) {
    let page = format!("{line}\n# EOF\n");
    let (events, result) = read(Format::OpenMetrics, page.as_bytes());
    assert_eq!(result.map_err(|error| error.reason), Err(reason), "{line:?}: {events:?}");
}

#[test]
fn samples() {
    sample("a 1", "a{} 1");
    sample("a{} 1", "a{} 1");
    sample("a{b=\"c\",d=\"e\"} 1 2", "a{b=\"c\",d=\"e\"} 1 @2000");
    sample("a{b=\"c\",} 1", "a{b=\"c\"} 1");
    sample("{\"a.b\",c=\"d\"} 1", "a.b{c=\"d\"} 1");
    sample("a 1 1.9999", "a{} 1 @1999");
    sample("a 1 -1.5e0", "a{} 1 @-1500");
    sample(r#"a{b="\\\"\n\x"} 1"#, r#"a{b="\\\"\n\\x"} 1"#);
    ok("", &[]);
}

#[test]
fn exemplars() {
    sample("a 1 # {} 2", "a{} 1 # {} 2");
    sample("a 1 # {b=\"c\"} 2 3", "a{} 1 # {b=\"c\"} 2 @3000");
    sample("a{x=\"\\n\"} 1 4 # {\"b\"=\"\\\\\"} 2", "a{x=\"\\n\"} 1 @4000 # {b=\"\\\\\"} 2");
    bad("a 1 # {}", "expected a space");
    bad("a 1 # {\"b\"} 2", "an exemplar has no name");
    bad("a 1 # {b=\"1\",b=\"2\"} 2", "label name is not unique");
    bad("a 1 # {} x", "bad float");
    bad("a 1 # {} 1 NaN", "bad timestamp");
    bad("a 1 #{} 1", "bad timestamp or exemplar");
    bad("a 1 # x", "bad timestamp or exemplar");
    bad("a 1 # {} 1 # {} 1", "expected the end of the line");
}

#[test]
fn bad_samples() {
    for (line, reason) in [
        ("a  1", "bad float"),
        ("a\t1", "expected a space"),
        (" a 1", "no metric name"),
        ("", "no metric name"),
        ("a 1 ", "bad timestamp"),
        ("a 1\r", "expected the end of the line"),
        ("a 1 \r", "bad timestamp"),
        ("a {b=\"c\"} 1", "bad float"),
        ("a{b=\"c\"}1", "expected a space"),
        ("a{b=\"c\", d=\"e\"} 1", "bad label name"),
        ("a{ b=\"c\"} 1", "bad label name"),
        ("a{b =\"c\"} 1", "expected = after a label name"),
        ("a{b= \"c\"} 1", "label value is not quoted"),
        ("a{b=\"c\" } 1", "expected a comma or closing brace"),
        ("a{b=\"c\"d=\"e\"} 1", "expected a comma or closing brace"),
        ("a{,} 1", "bad label name"),
        ("a{b=\"c\",,} 1", "bad label name"),
        ("a{b=\"c\nd\"} 1", "quote not closed"),
        ("a{b=\"c\\\nd\"} 1", "quote not closed"),
        ("a 1 NaN", "bad timestamp"),
        ("a 1 +Inf", "bad timestamp"),
        ("a 1 2 3", "bad timestamp or exemplar"),
        ("a 1  2", "bad timestamp"),
        ("a +nan", "bad float"),
    ] {
        bad(line, reason);
    }
}

#[test]
fn metadata() {
    ok(
        "# HELP a_s x\\\"\\n\n# TYPE a_s counter\n# UNIT a_s s\n\
         a_s_total 1\na_s_created 2\na_s 3\n",
        &[
            "a_s_total{} 1 Value:Counter",
            "a_s_created{} 2 Created:Counter",
            "a_s{} 3 Value:Counter",
            "-- a_s Counter s x\"\n",
        ],
    );
    ok("# UNIT a \n# HELP a \n", &["-- a Unknown  "]);
    ok("# TYPE \"a.b\" info\n", &["-- a.b Info  "]);
    ok(
        "# TYPE g gaugehistogram\ng_bucket{le=\"1\"} 1\ng_gsum 2\ng_gcount 3\n",
        &[
            "g_bucket{le=\"1\"} 1 Bucket:GaugeHistogram",
            "g_gsum{} 2 Sum:GaugeHistogram",
            "g_gcount{} 3 Count:GaugeHistogram",
            "-- g GaugeHistogram  ",
        ],
    );
    for (name, shown) in [
        ("counter", "Counter"),
        ("gauge", "Gauge"),
        ("histogram", "Histogram"),
        ("gaugehistogram", "GaugeHistogram"),
        ("summary", "Summary"),
        ("info", "Info"),
        ("stateset", "StateSet"),
        ("unknown", "Unknown"),
    ] {
        ok(&format!("# TYPE a {name}\n"), &[&format!("-- a {shown}  ")]);
    }
    ok(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {t=\"x\"} 0.5\n",
        &["h_bucket{le=\"1.0\"} 1 # {t=\"x\"} 0.5 Bucket:Histogram", "-- h Histogram  "],
    );
}

#[test]
fn bad_metadata() {
    for (line, reason) in [
        ("# TYPE a untyped", "invalid metric type"),
        ("# TYPE a counter ", "invalid metric type"),
        ("# TYPE a counter\r", "invalid metric type"),
        ("# TYPE a", "expected a space"),
        ("# HELP a", "expected a space"),
        ("# UNIT a", "expected a space"),
        ("# UNIT a_s m", "unit is not a suffix of the name"),
        ("# UNIT a a", "unit is not a suffix of the name"),
        ("# UNIT as s", "unit is not a suffix of the name"),
        ("#  TYPE a gauge", "not HELP, TYPE, UNIT or EOF"),
        ("# TYPE  a gauge", "bad metric name"),
        ("#TYPE a gauge", "not HELP, TYPE, UNIT or EOF"),
        ("# free", "not HELP, TYPE, UNIT or EOF"),
        ("#", "not HELP, TYPE, UNIT or EOF"),
    ] {
        bad(line, reason);
    }
}

#[test]
fn the_end() {
    for (page, reason) in [
        ("", "the page ends without # EOF"),
        ("a 1\n", "the page ends without # EOF"),
        ("a 1\n# EOF\n\n", "text after # EOF"),
        ("# EOF\na 1\n", "text after # EOF"),
        ("# EOF x", "expected the end of the line"),
        ("# EOF ", "expected the end of the line"),
    ] {
        let result = read(Format::OpenMetrics, page.as_bytes()).1;
        assert_eq!(result.map_err(|error| error.reason), Err(reason), "{page:?}");
    }
    let error = read(Format::OpenMetrics, b"a 1\n").1.err().map(|error| error.line);
    assert_eq!(error, Some(2));
}
