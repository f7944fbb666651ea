//! X-Ray: datagrams through the header, documents through both walks.

use otlet::codec::otlp::{validate, Signal};
use otlet::codec::xray::document;
use otlet::translate::segment::{Segments, SPANS_MAX};

/// Most bytes of spans for each byte of a document: an annotation's name is written twice, each
/// time in three frames.
const GROWTH_MAX: usize = 32;

/// A document that is accepted makes a valid body with as many spans as were told, bounded by its
/// own size; a datagram without a header is read as a document alone.
pub fn xray(data: &[u8]) {
    let document = document(data).unwrap_or(data);
    let (mut segments, mut body) = (Segments::default(), Vec::new());
    let Ok(summary) = segments.read(document) else { return };
    assert!(summary.spans >= 1 && summary.spans <= SPANS_MAX as u64);
    segments.write_spans(document, &mut body);
    assert!(body.len() <= document.len() * GROWTH_MAX, "{} of {}", body.len(), document.len());
    let counts = validate(Signal::Traces, &mut body).expect("a valid body");
    assert_eq!((counts.items, counts.repaired_strings), (summary.spans, 0));
}
