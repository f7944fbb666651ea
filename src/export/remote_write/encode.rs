//! Remote-Write 1.0 messages, written straight from borrowed labels.
//!
//! `prometheus.WriteRequest`: field 1 is a TimeSeries, field 3 a MetricMetadata; both are appended
//! to one buffer, so a request is the concatenation of what was encoded (protobuf merge rules).
//! Lengths are computed before anything is written: one pass sizes, one pass writes.
//! Invariant: labels arrive sorted, unique and non-empty (Remote-Write 1.0, "Labels").

use std::slice::from_ref;

use super::native::push_histogram;
use crate::codec::protobuf::{
    push_message, push_tag_and_length, push_varint, put_varint, varint_bytes,
};
use crate::model::{Exemplar, Family, Label, NativeHistogram, Sample};

/// Tags: field number << 3 | wire type (Protocol Buffers encoding).
const TIMESERIES: u8 = 1 << 3 | 2;
const METADATA: u8 = 3 << 3 | 2;
const LABELS: u8 = 1 << 3 | 2;
const SAMPLES: u8 = 2 << 3 | 2;
const EXEMPLARS: u8 = 3 << 3 | 2;
const TEXT_1: u8 = 1 << 3 | 2;
const TEXT_2: u8 = 2 << 3 | 2;
const DOUBLE_1: u8 = 1 << 3 | 1;
const DOUBLE_2: u8 = 2 << 3 | 1;
const VARINT_1: u8 = 1 << 3;
const VARINT_2: u8 = 2 << 3;
const VARINT_3: u8 = 3 << 3;
const TEXT_4: u8 = 4 << 3 | 2;
const TEXT_5: u8 = 5 << 3 | 2;

/// Appends one series with one sample, and its exemplar. `extra` are the exporter's own labels,
/// sorted, written where the sample lacks the name. Returns where its labels start.
pub fn push_series(out: &mut Vec<u8>, sample: &Sample<'_>, extra: &[(String, String)]) -> usize {
    if let Some(histogram) = sample.histogram {
        return push_native(out, sample, histogram, extra);
    }
    let sample_bytes = sample_bytes(sample.timestamp_ms);
    let exemplar = sample.exemplar.as_ref();
    let exemplar_bytes =
        exemplar.map_or(0, |exemplar| exemplar_bytes(exemplar, sample.timestamp_ms));
    let mut labels = 0;
    if extra.is_empty() {
        labels = labels_bytes(sample.labels);
    } else {
        merged(sample.labels, extra, |label| labels += label_field_bytes(label));
    }
    let mut bytes = labels + 2 + sample_bytes;
    if exemplar_bytes > 0 {
        bytes += 1 + varint_bytes(exemplar_bytes as u64) + exemplar_bytes;
    }
    push_tag_and_length(out, TIMESERIES, bytes);
    let start = out.len();
    let room = make_room(out, labels + 2 + sample_bytes);
    let room = if extra.is_empty() {
        put_labels(room, sample.labels)
    } else {
        let mut rest = Some(room);
        merged(sample.labels, extra, |label| {
            rest = rest.take().map(|room| put_labels(room, from_ref(label)));
        });
        rest.unwrap_or_default()
    };
    put_sample(room, sample_bytes as u8, sample.value, sample.timestamp_ms);
    if let Some(exemplar) = exemplar {
        push_exemplar(out, exemplar, exemplar_bytes, sample.timestamp_ms);
    }
    start
}

/// The length of the message of one sample.
#[inline]
pub(super) fn sample_bytes(timestamp_ms: i64) -> usize {
    9 + varint_field_bytes(timestamp_ms)
}

/// Appends zeros to write over. One check for the room of all instead of one for each piece, which
/// would cost as much as the bytes themselves.
fn make_room(out: &mut Vec<u8>, bytes: usize) -> &mut [u8] {
    let start = out.len();
    out.resize(start + bytes, 0);
    &mut out[start..]
}

/// Fills `room` with the sample field; `bytes` are those of the message in it.
fn put_sample(room: &mut [u8], bytes: u8, value: f64, timestamp_ms: i64) {
    room[..3].copy_from_slice(&[SAMPLES, bytes, DOUBLE_1]);
    put_value(room, value);
    room[11] = VARINT_2;
    put_varint(&mut room[12..], timestamp_ms as u64);
}

