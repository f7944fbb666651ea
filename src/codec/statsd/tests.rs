//! Lines good and bad by dialect; cut lines; mutated lines.

use super::*;

/// A metric as short text: `name kind value… xWEIGHT #tags @time`, the last three where given.
fn shown(metric: &Metric<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut out = format!("{} {:?}", text(metric.name), metric.kind);
    for value in metric.values() {
        out += &match value {
            Ok(Value::Number(number)) => format!(" {number}"),
            Ok(Value::Change(change)) => format!(" {change:+}"),
            Ok(Value::Text(member)) => format!(" '{}'", text(member)),
            Err(refusal) => format!(" {}", refusal.name()),
        };
    }
    if metric.weight != 1.0 {
        out += &format!(" x{}", metric.weight);
    }
    if !metric.tags.is_empty() {
        out += &format!(" #{}", text(metric.tags));
    }
    metric.time_s.into_iter().for_each(|time| out += &format!(" @{time}"));
    let flags = [(metric.bad_rate, " bad_rate"), (metric.bad_time, " bad_time")];
    flags.iter().filter(|(is, _)| *is).for_each(|(_, flag)| out += flag);
    (0..metric.unknown_sections).for_each(|_| out += " unknown");
    match metric.next() {
        None => out,
        Some(Ok(next)) => format!("{out} & {}", shown(&next)),
        Some(Err(refusal)) => format!("{out} & {}", refusal.name()),
    }
}

