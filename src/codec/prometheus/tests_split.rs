//! The same page gives the same events and the same error however it is cut; limits; buffers.

use super::tests_text::show;
use super::*;

type Outcome = (Vec<String>, Result<(), ParseError>, u64);

/// Feeds `page` in windows that grow by the steps `next_step` gives; what is not consumed stays.
fn feed(
    parser: &mut Parser,
    format: Format,
    page: &[u8],
    mut next_step: impl FnMut() -> usize,
) -> Outcome {
    let mut events = Vec::new();
    let mut visit = |event: Event<'_>| {
        events.push(show(&event));
        Ok(())
    };
    parser.reset(format);
    let (mut from, mut to) = (0, 0);
    let result = loop {
        to = page.len().min(to + next_step());
        let last = to == page.len();
        match parser.parse(&page[from..to], last, &mut visit) {
            Ok(consumed) => from += consumed,
            Err(error) => break Err(error),
        }
        if last {
            assert_eq!(from, page.len());
            break parser.finish(&mut visit);
        }
    };
    (events, result, parser.line())
}

const TEXT: &str = "# HELP http_requests_total Requests\\n served.\n\
    # TYPE http_requests_total counter\n\
    http_requests_total{method=\"GET\",path=\"/a\\\"b\\\\\",code=\"200\"} 1027 1395066363000\n\
    http_requests_total{method=\"post\",path=\"x\ny\",code=\"\"} 3e5\r\n\
    \n # plain é\n{\"utf.8 é\",\"l.b\"=\"ü\"} -1.5\n\
    # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e6\"} 2\nh_sum NaN\nh_count 2\nlast 1";

const OPENMETRICS: &str = "# HELP a_s Say \\\"é\\\"\n# TYPE a_s counter\n# UNIT a_s s\n\
    a_s_total{b=\"c\\n\",d=\"é\"} 1.5 1700000000.123 # {trace_id=\"x\\\\\"} 0.7 17\n\
    # TYPE h histogram\nh_bucket{le=\"1\",x=\"y\"} 1 # {} 0.5\nh_bucket{le=\"+Inf\"} 2\n# EOF\n";

/// Small steps of splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)) % limit.max(1) as u64) as usize
    }
}

fn mutate(page: &mut Vec<u8>, random: &mut Random) {
    const BYTES: &[u8] = b"\n\n\"\"\\\\{}=,# \t\rab1.e-+_:\x00\xff\xc3\xa9";
    for _ in 0..random.below(6) {
        let at = random.below(page.len());
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(4) {
            0 => page[at] = byte,
            1 => page.insert(at, byte),
            2 => drop(page.drain(at..page.len().min(at + 1 + random.below(9)))),
            _ => {
                let piece = page[at..page.len().min(at + random.below(40))].to_vec();
                let to = random.below(page.len());
                page.splice(to..to, piece);
            }
        }
        if page.is_empty() {
            page.push(byte);
        }
    }
}

#[test]
fn any_cut_gives_the_same() {
    let (mut parser, mut failed) = (Parser::new(Format::Text), 0);
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let (page, written) =
            [(TEXT, Format::Text), (OPENMETRICS, Format::OpenMetrics)][random.below(2)];
        let mut page = page.as_bytes().to_vec();
        mutate(&mut page, &mut random);
        // Now and then a page in the other format's parser.
        let format = if random.below(8) == 0 { Format::Text } else { written };
        let whole = feed(&mut Parser::new(format), format, &page, || usize::MAX / 2);
        let step = 2 + random.below(80);
        let cut = feed(&mut parser, format, &page, || random.below(step));
        assert_eq!(whole.0, cut.0, "seed {seed}: {}", page.escape_ascii());
        assert_eq!(whole.1, cut.1, "seed {seed}: {}", page.escape_ascii());
        failed += usize::from(whole.1.is_err());
        if whole.1.is_ok() {
            assert_eq!(whole.2, cut.2, "seed {seed}");
        }
    }
    // The loop means something only if it sees both outcomes often.
    assert!((4000..16_000).contains(&failed), "{failed} pages failed");
}

