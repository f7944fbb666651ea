//! Native histograms to OTLP's exponential ones (opentelemetry-proto, metrics.proto,
//! ExponentialHistogramDataPoint): the same buckets under an index one lower.

use crate::codec::protobuf::{
    push_double, push_fixed64, push_message, push_varint, push_varint_field, zigzag,
};
use crate::model::{NativeBuckets, NativeHistogram};

/// Buckets written of one side, empty ones between others included; of a side that is longer none
/// are, so that only count and sum tell of it.
const BUCKETS_MAX: usize = 4096;

/// Appends scale, zeros and buckets as fields of the point.
pub fn push(out: &mut Vec<u8>, histogram: &NativeHistogram<'_>) {
    push_varint_field(out, 6, zigzag(i64::from(histogram.schema)));
    push_fixed64(out, 7, histogram.zero_count);
    for (number, side) in [(8, histogram.positive), (9, histogram.negative)] {
        if !side.deltas.is_empty() && buckets(side).is_some_and(|buckets| buckets <= BUCKETS_MAX) {
            push_message(out, number, |out| push_side(out, side));
        }
    }
    if histogram.zero_threshold > 0.0 {
        push_double(out, 14, histogram.zero_threshold);
    }
}

/// Buckets from the first to the last.
fn buckets(side: NativeBuckets<'_>) -> Option<usize> {
    let mut total = 0_usize;
    for (at, span) in side.spans.iter().enumerate() {
        let gap = if at == 0 { 0 } else { usize::try_from(span.offset).ok()? };
        total = total.checked_add(gap)?.checked_add(span.length as usize)?;
    }
    Some(total)
}

fn push_side(out: &mut Vec<u8>, side: NativeBuckets<'_>) {
    let first = side.spans.first().map_or(0, |span| i64::from(span.offset) - 1);
    push_varint_field(out, 1, zigzag(first));
    let (mut deltas, mut count) = (side.deltas.iter(), 0_i64);
    push_message(out, 2, |out| {
        for (at, span) in side.spans.iter().enumerate() {
            let gap = if at == 0 { 0 } else { span.offset };
            (0..gap).for_each(|_| push_varint(out, 0));
            for delta in deltas.by_ref().take(span.length as usize) {
                count = count.saturating_add(*delta);
                push_varint(out, count.max(0) as u64);
            }
        }
    });
}
