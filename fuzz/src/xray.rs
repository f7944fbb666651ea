//! X-Ray: datagrams through the header, documents through both walks, spans back to documents.

use otlet::codec::json::Reader;
use otlet::codec::otlp::{validate, Signal};
use otlet::codec::xray::document;
use otlet::codec::xray::DOCUMENT_BYTES_MAX;
use otlet::translate::segment::{Documents, Out, Segments, SPANS_MAX};

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
    back(&body, counts.items);
}

/// A valid body of spans makes documents.
pub fn xray_documents(data: &[u8]) {
    let mut body = data.to_vec();
    if let Ok(counts) = validate(Signal::Traces, &mut body) {
        back(&body, counts.items);
    }
}

/// Each span is told once, and each document is JSON unless it is longer than one may be.
fn back(body: &[u8], spans: u64) {
    let (mut told, mut id) = (0, 0);
    let mut random = || {
        id += 1;
        id
    };
    let mut visit = |out: Out<'_>| match out {
        Out::NoIds => told += 1,
        Out::Document(text, spans) => {
            told += spans;
            let mut reader = Reader::new(text);
            let read = reader.skip().and_then(|()| reader.end());
            assert!(read.is_ok() || text.len() > DOCUMENT_BYTES_MAX, "{read:?} {text}");
        }
    };
    let mut documents = Documents::new(body);
    while documents.next(&mut random, &mut visit).is_some() {}
    assert_eq!(told, spans);
}