#[test]
fn every_prefix_is_read_or_refused() {
    for (page, format) in [(TEXT, Format::Text), (OPENMETRICS, Format::OpenMetrics)] {
        let whole = feed(&mut Parser::new(format), format, page.as_bytes(), || usize::MAX / 2);
        assert_eq!(whole.1, Ok(()));
        for end in 0..page.len() {
            let prefix = &page.as_bytes()[..end];
            let mut parser = Parser::new(format);
            let (events, result, _) = feed(&mut parser, format, prefix, || usize::MAX / 2);
            let open = usize::from(result.is_ok() || !events.is_empty());
            assert!(events.len() <= whole.0.len() + open);
            // Only the line feed may be missing.
            assert!(result.is_err() || format == Format::Text || end + 1 == page.len());
        }
    }
}

#[test]
fn a_window_without_a_complete_line_waits() {
    let mut parser = Parser::new(Format::Text);
    let mut visit = |_: Event<'_>| -> Result<(), ParseError> { panic!("nothing is complete") };
    for window in ["", "a", "a 1", "a{b=\"\n", "a{b=\"\n\\\n"] {
        assert_eq!(parser.parse(window.as_bytes(), false, &mut visit), Ok(0), "{window}");
    }
    assert_eq!(parser.line(), 0);
}

#[test]
fn long_lines() {
    let quoted = |bytes: usize| format!("a{{b=\"\n{}\"}} 1", "x".repeat(bytes - 10));
    let comment = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
    let wrong = |bytes: usize| format!("a{{b=\"\n\"?{}", "x".repeat(bytes - 8));
    let mut parser = Parser::new(Format::Text);
    for make in [&quoted as &dyn Fn(usize) -> String, &comment, &wrong] {
        for (bytes, is_long) in [(LINE_BYTES_MAX, false), (LINE_BYTES_MAX + 1, true)] {
            for tail in ["", "\n", "\nb 1\n"] {
                let page = make(bytes) + tail;
                assert_eq!(page.len(), bytes + tail.len());
                for step in [4000, 10_000, usize::MAX / 2] {
                    let result = feed(&mut parser, Format::Text, page.as_bytes(), || step).1;
                    let reason = result.err().map(|error| error.reason);
                    assert_eq!(reason == Some(TOO_LONG), is_long, "{bytes} {step} {reason:?}");
                }
            }
        }
    }
}

#[test]
fn a_quote_left_open_is_bounded() {
    let page = format!("a{{b=\"\n{}", "x".repeat(LINE_BYTES_MAX));
    for step in [4000, usize::MAX / 2] {
        let format = Format::Text;
        let result = feed(&mut Parser::new(format), format, page.as_bytes(), || step).1;
        assert_eq!(result.map_err(|error| error.reason), Err(TOO_LONG));
    }
}

#[test]
fn many_labels() {
    for (count, fits) in [(series::LABELS_MAX, true), (series::LABELS_MAX + 1, false)] {
        let labels: Vec<_> = (0..count).map(|number| format!("l{number}=\"\"")).collect();
        let page = format!("a{{{}}} 1\n", labels.join(","));
        let result = feed(&mut Parser::new(Format::Text), Format::Text, page.as_bytes(), || 9999).1;
        let expected = if fits { Ok(()) } else { Err("too many labels") };
        assert_eq!(result.map_err(|error| error.reason), expected);
    }
}

#[test]
fn the_visitor_can_stop_the_page() {
    #[derive(Debug, PartialEq)]
    enum Error {
        Parse(ParseError),
        Limit,
    }
    impl From<ParseError> for Error {
        fn from(error: ParseError) -> Error {
            Error::Parse(error)
        }
    }
    let (mut parser, mut seen) = (Parser::new(Format::Text), 0);
    let mut visit = |_: Event<'_>| {
        seen += 1;
        if seen == 2 {
            Err(Error::Limit)
        } else {
            Ok(())
        }
    };
    assert_eq!(parser.parse(b"a 1\na 2\na 3\n", true, &mut visit), Err(Error::Limit));
    assert_eq!(seen, 2);
    // Nothing of that page is left in the next one.
    parser.reset(Format::Text);
    let mut none = |event: Event<'_>| -> Result<(), Error> { panic!("{event:?}") };
    assert!(matches!(parser.parse(b"?\n", true, &mut none), Err(Error::Parse(_))));
    parser.reset(Format::Text);
    assert_eq!(parser.finish(&mut none), Ok(()));
}

