//! A native histogram as a series of its own (Remote-Write 1.0 protobuf, `Histogram`).
//!
//! Integer counts only. Members of a oneof are written even when zero, because they say which one
//! it is; everything else is left out when it is.

use crate::codec::protobuf::{
    push_double, push_message, push_varint, push_varint_field, varint_bytes, zigzag,
};
use crate::model::{NativeBuckets, NativeHistogram};

/// Appends the histogram as field 4 of a TimeSeries.
pub fn push_histogram(out: &mut Vec<u8>, histogram: &NativeHistogram<'_>, timestamp_ms: i64) {
    push_message(out, 4, |out| {
        push_varint_field(out, 1, histogram.count);
        push_double(out, 3, histogram.sum);
        if histogram.schema != 0 {
            push_varint_field(out, 4, zigzag(i64::from(histogram.schema)));
        }
        push_double(out, 5, histogram.zero_threshold);
        push_varint_field(out, 6, histogram.zero_count);
        push_buckets(out, 8, &histogram.negative);
        push_buckets(out, 11, &histogram.positive);
        push_varint_field(out, 15, timestamp_ms as u64);
    });
}

/// Spans under `number`, deltas, packed, under the next one.
fn push_buckets(out: &mut Vec<u8>, number: u32, buckets: &NativeBuckets<'_>) {
    for span in buckets.spans {
        push_message(out, number, |out| {
            push_varint_field(out, 1, zigzag(i64::from(span.offset)));
            push_varint_field(out, 2, u64::from(span.length));
        });
    }
    if !buckets.deltas.is_empty() {
        let deltas = || buckets.deltas.iter().map(|delta| zigzag(*delta));
        out.reserve(deltas().map(varint_bytes).sum::<usize>() + 8);
        push_message(out, number + 1, |out| deltas().for_each(|delta| push_varint(out, delta)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BucketSpan, STALE_NAN_BITS};

    #[test]
    fn golden() {
        let spans = [BucketSpan { offset: 4, length: 1 }, BucketSpan { offset: 2, length: 3 }];
        let positive = NativeBuckets { spans: &spans, deltas: &[10, 10, -15, -3] };
        let spans = [BucketSpan { offset: -2, length: 1 }];
        let negative = NativeBuckets { spans: &spans, deltas: &[300] };
        let mut histogram = NativeHistogram {
            count: 338,
            sum: 1.0,
            schema: -1,
            zero_threshold: 0.5,
            zero_count: 1,
            negative,
            positive,
        };
        let mut out = Vec::new();
        push_histogram(&mut out, &histogram, 5);
        let expected = [
            b"\x22\x37\x08\xd2\x02\x19\0\0\0\0\0\0\xf0\x3f\x20\x01".as_slice(),
            b"\x29\0\0\0\0\0\0\xe0\x3f\x30\x01\x42\x04\x08\x03\x10\x01\x4a\x02\xd8\x04",
            b"\x5a\x04\x08\x08\x10\x01\x5a\x04\x08\x04\x10\x03\x62\x04\x14\x14\x1d\x05\x78\x05",
        ];
        assert_eq!(out, expected.concat());
        out.clear();
        (histogram.sum, histogram.schema) = (f64::from_bits(STALE_NAN_BITS), 0);
        (histogram.negative, histogram.positive) = Default::default();
        push_histogram(&mut out, &histogram, 0);
        assert!(out.starts_with(b"\x22\x19\x08\xd2\x02\x19\x02\0\0\0\0\0\xf0\x7f\x29"));
    }
}
