//! What OTLP's messages consist of, as one table (opentelemetry-proto 1.10, `*.proto`).
//!
//! Names are those of OTLP/JSON. Left out: reserved fields, and the string indexes that only
//! profiles use; readers pass over both like over any unknown field.

use super::Signal;

/// What a field holds, and how.
#[derive(Clone, Copy)]
pub enum Kind {
    /// No field of that number.
    Unknown,
    Text,
    /// Base64 in JSON.
    Bytes,
    /// Empty or exactly this long; hexadecimal in JSON.
    Id(usize),
    Bool,
    /// `int64` and `uint32`: a varint. Names of an enum's values in order, without their prefix.
    Varint,
    Enum(&'static Enum),
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    /// Repeated, packed or not.
    Fixed64s,
    Doubles,
    Varints,
    Message(&'static Message),
    /// Repeated.
    Texts,
    Messages(&'static Message),
}

/// The values of an enum: number = position.
pub struct Enum {
    pub prefix: &'static str,
    pub values: &'static [&'static str],
}

pub struct Field {
    pub number: u32,
    pub name: &'static str,
    pub kind: Kind,
}

/// Field numbers in use are below this.
const NUMBERS: usize = 17;

pub struct Message {
    pub fields: &'static [Field],
    /// By field number; [`Kind::Unknown`] where there is none.
    kinds: [Kind; NUMBERS],
    /// It counts as an item: a data point, a span, a log record.
    pub is_item: bool,
    pub is_attribute: bool,
}

impl Message {
    const fn new(fields: &'static [Field]) -> Message {
        let mut kinds = [Kind::Unknown; NUMBERS];
        let mut at = 0;
        while at < fields.len() {
            kinds[fields[at].number as usize] = fields[at].kind;
            at += 1;
        }
        Message { fields, kinds, is_item: false, is_attribute: false }
    }

    const fn item(fields: &'static [Field]) -> Message {
        Message { is_item: true, ..Message::new(fields) }
    }

    /// Whether it is an ArrayValue or a KeyValueList: nothing but values.
    pub fn is_list(&self) -> bool {
        matches!(self.fields, [Field { name: "values", .. }])
    }

    /// What field `number` holds.
    #[inline]
    pub fn kind(&self, number: u32) -> Kind {
        self.kinds.get(number as usize).copied().unwrap_or(Kind::Unknown)
    }
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

/// The request message of a signal.
pub fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Metrics => &METRICS_REQUEST,
        Signal::Traces => &TRACE_REQUEST,
        Signal::Logs => &LOGS_REQUEST,
    }
}

use Kind::{
    Bool, Bytes, Double, Doubles, Fixed32, Fixed64, Fixed64s, Id, Messages, Sfixed64, Sint32, Text,
    Texts, Varint, Varints,
};

const fn one(message: &'static Message) -> Kind {
    Kind::Message(message)
}

static ANY_VALUE: Message = Message::new(&[
    field(1, "stringValue", Text),
    field(2, "boolValue", Bool),
    field(3, "intValue", Varint),
    field(4, "doubleValue", Double),
    field(5, "arrayValue", one(&ARRAY_VALUE)),
    field(6, "kvlistValue", one(&KEY_VALUE_LIST)),
    field(7, "bytesValue", Bytes),
]);
static ARRAY_VALUE: Message = Message::new(&[field(1, "values", Messages(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message::new(&[field(1, "values", Messages(&KEY_VALUE))]);
static KEY_VALUE: Message = Message {
    is_attribute: true,
    ..Message::new(&[field(1, "key", Text), field(2, "value", one(&ANY_VALUE))])
};
static SCOPE: Message = Message::new(&[
    field(1, "name", Text),
    field(2, "version", Text),
    field(3, "attributes", Messages(&KEY_VALUE)),
    field(4, "droppedAttributesCount", Varint),
]);
static RESOURCE: Message = Message::new(&[
    field(1, "attributes", Messages(&KEY_VALUE)),
    field(2, "droppedAttributesCount", Varint),
    field(3, "entityRefs", Messages(&ENTITY_REF)),
]);
static ENTITY_REF: Message = Message::new(&[
    field(1, "schemaUrl", Text),
    field(2, "type", Text),
    field(3, "idKeys", Texts),
    field(4, "descriptionKeys", Texts),
]);

static METRICS_REQUEST: Message =
    Message::new(&[field(1, "resourceMetrics", Messages(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = Message::new(&[
    field(1, "resource", one(&RESOURCE)),
    field(2, "scopeMetrics", Messages(&SCOPE_METRICS)),
    field(3, "schemaUrl", Text),
]);
static SCOPE_METRICS: Message = Message::new(&[
    field(1, "scope", one(&SCOPE)),
    field(2, "metrics", Messages(&METRIC)),
    field(3, "schemaUrl", Text),
]);
static METRIC: Message = Message::new(&[
    field(1, "name", Text),
    field(2, "description", Text),
    field(3, "unit", Text),
    field(5, "gauge", one(&GAUGE)),
    field(7, "sum", one(&SUM)),
    field(9, "histogram", one(&HISTOGRAM)),
    field(10, "exponentialHistogram", one(&EXPONENTIAL_HISTOGRAM)),
    field(11, "summary", one(&SUMMARY)),
    field(12, "metadata", Messages(&KEY_VALUE)),
]);
static TEMPORALITY: Enum =
    Enum { prefix: "AGGREGATION_TEMPORALITY_", values: &["UNSPECIFIED", "DELTA", "CUMULATIVE"] };
static GAUGE: Message = Message::new(&[field(1, "dataPoints", Messages(&NUMBER_POINT))]);
static SUM: Message = Message::new(&[
    field(1, "dataPoints", Messages(&NUMBER_POINT)),
    field(2, "aggregationTemporality", Kind::Enum(&TEMPORALITY)),
    field(3, "isMonotonic", Bool),
]);
static HISTOGRAM: Message = Message::new(&[
    field(1, "dataPoints", Messages(&HISTOGRAM_POINT)),
    field(2, "aggregationTemporality", Kind::Enum(&TEMPORALITY)),
]);
static EXPONENTIAL_HISTOGRAM: Message = Message::new(&[
    field(1, "dataPoints", Messages(&EXPONENTIAL_POINT)),
    field(2, "aggregationTemporality", Kind::Enum(&TEMPORALITY)),
]);
static SUMMARY: Message = Message::new(&[field(1, "dataPoints", Messages(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message::item(&[
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "asDouble", Double),
    field(5, "exemplars", Messages(&EXEMPLAR)),
    field(6, "asInt", Sfixed64),
    field(7, "attributes", Messages(&KEY_VALUE)),
    field(8, "flags", Varint),
]);
static HISTOGRAM_POINT: Message = Message::item(&[
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "count", Fixed64),
    field(5, "sum", Double),
    field(6, "bucketCounts", Fixed64s),
    field(7, "explicitBounds", Doubles),
    field(8, "exemplars", Messages(&EXEMPLAR)),
    field(9, "attributes", Messages(&KEY_VALUE)),
    field(10, "flags", Varint),
    field(11, "min", Double),
    field(12, "max", Double),
]);
static EXPONENTIAL_POINT: Message = Message::item(&[
    field(1, "attributes", Messages(&KEY_VALUE)),
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "count", Fixed64),
    field(5, "sum", Double),
    field(6, "scale", Sint32),
    field(7, "zeroCount", Fixed64),
    field(8, "positive", one(&BUCKETS)),
    field(9, "negative", one(&BUCKETS)),
    field(10, "flags", Varint),
    field(11, "exemplars", Messages(&EXEMPLAR)),
    field(12, "min", Double),
    field(13, "max", Double),
    field(14, "zeroThreshold", Double),
]);
static BUCKETS: Message =
    Message::new(&[field(1, "offset", Sint32), field(2, "bucketCounts", Varints)]);
static SUMMARY_POINT: Message = Message::item(&[
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "count", Fixed64),
    field(5, "sum", Double),
    field(6, "quantileValues", Messages(&QUANTILE)),
    field(7, "attributes", Messages(&KEY_VALUE)),
    field(8, "flags", Varint),
]);
static QUANTILE: Message = Message::new(&[field(1, "quantile", Double), field(2, "value", Double)]);
static EXEMPLAR: Message = Message::new(&[
    field(2, "timeUnixNano", Fixed64),
    field(3, "asDouble", Double),
    field(4, "spanId", Id(8)),
    field(5, "traceId", Id(16)),
    field(6, "asInt", Sfixed64),
    field(7, "filteredAttributes", Messages(&KEY_VALUE)),
]);

static TRACE_REQUEST: Message =
    Message::new(&[field(1, "resourceSpans", Messages(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = Message::new(&[
    field(1, "resource", one(&RESOURCE)),
    field(2, "scopeSpans", Messages(&SCOPE_SPANS)),
    field(3, "schemaUrl", Text),
]);
static SCOPE_SPANS: Message = Message::new(&[
    field(1, "scope", one(&SCOPE)),
    field(2, "spans", Messages(&SPAN)),
    field(3, "schemaUrl", Text),
]);
static SPAN_KIND: Enum = Enum {
    prefix: "SPAN_KIND_",
    values: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
};
static SPAN: Message = Message::item(&[
    field(1, "traceId", Id(16)),
    field(2, "spanId", Id(8)),
    field(3, "traceState", Text),
    field(4, "parentSpanId", Id(8)),
    field(5, "name", Text),
    field(6, "kind", Kind::Enum(&SPAN_KIND)),
    field(7, "startTimeUnixNano", Fixed64),
    field(8, "endTimeUnixNano", Fixed64),
    field(9, "attributes", Messages(&KEY_VALUE)),
    field(10, "droppedAttributesCount", Varint),
    field(11, "events", Messages(&EVENT)),
    field(12, "droppedEventsCount", Varint),
    field(13, "links", Messages(&LINK)),
    field(14, "droppedLinksCount", Varint),
    field(15, "status", one(&STATUS)),
    field(16, "flags", Fixed32),
]);
static EVENT: Message = Message::new(&[
    field(1, "timeUnixNano", Fixed64),
    field(2, "name", Text),
    field(3, "attributes", Messages(&KEY_VALUE)),
    field(4, "droppedAttributesCount", Varint),
]);
static LINK: Message = Message::new(&[
    field(1, "traceId", Id(16)),
    field(2, "spanId", Id(8)),
    field(3, "traceState", Text),
    field(4, "attributes", Messages(&KEY_VALUE)),
    field(5, "droppedAttributesCount", Varint),
    field(6, "flags", Fixed32),
]);
static STATUS_CODE: Enum = Enum { prefix: "STATUS_CODE_", values: &["UNSET", "OK", "ERROR"] };
static STATUS: Message =
    Message::new(&[field(2, "message", Text), field(3, "code", Kind::Enum(&STATUS_CODE))]);

static LOGS_REQUEST: Message = Message::new(&[field(1, "resourceLogs", Messages(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = Message::new(&[
    field(1, "resource", one(&RESOURCE)),
    field(2, "scopeLogs", Messages(&SCOPE_LOGS)),
    field(3, "schemaUrl", Text),
]);
static SCOPE_LOGS: Message = Message::new(&[
    field(1, "scope", one(&SCOPE)),
    field(2, "logRecords", Messages(&LOG_RECORD)),
    field(3, "schemaUrl", Text),
]);
#[rustfmt::skip]
pub static SEVERITY: Enum = Enum {
    prefix: "SEVERITY_NUMBER_",
    values: &[
        "UNSPECIFIED",
        "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4",
        "INFO", "INFO2", "INFO3", "INFO4", "WARN", "WARN2", "WARN3", "WARN4",
        "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2", "FATAL3", "FATAL4",
    ],
};
static LOG_RECORD: Message = Message::item(&[
    field(1, "timeUnixNano", Fixed64),
    field(2, "severityNumber", Kind::Enum(&SEVERITY)),
    field(3, "severityText", Text),
    field(5, "body", one(&ANY_VALUE)),
    field(6, "attributes", Messages(&KEY_VALUE)),
    field(7, "droppedAttributesCount", Varint),
    field(8, "flags", Fixed32),
    field(9, "traceId", Id(16)),
    field(10, "spanId", Id(8)),
    field(11, "observedTimeUnixNano", Fixed64),
    field(12, "eventName", Text),
]);