#[track_caller]
fn ok(line: &str, expected: &str) {
    match parse(line.as_bytes()) {
        Ok(Line::Metric(metric)) => assert_eq!(shown(&metric), expected, "{line}"),
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn bad(line: &[u8], refusal: Refusal) {
    assert_eq!(parse(line), Err(refusal), "{}", line.escape_ascii());
}

#[test]
fn etsy() {
    ok("gorets:1|c", "gorets Counter 1");
    ok("gorets:1|c|@0.1", "gorets Counter 1 x10");
    ok("glork:320|ms|@0.5", "glork Timer 320 x2");
    ok("gaugor:333|g", "gaugor Gauge 333");
    ok("gaugor:-10|g", "gaugor Gauge -10");
    ok("gaugor:+4|g", "gaugor Gauge +4");
    ok("uniques:765|s", "uniques Set '765'");
    ok("a:1|c:200|ms", "a Counter 1 & a Timer 200");
    ok("a:1|c|@0.5:-2|g", "a Counter 1 x2 & a Gauge -2");
    ok("a:1|c:2", "a Counter 1 & no_type");
    ok("a:1|c:", "a Counter 1");
    ok("a b/c:1|c", "a b/c Counter 1");
    ok("_e:1|c", "_e Counter 1");
    ok("_scores:1|c", "_scores Counter 1");
}

#[test]
fn dogstatsd() {
    ok("page.views:1|c|#env:prod,beta", "page.views Counter 1 #env:prod,beta");
    ok("a:1|c|#env:prod|@0.5", "a Counter 1 x2 #env:prod");
    ok("a:0.5|h|#", "a Histogram 0.5");
    ok("a:2|d|#u:http://x", "a Histogram 2 #u:http://x");
    // 1.1, packed values
    ok("a:1:2.5:3|d|#k:v", "a Histogram 1 2.5 3 #k:v");
    ok("a:1::3|ms", "a Timer 1 bad_value 3");
    ok("a:+1:-2:3|g", "a Gauge +1 -2 3");
    ok("a:x:y|s", "a Set 'x:y'");
    // 1.2 to 1.6
    ok("a:1|c|c:83c0a99c", "a Counter 1");
    ok("a:1|c|#k:v|c:ci-83c0,in-42", "a Counter 1 #k:v");
    ok("a:1|c|T1656581400", "a Counter 1 @1656581400");
    ok("a:1|g|#k:v|T1656581400", "a Gauge 1 #k:v @1656581400");
    ok("a:1|c|e:it-false,cn-x,pu-y", "a Counter 1");
    ok("a:1|c|card:high", "a Counter 1");
    ok("a:1|c||#k:v|", "a Counter 1 #k:v");
    ok("a:1|c|#k:v|#l:w", "a Counter 1 #l:w");
    // What is mended and counted.
    ok("a:1|ms|T1656581400", "a Timer 1 bad_time");
    for time in ["", "0", "-1", "1.5", "99999999999", "123456789012345678901234567890"] {
        ok(&format!("a:1|c|T{time}"), "a Counter 1 bad_time");
    }
    for rate in ["", "0", "-0.5", "1.5", "x", "NaN", "1e-300"] {
        ok(&format!("a:1|c|@{rate}"), "a Counter 1 bad_rate");
    }
    ok("a:1|c|x|z:1", "a Counter 1 unknown unknown");
}

#[test]
fn bad_metrics() {
    for line in ["a", "a|c", ":1|c", "|", "#", "_sc", "\0\u{1}"] {
        bad(line.as_bytes(), Refusal::NoName);
    }
    for line in ["a:", "a:1", "a:b:c", "_e{:1"] {
        let refusal = if line.starts_with("_e") { Refusal::BadEvent } else { Refusal::NoType };
        bad(line.as_bytes(), refusal);
    }
    for line in ["a:1|", "a:1|x", "a:1|C", "a:1|m", "a:1|cc", "a:1|c ", "a:1|msx", "a:1||c"] {
        bad(line.as_bytes(), Refusal::UnknownType);
    }
    for value in ["", "x", "1_0", "inf", "NaN", "1e400", " 1", "1 ", "0x1"] {
        ok(&format!("a:{value}|c"), "a Counter bad_value");
    }
    ok("a:|s", "a Set bad_value");
    ok("a:-1|c", "a Counter negative_counter");
    ok("a:-1|ms", "a Timer bad_value");
    bad(b"\xff\xfe", Refusal::NoName);
    bad(b"a:\xff|\xff", Refusal::UnknownType);
}

#[test]
fn tags_in_names() {
    let split = |name: &str, expected: &str| {
        let found = Name::split(name.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let [one, two] = found.parts.map(text);
        let mut shown = one + &two;
        for tag in Tags::new(found.tags, Dialect::InName) {
            shown += &match tag {
                Tag::Pair(key, value) => format!(" {}={}", text(key), text(value)),
                other => format!(" {other:?}"),
            };
        }
        let stray = if found.has_stray_bracket { " stray" } else { "" };
        assert_eq!(shown + stray, expected, "{name}");
    };
    split("plain", "plain");
    // InfluxDB
    split("name,k=v,k2=v2", "name k=v k2=v2");
    split("name,a=b=c", "name a=b=c");
    split("name,k", "name Bad");
    split("name,k=,=v,,a=b", "name Bad Bad Bad a=b");
    // Librato
    split("name#k=v,k2=v2", "name k=v k2=v2");
    split("name,a=b#c", "name a=b#c");
    // SignalFx
    split("na[k=v,k2=v2]me", "name k=v k2=v2");
    split("foo.[a=b]test", "foo.test a=b");
    split("[a=b]", " a=b");
    split("a[b=c", "a[b=c stray");
    split("a]b[c=d", "a]b[c=d stray");
    split("a]b", "a]b stray");
}

#[test]
fn tags_of_dogstatsd() {
    let tags = |text: &'static str| Tags::new(text.as_bytes(), Dialect::DogStatsd);
    assert_eq!(
        tags("a:1,#b:2,c,,d:x:y,").collect::<Vec<_>>(),
        [Tag::Pair(b"a", b"1"), Tag::Pair(b"b", b"2"), Tag::Bare(b"c"), Tag::Pair(b"d", b"x:y")]
    );
    assert_eq!(tags(":v,k:,#").collect::<Vec<_>>(), [Tag::Bad; 3]);
}

#[test]
fn events() {
    let event = |line: &'static str| match parse(line.as_bytes()) {
        Ok(Line::Event(event)) => event,
        other => panic!("{line}: {other:?}"),
    };
    let full = event("_e{5,5}:a|bé|t|x\\n|d:12|h:web|k:key|p:low|s:nginx|t:error|#a:b,c|x:y|p:no");
    assert_eq!((full.title, full.text), ("a|bé".as_bytes(), &b"t|x\\n"[..]));
    let fields = full.fields;
    assert_eq!((fields.time, fields.host, fields.key), (&b"12"[..], &b"web"[..], &b"key"[..]));
    assert_eq!((fields.priority, fields.source), (&b"low"[..], &b"nginx"[..]));
    assert_eq!((fields.alert, fields.tags), (&b"error"[..], &b"a:b,c"[..]));
    assert_eq!(event("_e{1,0}:a|").text, b"");
    for line in [
        "_e{",
        "_e{1}:a|b",
        "_e{1,1}",
        "_e{1,1}a|b",
        "_e{0,1}:|b",
        "_e{-1,1}:a|b",
        "_e{1,9}:a|b",
        "_e{9,1}:a|b",
        "_e{,}:a|b",
        "_e{1,1}:a|bc",
        "_e{99999999999999999999,1}:a|b",
        "_e{1}1,1:a|b",
    ] {
        bad(line.as_bytes(), Refusal::BadEvent);
    }
}

#[test]
fn service_checks() {
    let check = |line: &'static str| match parse(line.as_bytes()) {
        Ok(Line::Check(check)) => check,
        other => panic!("{line}: {other:?}"),
    };
    let short = check("_sc|redis|0");
    assert_eq!((short.name, short.status), (&b"redis"[..], 0));
    let full = check("_sc|a.b|2|d:12|h:web|#k:v|c:id|m:lost | again");
    assert_eq!((full.name, full.status), (&b"a.b"[..], 2));
    assert_eq!((full.fields.tags, full.fields.message), (&b"k:v"[..], &b"lost | again"[..]));
    for line in ["_sc|", "_sc|a", "_sc|a|", "_sc|a|4", "_sc|a|00", "_sc|a|x|#k:v", "_sc||0"] {
        bad(line.as_bytes(), Refusal::BadCheck);
    }
}

#[test]
fn datagrams_are_split_into_lines() {
    let split = |text: &'static str, expected: &[&str]| {
        let found: Vec<_> = lines(text.as_bytes()).map(String::from_utf8_lossy).collect();
        assert_eq!(found, expected);
    };
    split("", &[]);
    split("a:1|c", &["a:1|c"]);
    split("a\nb\r\nc\r\r\n", &["a", "b", "c\r"]);
    split("\n\na", &["", "", "a"]);
    assert_eq!(parse(b""), Ok(Line::Empty));
}

