//! One page over HTTP: request, redirects, content type, gzip; a stream of plain bytes.

use std::rc::Rc;

use super::config::{Config, OWN_HEADERS};
use super::page::PageError;
use crate::codec::gzip::{GzipError, Inflater};
use crate::codec::prometheus::Format;
use crate::net::dns::Resolver;
use crate::net::http1::{Client, Request, Response};
use crate::net::url::Url;
use crate::net::ClientConfig;

/// As Prometheus sends it when text is wanted and UTF-8 names are welcome.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Redirects followed; Go's client, and so Prometheus, gives up after ten.
const REDIRECTS_MAX: usize = 10;

/// Compressed bytes read at a time.
const COMPRESSED_BYTES: usize = 16 * 1024;

/// A scrape that failed: the reason it is counted under, and what to tell.
#[derive(Debug)]
pub struct ScrapeError {
    pub reason: &'static str,
    pub message: String,
    of_page: bool,
}

impl ScrapeError {
    pub fn new(reason: &'static str, message: impl std::fmt::Display) -> ScrapeError {
        ScrapeError { reason, message: message.to_string(), of_page: false }
    }

    /// True when the page itself was refused; false when it did not come, or not whole.
    pub fn is_of_page(&self) -> bool {
        self.of_page
    }
}

impl From<PageError> for ScrapeError {
    fn from(error: PageError) -> ScrapeError {
        ScrapeError { of_page: true, ..ScrapeError::new(error.reason(), error) }
    }
}

/// The headers of every request to one target, without its credentials.
pub fn headers(url: &Url, timeout_s: f64) -> String {
    // Compression within one host costs the application more than it saves.
    let coding = if url.is_loopback() { "identity" } else { "gzip" };
    format!(
        "Accept: {ACCEPT}\r\nAccept-Encoding: {coding}\r\nUser-Agent: otlet/{}\r\n\
         X-Prometheus-Scrape-Timeout-Seconds: {timeout_s}\r\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Where a target's pages come from.
pub struct Source {
    url: Url,
    client: Client,
    /// Without and with credentials; the latter never leave the target's own origin.
    headers: String,
    own_headers: String,
    config: ClientConfig,
    /// Plain bytes of a page; zero means no limit.
    body_limit: u64,
    resolver: Rc<Resolver>,
}

impl Source {
    pub fn new(config: &Config, resolver: Rc<Resolver>) -> Result<Source, String> {
        let Config { url, client: config, body_limit, timeout, .. } = config;
        let headers = headers(url, timeout.as_secs_f64());
        let own_headers = format!("{headers}{}", config.render_headers(&OWN_HEADERS)?);
        let client = Client::new(url, config, Rc::clone(&resolver))?;
        let (url, config, body_limit) = (url.clone(), config.clone(), *body_limit);
        Ok(Source { url, client, headers, own_headers, config, body_limit, resolver })
    }

    /// Asks for the page, following redirects, and hands its body to `consume`.
    pub async fn fetch(&mut self, consumer: &mut impl Consumer) -> Result<(), ScrapeError> {
        let Source { url, client, headers, own_headers, config, body_limit, resolver } = self;
        let terms = Terms { told: &url.authority(), body_limit: *body_limit };
        let location = match exchange(client, terms, url, own_headers, consumer).await? {
            None => return Ok(()),
            Some(location) => location,
        };
        let (mut at, mut location) = (url.clone(), location);
        for _ in 0..REDIRECTS_MAX {
            let next = at
                .join(&location)
                .map_err(|error| ScrapeError::new("http", format!("redirect to {error}")))?;
            let same_origin = next.origin_eq(url);
            let bare = ClientConfig {
                tls_ca: config.tls_ca.clone(),
                tls_insecure: config.tls_insecure,
                proxy: config.proxy.clone(),
                ..ClientConfig::default()
            };
            let config = if same_origin { &*config } else { &bare };
            let headers = if same_origin { &*own_headers } else { &*headers };
            let mut client = Client::new(&next, config, Rc::clone(resolver))
                .map_err(|error| ScrapeError::new("http", error))?;
            match exchange(&mut client, terms, &next, headers, consumer).await? {
                None => return Ok(()),
                Some(further) => (at, location) = (next, further),
            }
        }
        Err(ScrapeError::new("http", format!("more than {REDIRECTS_MAX} redirects")))
    }
}

/// Takes a page as it comes.
pub trait Consumer {
    fn begin(&mut self, format: Format);
    fn read_into(
        &mut self,
        body: &mut Body<'_, '_>,
    ) -> impl std::future::Future<Output = Result<(), ScrapeError>>;
}

/// What holds for a target, wherever it redirects to.
#[derive(Clone, Copy)]
struct Terms<'a> {
    /// The address that errors need not name.
    told: &'a str,
    body_limit: u64,
}

/// One request; where it leads if it was redirected.
async fn exchange(
    client: &mut Client,
    terms: Terms<'_>,
    url: &Url,
    headers: &str,
    consumer: &mut impl Consumer,
) -> Result<Option<String>, ScrapeError> {
    let request = Request { method: "GET", target: &url.target, headers, body: None };
    let mut response = client
        .send(&request)
        .await
        .map_err(|error| ScrapeError::new("connect", error.after(terms.told)))?;
    let status = response.status();
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        if let Some(location) = response.header("location").map(str::to_owned) {
            response.finish().await;
            return Ok(Some(location));
        }
    }
    if status != 200 {
        response.finish().await;
        return Err(ScrapeError::new("http", format!("server returned HTTP status {status}")));
    }
    consumer.begin(format_of(response.header("content-type")));
    let gzip = response.header("content-encoding").is_some_and(|coding| coding == "gzip");
    let mut body = Body { response: &mut response, terms, gzip: gzip.then(Gzip::new), bytes: 0 };
    consumer.read_into(&mut body).await?;
    response.finish().await;
    Ok(None)
}

