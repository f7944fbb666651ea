//! How long the Prometheus text parser takes per sample: `cargo run --release --example
//! prometheus_speed`. One line per kind of page.

use std::time::Instant;

use otlet::codec::prometheus::{Event, Format, ParseError, Parser};

/// How much of a page is in the parser's hands at once.
const WINDOW_BYTES: usize = 64 * 1024;

fn counters() -> String {
    let mut page = String::from("# HELP http_requests_total Requests served.\n");
    page += "# TYPE http_requests_total counter\n";
    for number in 0..10_000 {
        let (code, path) = (200 + number % 5, number % 97);
        page += &format!(
            "http_requests_total{{method=\"GET\",path=\"/api/v1/item{path}\",code=\"{code}\",\
             zone=\"eu-west-1a\",shard=\"{number}\"}} {}\n",
            number * 37
        );
    }
    page
}

fn histograms(bounds: &[&str]) -> String {
    let name = "http_request_duration_seconds";
    let mut page = format!("# HELP {name} How long it took.\n# TYPE {name} histogram\n");
    for number in 0..10_000 / (bounds.len() + 2) {
        let labels = format!("method=\"GET\",path=\"/api/v1/item{number}\",code=\"200\"");
        for (at, bound) in bounds.iter().enumerate() {
            page +=
                &format!("{name}_bucket{{{labels},shard=\"7\",le=\"{bound}\"}} {}\n", at * number);
        }
        page += &format!("{name}_sum{{{labels},shard=\"7\"}} {}.123456\n", number);
        page += &format!("{name}_count{{{labels},shard=\"7\"}} {}\n", number * 99);
    }
    page
}

/// Parses the page once; returns the number of samples, and their sum so that nothing is left out.
fn read(parser: &mut Parser, format: Format, page: &[u8]) -> (u64, f64) {
    let (mut samples, mut sum, mut from) = (0, 0.0, 0);
    let mut visit = |event: Event<'_>| -> Result<(), ParseError> {
        if let Event::Sample(sample) = event {
            samples += 1;
            sum += sample.value + sample.labels.len() as f64;
        }
        Ok(())
    };
    parser.reset(format);
    while from < page.len() {
        let to = page.len().min(from + WINDOW_BYTES);
        match parser.parse(&page[from..to], to == page.len(), &mut visit) {
            Ok(consumed) => from += consumed,
            Err(error) => panic!("{error}"),
        }
    }
    (samples, sum)
}

fn measure(title: &str, format: Format, page: &str, rounds: u32) {
    let mut parser = Parser::new(format);
    let mut best_ns = f64::MAX;
    let mut samples = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        samples = std::hint::black_box(read(&mut parser, format, page.as_bytes())).0;
        best_ns = best_ns.min(start.elapsed().as_nanos() as f64);
    }
    let (samples, bytes) = (samples as f64, page.len() as f64);
    println!(
        "{title:<28} {:6.1} ns/sample  {:5.1} bytes/sample  {:6.0} MB/s",
        best_ns / samples,
        bytes / samples,
        bytes / best_ns * 1000.0
    );
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let normal =
        ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "+Inf"];
    let short = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
    let large = ["1024", "16384", "262144", "1.048576e+06", "1.6777216e+07", "+Inf"];
    let escaped = counters().replace("/api", "\\\\api");
    measure("counters", Format::Text, &counters(), rounds);
    measure("counters, OpenMetrics", Format::OpenMetrics, &counters(), rounds);
    measure("counters, escapes", Format::Text, &escaped, rounds);
    measure("histograms", Format::Text, &histograms(&normal), rounds);
    measure("histograms, le=\"1\"", Format::Text, &histograms(&short), rounds);
    measure("histograms, large bounds", Format::Text, &histograms(&large), rounds);
}
