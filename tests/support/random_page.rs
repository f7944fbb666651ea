//! Pages whose lines are much like their neighbours, and targets of all kinds to read them.

use std::fmt::Write;

use fastrand::Rng;
use otlet::codec::prometheus::Format;
use otlet::pipeline::{self, Action, RelabelConfig};
use otlet::receive::scrape::page::{Filter, Rules};

type Pairs = Vec<(String, String)>;

/// What a target and its ways out are told.
pub struct Setup {
    pub rules: Rules,
    pub pipeline: pipeline::Config,
    /// Of each remote-write exporter: its own labels, and the samples of a request.
    pub own_labels: [Pairs; 2],
    pub samples_max: [usize; 2],
}

/// Metric names, with quotes where they need them.
const NAMES: [&str; 10] = [
    "h_bucket",
    "h_bucket",
    "h",
    "h_sum",
    "c_total",
    "c",
    "up",
    "long_enough_a_name_to_be_compared",
    "\"a.b\"",
    "\"q\\n\"",
];

/// Label names: such as are bounds, clash with a target's, sort before `__name__`, need quotes.
const LABELS: [&str; 18] = [
    "le",
    "le",
    "quantile",
    "method",
    "path",
    "code",
    "status",
    "a",
    "b",
    "job",
    "instance",
    "exported_job",
    "region",
    "A",
    "zz",
    "\"l.b\"",
    "\"e\\\\\"",
    "\"ab\"",
];

const VALUES: [&str; 20] = [
    "1", "1.0", "0.5", "5", "+Inf", "1e6", "200", "201", "404", "ok", "no", "", "GET", "PUT",
    "POST", "/a/b", "ü", "x\\\"y", "\\\\n", "a\\nb",
];

fn one<'a>(random: &mut Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(..of.len())]
}