/// Puts the value into a sample field.
#[inline]
pub(super) fn put_value(field: &mut [u8], value: f64) {
    field[3..11].copy_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends one series with one native histogram, which are few: its length goes in afterwards.
fn push_native(
    out: &mut Vec<u8>,
    sample: &Sample<'_>,
    histogram: &NativeHistogram<'_>,
    extra: &[(String, String)],
) -> usize {
    push_message(out, 1, |out| {
        let start = out.len();
        merged(sample.labels, extra, |label| push_label(out, label));
        if let Some(exemplar) = &sample.exemplar {
            let bytes = exemplar_bytes(exemplar, sample.timestamp_ms);
            push_exemplar(out, exemplar, bytes, sample.timestamp_ms);
        }
        push_histogram(out, histogram, sample.timestamp_ms);
        start
    })
}

fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar<'_>, bytes: usize, sample_ms: i64) {
    push_tag_and_length(out, EXEMPLARS, bytes);
    push_labels(out, exemplar.labels);
    out.push(DOUBLE_2);
    out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    out.push(VARINT_3);
    push_varint(out, exemplar.timestamp_ms.unwrap_or(sample_ms) as u64);
}

/// Appends a family's metadata.
pub fn push_metadata(out: &mut Vec<u8>, family: &Family<'_>) {
    let texts = [(TEXT_2, family.name), (TEXT_4, family.help), (TEXT_5, family.unit)];
    let present = || texts.iter().filter(|(_, text)| !text.is_empty());
    let bytes = 2 + present().map(|(_, text)| text_field_bytes(text)).sum::<usize>();
    push_tag_and_length(out, METADATA, bytes);
    out.extend_from_slice(&[VARINT_1, family.metric_type as u8]);
    for (tag, text) in present() {
        push_text(out, *tag, text);
    }
}

