//! What the fuzz targets call: one function per format. Each takes any bytes and panics only when
//! the code under test breaks a promise that its module states.

pub mod dns;
pub mod grpc;
pub mod http;
pub mod otlp;
pub mod statsd;
pub mod xray;

use otlet::codec::deflate::Deflate;
use otlet::codec::gzip::Inflater;
use otlet::codec::json::Reader;
use otlet::codec::prometheus::{Event, Format, ParseError, Parser};
use otlet::net::Url;

pub use dns::dns_reply;
pub use http::{http_request, http_response};
pub use xray::{xray, xray_documents};

/// Prometheus text 0.0.4 and 1.0.0.
pub fn prometheus_text(data: &[u8]) {
    page(Format::Text, data);
}

/// OpenMetrics 1.0 text.
pub fn openmetrics(data: &[u8]) {
    page(Format::OpenMetrics, data);
}

/// A page gives the same events and the same error whole and cut in two, wherever the cut is. The
/// first two bytes say where.
fn page(format: Format, data: &[u8]) {
    let Some((cut, page)) = data.split_first_chunk::<2>() else { return };
    let cut = usize::from(u16::from_le_bytes(*cut)).min(page.len());
    let mut parser = Parser::new(format);
    let whole = read_page(&mut parser, format, page, &[page.len()]);
    let in_two = read_page(&mut parser, format, page, &[cut, page.len()]);
    assert_eq!(whole, in_two, "cut at {cut}");
}

/// Feeds the page up to each of `ends`; events as text, and how it ended.
fn read_page(
    parser: &mut Parser,
    format: Format,
    page: &[u8],
    ends: &[usize],
) -> (Vec<String>, Result<(), ParseError>) {
    let mut events = Vec::new();
    let mut visit = |event: Event<'_>| {
        if let Event::Sample(sample) = &event {
            let names: Vec<_> = sample.labels.iter().map(|label| label.name).collect();
            let unique = (1..names.len()).all(|at| !names[..at].contains(&names[at]));
            assert!(unique, "{names:?}");
        }
        events.push(format!("{event:?}"));
        Ok(())
    };
    parser.reset(format);
    let mut from = 0;
    for (at, &end) in ends.iter().enumerate() {
        let last = at + 1 == ends.len();
        match parser.parse(&page[from..end], last, &mut visit) {
            Ok(consumed) => from += consumed,
            Err(error) => return (events, Err(error)),
        }
    }
    let result = parser.finish(&mut visit);
    (events, result)
}

/// A command line, one argument a line. What is accepted never shows a secret when it is printed.
pub fn flags(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let arguments = text.lines().map(Into::into);
    let env = |name: &str| (name != "UNSET").then(|| "s3cr3t value".to_owned());
    match otlet::flags::parse("otlet", arguments, &env, Some(1 << 30)) {
        Ok(_) => {}
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
            assert!(!message.contains("s3cr3t"), "{message}");
        }
    }
}

/// Gzip read in pieces gives what it gives whole, whatever the buffers' sizes; the first two bytes
/// say which.
pub fn gzip(data: &[u8]) {
    const OUTPUT_BYTES_MAX: usize = 1 << 20;
    let Some((sizes, data)) = data.split_first_chunk::<2>() else { return };
    let [input_step, output_step] = sizes.map(|size| usize::from(size) + 1);
    let whole = inflate(data, data.len().max(1), 65_536, OUTPUT_BYTES_MAX);
    let pieces = inflate(data, input_step, output_step, OUTPUT_BYTES_MAX);
    if whole.0.len() < OUTPUT_BYTES_MAX && pieces.0.len() < OUTPUT_BYTES_MAX {
        assert_eq!(whole.1, pieces.1);
        // What comes before damage is handed out only as far as earlier calls got.
        let both = whole.0.len().min(pieces.0.len());
        assert!(whole.0[..both] == pieces.0[..both]);
        assert!(whole.1.is_some() || whole.0.len() == pieces.0.len());
    }
}

fn inflate(
    data: &[u8],
    input_step: usize,
    output_step: usize,
    bytes_max: usize,
) -> (Vec<u8>, Option<String>) {
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    let mut buffer = vec![0; output_step];
    let mut from = 0;
    while out.len() < bytes_max {
        let to = data.len().min(from + input_step);
        match inflater.inflate(&data[from..to], &mut buffer) {
            Ok(progress) => {
                assert!(progress.consumed <= to - from && progress.produced <= output_step);
                out.extend_from_slice(&buffer[..progress.produced]);
                from += progress.consumed;
                if progress.produced == 0 && progress.consumed == 0 {
                    break;
                }
            }
            Err(error) => return (out, Some(error.to_string())),
        }
    }
    (out, inflater.finish().err().map(|error| error.to_string()))
}

/// Blocks survive the round trip; bytes that are none are refused or bounded.
pub fn deflate(data: &[u8]) {
    let (mut deflate, mut block, mut output) = (Deflate::new(), Vec::new(), Vec::new());
    deflate.compress(data, 1, &mut block);
    assert_eq!(deflate.decompress(&block, data.len(), &mut output), Ok(()));
    assert!(output == data);
    output.clear();
    let _ = deflate.decompress(data, 10_000, &mut output);
    assert!(output.len() <= 10_000);
}

/// JSON: what a walk over every value accepts is what skipping accepts, and the other way round.
pub fn json(data: &[u8]) {
    let Ok(mut reader) = Reader::from_bytes(data) else { return };
    let skipped = reader.skip().and_then(|()| reader.end());
    let walked = Reader::from_bytes(data).and_then(|mut reader| {
        walk(&mut reader)?;
        reader.end()
    });
    assert_eq!(skipped, walked);
}

/// Reads one value with everything in it; depth is bounded by the reader.
fn walk(reader: &mut Reader<'_>) -> Result<(), otlet::codec::json::Error> {
    use otlet::codec::json::Kind;
    match reader.kind()? {
        Kind::Object => {
            assert!(reader.object()?);
            while let Some(key) = reader.key()? {
                key.decode();
                walk(reader)?;
            }
        }
        Kind::Array => {
            assert!(reader.array()?);
            while reader.element()? {
                walk(reader)?;
            }
        }
        Kind::String => drop(reader.string()?.expect("a string").decode()),
        Kind::Number => {
            let number = reader.number()?.expect("a number");
            assert!(number.parse::<f64>().is_ok(), "{number}");
        }
        Kind::Boolean => assert!(reader.boolean()?.is_some()),
        Kind::Null => reader.skip()?,
    }
    Ok(())
}

/// A URL that is accepted can be written and read again, and a redirect from it leads somewhere.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, location) = text.split_once('\n').unwrap_or((text, "/"));
    let Ok(url) = Url::parse(text) else { return };
    let target = url.target.clone();
    assert!(target.starts_with('/') && !target.contains([' ', '\r', '\n']), "{target:?}");
    assert!(!url.authority().contains(['/', '@', ' ', '\r', '\n']), "{:?}", url.authority());
    let again = format!("{}://{}{target}", url.scheme.as_str(), url.host_port());
    let again = Url::parse(&again).expect("what was accepted once");
    assert!(again.origin_eq(&url) && again.target == target, "{again:?} {url:?}");
    let _ = url.join(location);
}