/// The parser for a media type; text where it is absent or something else.
fn format_of(content_type: Option<&str>) -> Format {
    let media_type = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// A page's plain bytes.
pub struct Body<'a, 'c> {
    response: &'a mut Response<'c>,
    terms: Terms<'a>,
    gzip: Option<Gzip>,
    bytes: u64,
}

struct Gzip {
    inflater: Inflater,
    input: Vec<u8>,
    /// What of `input` is waiting.
    start: usize,
    end: usize,
    ended: bool,
}

impl Gzip {
    fn new() -> Gzip {
        let input = vec![0; COMPRESSED_BYTES];
        Gzip { inflater: Inflater::new(), input, start: 0, end: 0, ended: false }
    }
}

impl Body<'_, '_> {
    /// Plain bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads some plain bytes; zero means the page is complete. Fails above the target's limit.
    pub async fn read(&mut self, out: &mut [u8]) -> Result<usize, ScrapeError> {
        let count = self.read_plain(out).await?;
        self.bytes += count as u64;
        let limit = self.terms.body_limit;
        if limit > 0 && self.bytes > limit {
            let message = format!("page exceeds body_limit={limit}");
            return Err(ScrapeError::new("body_limit", message));
        }
        Ok(count)
    }

    async fn read_plain(&mut self, out: &mut [u8]) -> Result<usize, ScrapeError> {
        let told = self.terms.told;
        let Some(gzip) = &mut self.gzip else {
            return read(self.response, told, out).await;
        };
        loop {
            if gzip.start == gzip.end && !gzip.ended {
                (gzip.start, gzip.end) = (0, read(self.response, told, &mut gzip.input).await?);
                gzip.ended = gzip.end == 0;
            }
            let waiting = &gzip.input[gzip.start..gzip.end];
            let progress =
                gzip.inflater.inflate(waiting, out).map_err(|error| gzip_error(&error))?;
            gzip.start += progress.consumed;
            if progress.produced > 0 {
                return Ok(progress.produced);
            }
            if gzip.ended {
                let ended = gzip.inflater.finish();
                return ended.map(|()| 0).map_err(|error| gzip_error(&error));
            }
        }
    }
}

fn gzip_error(error: &GzipError) -> ScrapeError {
    ScrapeError::new("gzip", format!("gzip body: {error}"))
}

async fn read(
    response: &mut Response<'_>,
    told: &str,
    out: &mut [u8],
) -> Result<usize, ScrapeError> {
    response.read(out).await.map_err(|error| ScrapeError::new("read", error.after(told)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_media_type_counts() {
        for (content_type, format) in [
            (Some("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some("text/plain; version=0.0.4"), Format::Text),
            (Some("text/html"), Format::Text),
            (Some(""), Format::Text),
            (None, Format::Text),
        ] {
            assert_eq!(format_of(content_type), format, "{content_type:?}");
        }
    }
}
