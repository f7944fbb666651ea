//! OTLP: bodies of all signals through validation, and through everything that trusts it.

use std::cell::RefCell;
use std::rc::Rc;

use otlet::codec::json::Reader;
use otlet::codec::otlp::{from_json, resource_metrics, splice_resource, validate, Signal};
use otlet::codec::protobuf::{Fields, Fixed64s, Nested, Varints};
use otlet::export::stdout::{Format, Lines, LINE_BYTES_MAX};
use otlet::translate::{Config, Names, Out, Regroup, ResourceLabels, Starts, Translator, Walk};

const SIGNALS: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

/// Framing alone, read as every kind of field.
pub fn protobuf(data: &[u8]) {
    let fields = Fields::new(data).count();
    assert!(fields <= data.len());
    Nested::new(data, 1).for_each(drop);
    assert!(Varints::new(data, 1).count() <= data.len());
    assert!(Fixed64s::new(data, 1).count() <= data.len());
}

/// A protobuf body: what passes validation passes it again, and splicing keeps every item.
pub fn otlp_protobuf(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let signal = SIGNALS[usize::from(first % 3)];
    let mut body = data.to_vec();
    let Ok(counts) = validate(signal, &mut body) else { return };
    assert_eq!(body.len(), data.len());
    let again = validate(signal, &mut body).expect("it was valid");
    assert_eq!((again.items, again.repaired_strings), (counts.items, 0));
    let mut spliced = Vec::new();
    splice_resource(&body, &[("cloud.region".to_owned(), "eu".to_owned())], &mut spliced);
    let items = validate(signal, &mut spliced).expect("splicing keeps it valid").items;
    assert_eq!(items, counts.items);
    if signal == Signal::Metrics {
        translate(&body, counts.items);
    }
}

/// A JSON body: what comes out is valid.
pub fn otlp_json(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let signal = SIGNALS[usize::from(first % 3)];
    let Ok((mut body, counts)) = from_json(signal, &mut data.to_vec()) else { return };
    assert_eq!(validate(signal, &mut body).map(|again| again.items), Ok(counts.items));
    if signal == Signal::Metrics {
        translate(&body, counts.items);
    }
}

/// A traces or logs body: every item is one line of bounded length without a control character, in
/// JSON a valid object.
pub fn stdout_lines(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let signal = SIGNALS[1 + usize::from(first % 2)];
    let mut body = data.to_vec();
    let Ok(counts) = validate(signal, &mut body) else { return };
    for format in [Format::Text, Format::Json] {
        let mut lines = match signal {
            Signal::Traces => Lines::of_spans(&body, format),
            _ => Lines::of_log_records(&body, format),
        };
        let (mut out, mut items) = (String::new(), 0);
        while let Some(piece) = lines.piece(&mut out) {
            items += piece;
            assert!(out.is_empty() || out.ends_with('\n'));
            assert_eq!(out.split_terminator('\n').count() as u64, piece);
            out.split_terminator('\n').for_each(|line| check_line(line, format));
            out.clear();
        }
        assert_eq!(items, counts.items);
    }
}

fn check_line(line: &str, format: Format) {
    assert!(line.len() < LINE_BYTES_MAX && !line.contains(char::is_control), "{line:?}");
    if format == Format::Json {
        let read = Reader::from_bytes(line.as_bytes()).and_then(|mut reader| {
            reader.object()?;
            while reader.key()?.is_some() {
                reader.skip()?;
            }
            reader.end()
        });
        assert!(read.is_ok(), "{read:?} {line}");
    }
}

/// A valid metrics body to samples, in both manners, and back to points.
fn translate(body: &[u8], items: u64) {
    for (names, native_histograms) in [(Names::Prometheus, false), (Names::Adot, true)] {
        let config = Config {
            names,
            native_histograms,
            resource_labels: ResourceLabels::All,
            scope_labels: true,
            streams_max: 3,
            ..Config::default()
        };
        let mut translator = Translator::new(&config, 1);
        let mut regroup = Regroup::new(Rc::new(RefCell::new(Starts::new(3, 1))));
        for _ in 0..2 {
            let mut walk = Walk::new(body);
            while !translator.piece(&mut walk, 0, &mut |out| match out {
                Out::Sample(sample) => {
                    let sorted = sample.labels.windows(2).all(|pair| pair[0].name < pair[1].name);
                    let labels = sample.labels.iter();
                    let full = labels.clone().all(|label| !label.value.is_empty());
                    assert!(sorted && full && !sample.name().is_empty(), "{sample:?}");
                    regroup.sample(sample, &[]);
                }
                Out::EndFamily(family) => regroup.end_family(family),
            }) {}
            assert_eq!(walk.report.points, items);
            assert!(translator.streams() <= 3);
        }
        let mut points = Vec::new();
        let count = regroup.finish(&mut points);
        let counts = validate(Signal::Metrics, &mut points).expect("written by ourselves");
        assert_eq!(counts.items, count);
        resource_metrics(&points).for_each(|resource| resource.attributes().for_each(drop));
    }
}