const LINES: [&[u8]; 7] = [
    b"page.views:1:2|c|@0.1|#env:prod,bare,#x:y|c:ci-1|T1656581400|e:it-x|card:low|z",
    b"na[k=v,k2=v2]me:-1.5e3|g",
    b"name,k=v#x:1|c|@0.5:200|ms",
    b"_e{5,4}:title|text|d:1|h:x|k:y|p:low|s:z|t:info|#a:b",
    b"_sc|redis|2|d:1|h:x|#a:b|m:text",
    b"uniques:a:b|s",
    b"a:1|c\nb:2|h\r\n\n:|#@",
];

/// Reads everything there is to read; returns how many bytes were borrowed from the line.
fn read_all(datagram: &[u8]) {
    for line in lines(datagram) {
        let Ok(Line::Metric(mut metric)) = parse(line) else { continue };
        loop {
            assert!(metric.weight.is_finite() && metric.weight >= 1.0);
            for value in metric.values().flatten() {
                assert!(!matches!(value, Value::Number(n) | Value::Change(n) if !n.is_finite()));
            }
            let name = Name::split(metric.name);
            assert!(name.parts.concat().len() + name.tags.len() <= metric.name.len());
            Tags::new(name.tags, Dialect::InName).for_each(drop);
            Tags::new(metric.tags, Dialect::DogStatsd).for_each(drop);
            match metric.next() {
                Some(Ok(next)) => metric = next,
                _ => break,
            }
        }
    }
}

#[test]
fn cut_lines_are_answered() {
    for line in LINES {
        (0..line.len()).for_each(|end| read_all(&line[..end]));
        (0..line.len()).for_each(|start| read_all(&line[start..]));
    }
}

#[test]
fn mutated_lines_are_answered() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..50_000 {
        let mut line = LINES[random.usize(..LINES.len())].to_vec();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..line.len());
            match random.u8(..4) {
                0 => line[at] = random.u8(..),
                1 => line[at] = b":|#@,=[]\n{}"[random.usize(..11)],
                2 if line.len() > 1 => drop(line.remove(at)),
                _ => line.insert(at, b":|#@,=[]\n{}T"[random.usize(..12)]),
            }
        }
        read_all(&line);
    }
}
