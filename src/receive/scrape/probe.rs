//! One GET of a target's page, which nothing is made of: for `--check`.

use std::rc::Rc;

use super::config::Config;
use super::fetch::{Body, Consumer, ScrapeError, Source};
use crate::codec::prometheus::Format;
use crate::net::dns::Resolver;
use crate::net::{self, Elapsed};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// Fetches the page as a scrape would; the text says how much came, or why it did not.
pub async fn probe(config: &Config, resolver: &Rc<Resolver>) -> Result<String, String> {
    let mut source = Source::new(config, Rc::clone(resolver))?;
    let mut probe = Probe { format: Format::Text, bytes: 0 };
    match net::timeout(config.timeout, source.fetch(&mut probe)).await {
        Ok(Ok(())) => {
            let format = match probe.format {
                Format::Text => "text",
                Format::OpenMetrics => "OpenMetrics",
            };
            Ok(format!("200, {} bytes of {format}", probe.bytes))
        }
        Ok(Err(error)) => Err(error.message),
        Err(Elapsed) => Err(format!("not complete after {} s", config.timeout.as_secs_f64())),
    }
}

/// Counts.
struct Probe {
    format: Format,
    bytes: u64,
}

impl Consumer for Probe {
    fn begin(&mut self, format: Format) {
        self.format = format;
    }

    async fn read_into(&mut self, body: &mut Body<'_, '_>) -> Result<(), ScrapeError> {
        let mut buffer = vec![0; READ_BYTES];
        while body.read(&mut buffer).await? > 0 {}
        self.bytes = body.bytes();
        Ok(())
    }
}