/// Lines much like their neighbours, where labels are taken over from line to line.
fn neighbours(random: &mut Random, format: Format) -> Vec<u8> {
    const BASES: [&str; 8] = [
        "name_bucket{method=\"GET\",path=\"/a/b\",le=\"0.5\"} 1\n",
        "name_bucket{method=\"GET\",path=\"/a/b\",le=\"1\"} 1\n",
        "name{a=\"\\\"\\\\\",b=\"\",c=\"x\"} 1\n",
        "{\"na.me\",\"a.b\"=\"1\",c=\"2\"} 1\n",
        "name{\"a.b\"=\"1\",c=\"2\"} 1\n",
        "name{a.b=\"1\",c=\"2\"} 1\n",
        "name{ a =\"1\", c=\"2\",} 1\n",
        "long_enough_a_name{a=\"1\",bb=\"22\",ccc=\"333\"} 1\n",
    ];
    let mut page = b"# TYPE name histogram\n".to_vec();
    let mut line = BASES[random.below(BASES.len())].as_bytes().to_vec();
    for _ in 0..12 {
        match random.below(6) {
            0 => line = BASES[random.below(BASES.len())].as_bytes().to_vec(),
            1 => mutate(&mut line, random),
            // What leaves the line a good one more often than not.
            _ => {
                let at = random.below(line.len());
                if line[at].is_ascii_alphanumeric() {
                    line[at] = b"ab1"[random.below(3)];
                }
            }
        }
        page.extend_from_slice(&line);
    }
    if format == Format::OpenMetrics {
        page.extend_from_slice(b"# EOF\n");
    }
    page
}

#[test]
fn neighbours_are_read_as_if_alone() {
    let (mut failed, mut alike) = (0, 0);
    for seed in 0..4_000 {
        let mut random = Random(seed);
        let format = [Format::Text, Format::OpenMetrics][random.below(2)];
        let page = neighbours(&mut random, format);
        let whole = feed(&mut Parser::new(format), format, &page, || usize::MAX / 2);
        // Nothing is taken over from window to window.
        let alone = feed(&mut Parser::new(format), format, &page, || 1);
        assert_eq!((whole.0, &whole.1), (alone.0, &alone.1), "{seed}: {}", page.escape_ascii());
        failed += usize::from(whole.1.is_err());
        let mut last: Vec<(String, String)> = Vec::new();
        let mut visit = |event: Event<'_>| -> Result<(), ParseError> {
            if let Event::Sample(sample) = event {
                let pair = |label: &Label| (label.name.to_owned(), label.value.to_owned());
                let name = [(String::new(), sample.name.to_owned())];
                let pairs: Vec<_> =
                    name.into_iter().chain(sample.labels.iter().map(pair)).collect();
                if !sample.changes.is_all() {
                    for place in sample.changes.places() {
                        assert_eq!(last[place].0, pairs[place].0, "{}", page.escape_ascii());
                        last[place].1.clone_from(&pairs[place].1);
                    }
                    assert_eq!(last, pairs, "{seed}: {}", page.escape_ascii());
                    alike += 1;
                }
                last = pairs;
            }
            Ok(())
        };
        // A page in windows of any size, and after it another one with the same parser.
        let (mut parser, mut from) = (Parser::new(format), 0);
        for end in [random.below(page.len()), page.len()] {
            match parser.parse(&page[from..end], end == page.len(), &mut visit) {
                Ok(consumed) => from += consumed,
                Err(_) => break,
            }
        }
        parser.reset(format);
        let _ = parser.parse(b"a 1\n", true, &mut visit);
    }
    assert!((400..3900).contains(&failed) && alike > 4_000, "{failed} failed, {alike} alike");
}