/// Visits both sorted lists in order; where both have a name, `labels` wins.
fn merged<'a>(
    labels: &[Label<'a>],
    extra: &'a [(String, String)],
    mut visit: impl FnMut(&Label<'a>),
) {
    let mut extra = extra.iter().map(|(name, value)| Label::new(name, value)).peekable();
    for label in labels {
        while let Some(own) = extra.next_if(|own| own.name.as_bytes() < label.name.as_bytes()) {
            visit(&own);
        }
        let _ = extra.next_if(|own| own.name == label.name);
        visit(label);
    }
    extra.for_each(|own| visit(&own));
}

fn exemplar_bytes(exemplar: &Exemplar<'_>, sample_ms: i64) -> usize {
    labels_bytes(exemplar.labels)
        + 9
        + varint_field_bytes(exemplar.timestamp_ms.unwrap_or(sample_ms))
}

fn labels_bytes(labels: &[Label<'_>]) -> usize {
    labels.iter().map(label_field_bytes).sum()
}

#[inline]
fn label_bytes(label: &Label<'_>) -> usize {
    text_field_bytes(label.name) + text_field_bytes(label.value)
}

#[inline]
pub(super) fn label_field_bytes(label: &Label<'_>) -> usize {
    match short_label_bytes(label) {
        Some(bytes) => 2 + usize::from(bytes),
        None => {
            let bytes = label_bytes(label);
            1 + varint_bytes(bytes as u64) + bytes
        }
    }
}

/// The length of a label whose lengths all fit a byte, as nearly every label's do.
#[inline]
fn short_label_bytes(label: &Label<'_>) -> Option<u8> {
    let bytes = 4 + label.name.len() + label.value.len();
    (bytes < 0x80).then_some(bytes as u8)
}

#[inline]
fn text_field_bytes(text: &str) -> usize {
    1 + varint_bytes(text.len() as u64) + text.len()
}

fn varint_field_bytes(value: i64) -> usize {
    1 + varint_bytes(value as u64)
}

fn push_labels(out: &mut Vec<u8>, labels: &[Label<'_>]) {
    put_labels(make_room(out, labels_bytes(labels)), labels);
}

/// Puts labels at the start of `room`, which has at least [`labels_bytes`]; returns the rest.
fn put_labels<'a>(mut room: &'a mut [u8], labels: &[Label<'_>]) -> &'a mut [u8] {
    for label in labels {
        room = put_label(room, label);
    }
    room
}

#[inline]
fn put_label<'a>(room: &'a mut [u8], label: &Label<'_>) -> &'a mut [u8] {
    let Some(bytes) = short_label_bytes(label) else { return put_long_label(room, label) };
    let (name, value) = (label.name.as_bytes(), label.value.as_bytes());
    let (head, room) = room.split_at_mut(4);
    head.copy_from_slice(&[LABELS, bytes, TEXT_1, name.len() as u8]);
    let (place, room) = room.split_at_mut(name.len());
    place.copy_from_slice(name);
    let (head, room) = room.split_at_mut(2);
    head.copy_from_slice(&[TEXT_2, value.len() as u8]);
    let (place, room) = room.split_at_mut(value.len());
    place.copy_from_slice(value);
    room
}

#[cold]
fn put_long_label<'a>(room: &'a mut [u8], label: &Label<'_>) -> &'a mut [u8] {
    let mut room = put_tag_and_length(room, LABELS, label_bytes(label));
    for (tag, text) in [(TEXT_1, label.name), (TEXT_2, label.value)] {
        let (place, rest) = put_tag_and_length(room, tag, text.len()).split_at_mut(text.len());
        place.copy_from_slice(text.as_bytes());
        room = rest;
    }
    room
}

fn put_tag_and_length(room: &mut [u8], tag: u8, length: usize) -> &mut [u8] {
    let (place, room) = room.split_at_mut(1 + varint_bytes(length as u64));
    place[0] = tag;
    put_varint(&mut place[1..], length as u64);
    room
}

fn push_label(out: &mut Vec<u8>, label: &Label<'_>) {
    push_tag_and_length(out, LABELS, label_bytes(label));
    push_text(out, TEXT_1, label.name);
    push_text(out, TEXT_2, label.value);
}

#[inline]
fn push_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    push_tag_and_length(out, tag, text.len());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MetricType, Part, STALE_NAN_BITS};

    fn sample<'a>(family: &'a Family<'a>, labels: &'a [Label<'a>], value: f64) -> Sample<'a> {
        let timestamp_ms = 1_700_000_000_000;
        Sample {
            family,
            part: Part::Value,
            labels,
            value,
            timestamp_ms,
            exemplar: None,
            histogram: None,
        }
    }

    #[test]
    fn long_labels() {
        // 4 + 1 + 122 bytes is the longest that the short way writes.
        for (length, head) in [
            (122, &b"\x0a\x7f\x0a\x01a\x12\x7a"[..]),
            (123, b"\x0a\x80\x01\x0a\x01a\x12\x7b"),
            (200, b"\x0a\xce\x01\x0a\x01a\x12\xc8\x01"),
        ] {
            let value = "v".repeat(length);
            let label = Label::new("a", &value);
            let expected = [head, value.as_bytes()].concat();
            let mut out = Vec::new();
            push_label(&mut out, &label);
            assert_eq!(out, expected, "{length}");
            assert_eq!(out.len(), label_field_bytes(&label));
            push_labels(&mut out, &[label, label]);
            assert_eq!(out, expected.repeat(3), "{length}");
        }
    }

    #[test]
    fn golden_series() {
        let family = Family::default();
        let labels = [Label::new("__name__", "up"), Label::new("job", "a")];
        let mut out = Vec::new();
        push_series(&mut out, &sample(&family, &labels, 1.0), &[]);
        let expected = [
            b"\x0a\x2c".as_slice(),
            b"\x0a\x0e\x0a\x08__name__\x12\x02up",
            b"\x0a\x08\x0a\x03job\x12\x01a",
            b"\x12\x10\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x80\xd0\x95\xff\xbc\x31",
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn a_marker_keeps_its_bits_and_own_labels_fill_gaps() {
        let family = Family::default();
        let labels = [Label::new("__name__", "up"), Label::new("b", "sample")];
        let own = [("a", "1"), ("b", "2"), ("c", "3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let mut merged_out = Vec::new();
        push_series(
            &mut merged_out,
            &sample(&family, &labels, f64::from_bits(STALE_NAN_BITS)),
            &own,
        );
        let all = ["a=1", "b=sample", "c=3"].map(|pair| pair.split_once('=').unwrap());
        let mut labels = vec![labels[0]];
        labels.extend(all.map(|(name, value)| Label::new(name, value)));
        let mut plain = Vec::new();
        push_series(&mut plain, &sample(&family, &labels, f64::from_bits(STALE_NAN_BITS)), &[]);
        assert_eq!(merged_out, plain);
        assert!(plain.windows(9).any(|at| at == b"\x09\x02\x00\x00\x00\x00\x00\xf0\x7f"));
    }

    #[test]
    fn exemplars_and_metadata() {
        let family =
            Family { name: "a", metric_type: MetricType::Counter, unit: "s", help: "Time." };
        let labels = [Label::new("__name__", "a_total")];
        let trace = [Label::new("trace_id", "x")];
        let exemplar = Some(Exemplar { labels: &trace, value: 0.5, timestamp_ms: None });
        let mut out = Vec::new();
        push_series(&mut out, &Sample { exemplar, ..sample(&family, &labels, 2.0) }, &[]);
        let tail = b"\x1a\x1f\x0a\x0d\x0a\x08trace_id\x12\x01x\
            \x11\x00\x00\x00\x00\x00\x00\xe0\x3f\x18\x80\xd0\x95\xff\xbc\x31";
        assert!(out.ends_with(tail));
        assert_eq!(out[1] as usize, out.len() - 2);
        out.clear();
        push_metadata(&mut out, &family);
        assert_eq!(out, b"\x1a\x0f\x08\x01\x12\x01a\x22\x05Time.\x2a\x01s");
    }
}
