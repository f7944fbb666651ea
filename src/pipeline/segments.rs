//! What came in as X-Ray documents: unchanged to exporters that speak X-Ray, as spans to others.
//!
//! Only the receiver counts what it takes; nothing is refused here.

use std::rc::Rc;

use super::{Exporter, Intake, Pipeline};
use crate::codec::otlp::{splice_resource, Signal};

impl Pipeline {
    /// Whether documents have to be translated.
    pub fn takes_spans(&self) -> bool {
        self.exporters.iter().any(|exporter| takes_spans(&**exporter))
    }

    /// Whether documents go anywhere.
    pub fn takes_segments(&self) -> bool {
        self.takes_spans() || self.exporters.iter().any(|exporter| exporter.takes_segments())
    }

    /// Gives a document, its spans as a valid traces body, or both; `items` is how many they are.
    /// The document is empty where it was given before.
    pub fn segment(&self, document: &[u8], spans: Option<&[u8]>, items: u64) {
        if !document.is_empty() {
            let takers = self.exporters.iter().filter(|exporter| exporter.takes_segments());
            takers.for_each(|exporter| exporter.segment(document, items));
        }
        let Some(spans) = spans else { return };
        let added = self.added();
        let mut spliced = Vec::new();
        let body = match added.attributes.is_empty() {
            true => spans,
            false => {
                splice_resource(spans, &added.attributes, &mut spliced);
                &spliced
            }
        };
        for exporter in self.exporters.iter().filter(|exporter| takes_spans(&***exporter)) {
            // A document is no longer than one piece of a relay.
            match Rc::clone(exporter).begin_relay(Signal::Traces) {
                Some(relay) => relay.commit(body, items),
                None => exporter.relay(Signal::Traces, body, items),
            }
        }
    }
}

fn takes_spans(exporter: &dyn Exporter) -> bool {
    !exporter.takes_segments() && matches!(exporter.takes(Signal::Traces), Intake::Bytes)
}