fn pairs(random: &mut Rng, of: &[(&str, &str)]) -> Pairs {
    let kept = of.iter().filter(|_| random.bool());
    kept.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

pub fn random_setup(random: &mut Rng) -> Setup {
    let limit = |random: &mut Rng, range| if random.u8(..10) == 0 { random.u64(range) } else { 0 };
    let target = [("instance", "localhost:80"), ("job", "j"), ("le", "t"), ("zone", "z")];
    let target = if random.u8(..4) == 0 { &target[..] } else { &target[..2] };
    let expressions = [None, None, None, Some("h_.*|c"), Some(".*_total"), Some("up|a.b")];
    let relabel = RelabelConfig {
        action: Action::Replace,
        source: vec!["method".to_owned()],
        target: "path".to_owned(),
        ..RelabelConfig::default()
    };
    let added = [("region", "eu"), ("zz", "added"), ("B", "b"), ("exported_job", "e")];
    Setup {
        rules: Rules {
            labels: pairs(random, target),
            honor_labels: random.bool(),
            honor_timestamps: random.u8(..4) > 0,
            sample_limit: limit(random, 20..200),
            label_limit: limit(random, 4..20),
            filter: Filter::new(None, expressions[random.usize(..expressions.len())]),
        },
        pipeline: pipeline::Config {
            labels: pairs(random, &added),
            relabel: if random.u8(..8) == 0 { vec![relabel] } else { Vec::new() },
            ..pipeline::Config::default()
        },
        own_labels: [Pairs::new(), pairs(random, &[("cluster", "k"), ("method", "none")])],
        samples_max: [2000, random.usize(1..30)],
    }
}

/// A sample line in the making.
struct Line {
    name: &'static str,
    labels: Vec<(String, String)>,
    /// What stands between labels, and behind the last one.
    comma: &'static str,
    end: &'static str,
    /// A name that needs no quotes stands in front of the braces.
    is_bare: bool,
}

fn value(random: &mut Rng) -> String {
    match random.u8(..16) {
        0 => "v".repeat(random.usize(100..140)),
        1 => "v".repeat(random.usize(..300)),
        2 => random.u32(..).to_string(),
        _ => one(random, &VALUES).to_owned(),
    }
}

impl Line {
    fn new(random: &mut Rng, format: Format) -> Line {
        let mut labels: Vec<(String, String)> = Vec::new();
        for _ in 0..random.usize(..6) {
            let name = one(random, &LABELS);
            if labels.iter().all(|(own, _)| own != name) {
                labels.push((name.to_owned(), value(random)));
            }
        }
        if random.u8(..12) == 0 {
            let count = random.usize(50..100);
            labels.extend((0..count).map(|at| (format!("l{at}"), "x".to_owned())));
        }
        let is_loose = format == Format::Text && random.u8(..8) == 0;
        let (comma, end) = if is_loose { (" , ", " ,") } else { (",", "") };
        let name = NAMES[random.usize(..NAMES.len())];
        let is_bare = !name.starts_with('"') && random.u8(..12) > 0;
        Line { name, labels, comma, end, is_bare }
    }

    /// Goes on to the next line, most often one that differs in a value or two.
    fn step(&mut self, random: &mut Rng, format: Format) {
        match random.u8(..32) {
            0 => *self = Line::new(random, format),
            1 if self.is_bare => self.name = NAMES[random.usize(..8)],
            2 => drop(self.labels.pop()),
            3 if self.labels.iter().all(|(name, _)| name != "last") => {
                self.labels.push(("last".to_owned(), value(random)));
            }
            // The same once more.
            4 | 5 => {}
            _ => {
                for _ in 0..random.usize(1..3).min(self.labels.len()) {
                    let at = random.usize(..self.labels.len());
                    self.labels[at].1 = value(random);
                }
            }
        }
    }

    fn push(&self, page: &mut String) {
        let name = if self.is_bare { self.name } else { "" };
        let quoted = format!("\"{}\"", self.name.trim_matches('"'));
        let labels = self.labels.iter().map(|(name, value)| format!("{name}=\"{value}\""));
        let inside: Vec<_> = (!self.is_bare).then_some(quoted).into_iter().chain(labels).collect();
        let end = if inside.is_empty() { "" } else { self.end };
        let _ = write!(page, "{name}{{{}{end}}}", inside.join(self.comma));
    }
}

/// Metadata of a family that samples here may be of.
fn push_metadata(random: &mut Rng, format: Format, page: &mut String) {
    let name = one(random, &["h", "h", "h_bucket", "c", "c_total", "up", "\"a.b\""]);
    let _ = match random.u8(..8) {
        0 if format == Format::Text => writeln!(page, "# a comment"),
        1 => writeln!(page, "# HELP {name} Help."),
        2 if format == Format::OpenMetrics => writeln!(page, "# UNIT c_total total"),
        _ => {
            let types = ["histogram", "histogram", "summary", "counter", "gauge"];
            writeln!(page, "# TYPE {name} {}", one(random, &types))
        }
    };
}

/// A page of some lines, seldom a bad one among them; `near_ms` is about when it is read.
pub fn random_page(random: &mut Rng, format: Format, near_ms: i64) -> String {
    let mut page = String::new();
    let mut line = Line::new(random, format);
    let count = if random.u8(..16) == 0 { 400 } else { random.usize(1..60) };
    for _ in 0..count {
        if random.u8(..16) == 0 {
            push_metadata(random, format, &mut page);
        }
        line.step(random, format);
        line.push(&mut page);
        let _ = write!(page, " {}", one(random, &["1", "2.5", "NaN", "-1e300"]));
        if random.u8(..10) == 0 {
            let at_ms = near_ms + 1_000 * random.i64(-2..3) + 1_000_000 * random.i64(0..2);
            let _ = match format {
                Format::Text => write!(page, " {at_ms}"),
                Format::OpenMetrics => write!(page, " {}", at_ms / 1000),
            };
        }
        if format == Format::OpenMetrics && random.u8(..10) == 0 {
            let _ = write!(page, " # {{trace_id=\"{}\"}} 0.5", value(random));
        }
        page.push_str(if random.u16(..500) == 0 { " ?\n" } else { "\n" });
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}
