//! A remote-write receiver that remembers what it was sent (Prometheus Remote-Write 1.0; protobuf
//! encoding, "Message Structure").
//!
//! It decodes with a reader of its own, so that an encoder's mistake is not undone by the same
//! mistake; what does not decode, or breaks the specification, fails the test that looks.

use std::collections::BTreeMap;
use std::net::TcpListener;

use super::http::Message;
use super::scripted::{Answer, HttpServer};
use super::{wait_for, Labels};

/// One decoded request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteRequest {
    pub series: Vec<Series>,
    pub metadata: Vec<Metadata>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// Unix milliseconds and value.
    pub samples: Vec<(i64, f64)>,
    pub exemplars: Vec<(Labels, i64, f64)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    pub metric_type: u64,
    pub family: String,
    pub help: String,
    pub unit: String,
}

/// Unix milliseconds and values by series, in the order of arrival.
pub type Samples = BTreeMap<Labels, Vec<(i64, f64)>>;
/// Names and values as they stand in the message.
type Pairs = Vec<(String, String)>;

/// The receiver; it answers 204 until told otherwise.
pub struct RemoteWrite {
    pub http: HttpServer,
}

impl RemoteWrite {
    pub fn start() -> RemoteWrite {
        RemoteWrite { http: HttpServer::start(Answer::NoContent) }
    }

    pub fn start_on(listener: TcpListener) -> RemoteWrite {
        RemoteWrite { http: HttpServer::start_on(listener, Answer::NoContent) }
    }

    pub fn url(&self) -> String {
        self.http.url("/api/v1/write")
    }

    /// All requests so far, whatever they were answered.
    #[track_caller]
    pub fn requests(&self) -> Vec<WriteRequest> {
        self.http.requests().iter().map(|request| decode(request).expect("remote write")).collect()
    }

    /// All samples so far by series, in the order of arrival.
    #[track_caller]
    pub fn samples(&self) -> Samples {
        let mut all: Samples = BTreeMap::new();
        for series in self.requests().into_iter().flat_map(|request| request.series) {
            all.entry(series.labels).or_default().extend(series.samples);
        }
        all
    }

    /// Waits until the samples fulfil a condition, and returns them.
    #[track_caller]
    pub fn wait_samples(&self, what: &str, condition: impl Fn(&Samples) -> bool) -> Samples {
        wait_for(what, || Some(self.samples()).filter(|samples| condition(samples)))
    }
}

/// Decodes a request and checks what the specification demands of it.
pub fn decode(request: &Message) -> Result<WriteRequest, String> {
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        if request.header(name) != Some(value) {
            return Err(format!("{name} is {:?}", request.header(name)));
        }
    }
    let body = snap::raw::Decoder::new().decompress_vec(&request.body);
    decode_body(&body.map_err(|error| format!("snappy: {error}"))?)
}

fn decode_body(body: &[u8]) -> Result<WriteRequest, String> {
    let mut request = WriteRequest::default();
    for (number, value) in fields(body)? {
        match number {
            1 => request.series.push(series(value.bytes()?)?),
            3 => request.metadata.push(metadata(value.bytes()?)?),
            other => return Err(format!("WriteRequest has no field {other}")),
        }
    }
    Ok(request)
}

fn series(message: &[u8]) -> Result<Series, String> {
    let (mut out, mut pairs) = (Series::default(), Vec::new());
    for (number, value) in fields(message)? {
        match number {
            1 => pairs.push(label(value.bytes()?)?),
            2 => {
                let (_, value, time) = point(value.bytes()?, 1)?;
                out.samples.push((time, value));
            }
            3 => {
                let (labels, value, time) = point(value.bytes()?, 2)?;
                out.exemplars.push((labels.into_iter().collect(), time, value));
            }
            other => return Err(format!("TimeSeries has no field {other}")),
        }
    }
    let sorted = pairs.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let full = pairs.iter().all(|(name, value)| !name.is_empty() && !value.is_empty());
    if !sorted || !full || !pairs.iter().any(|(name, _)| name == "__name__") {
        return Err(format!("labels unsorted, doubled, empty or without a name: {pairs:?}"));
    }
    out.labels = pairs.into_iter().collect();
    Ok(out)
}

/// A Sample (value is field 1) or an Exemplar (labels are field 1, value is field 2).
fn point(message: &[u8], value_field: u64) -> Result<(Pairs, f64, i64), String> {
    let (mut labels, mut number, mut time) = (Vec::new(), 0.0, 0);
    for (field, value) in fields(message)? {
        match field {
            _ if field == value_field => number = f64::from_bits(value.number()?),
            _ if field == value_field + 1 => time = value.number()? as i64,
            1 => labels.push(label(value.bytes()?)?),
            other => return Err(format!("sample or exemplar has no field {other}")),
        }
    }
    Ok((labels, number, time))
}

fn label(message: &[u8]) -> Result<(String, String), String> {
    let (mut name, mut text) = (String::new(), String::new());
    for (number, value) in fields(message)? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            other => return Err(format!("Label has no field {other}")),
        }
    }
    Ok((name, text))
}

fn metadata(message: &[u8]) -> Result<Metadata, String> {
    let mut out = Metadata::default();
    for (number, value) in fields(message)? {
        match number {
            1 => out.metric_type = value.number()?,
            2 => out.family = value.text()?,
            4 => out.help = value.text()?,
            5 => out.unit = value.text()?,
            other => return Err(format!("MetricMetadata has no field {other}")),
        }
    }
    Ok(out)
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn number(&self) -> Result<u64, String> {
        match self {
            Value::Number(number) => Ok(*number),
            Value::Bytes(_) => Err(String::from("bytes where a number belongs")),
        }
    }

    fn bytes(&self) -> Result<&'a [u8], String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Number(_) => Err(String::from("a number where bytes belong")),
        }
    }

    fn text(&self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|error| error.to_string())
    }
}

/// The fields of a message, in order (protobuf.dev, "Encoding").
fn fields(mut message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, String> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut message)?),
            1 => {
                let (bytes, rest) = message.split_first_chunk().ok_or("a double is cut off")?;
                message = rest;
                Value::Number(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = varint(&mut message)? as usize;
                let (bytes, rest) = message.split_at_checked(length).ok_or("a field is cut off")?;
                message = rest;
                Value::Bytes(bytes)
            }
            other => return Err(format!("wire type {other}")),
        };
        found.push((key >> 3, value));
    }
    Ok(found)
}

fn varint(message: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().ok_or("a varint is cut off")?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(String::from("a varint of more than ten bytes"))
}
