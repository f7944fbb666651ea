//! Asking the task metadata endpoint, version 4, for its two documents (Amazon ECS Developer Guide,
//! "Task metadata endpoint version 4").
//!
//! One connection, kept; a request has a time limit and an answer a bound. The endpoint is
//! throttled (429) where several ask at once, so that an answer that may be another next time is
//! asked for again after a pause, within the collection.

use std::rc::Rc;
use std::time::Duration;

use crate::net::dns::Resolver;
use crate::net::http1::{Client, Request};
use crate::net::{sleep, timeout, ClientConfig, Url};
use crate::observe::log::shorten;

/// Longest document read: a task has at most ten containers, of some ten KiB each with statistics.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// For one request and its answer.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// Before the second attempt; there is no third, because the application's credentials come from
/// the same endpoint under the same limit of requests.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
/// How much of an error's body is shown.
const SHOWN_CHARS_MAX: usize = 200;
/// Room that a document begins with.
const FIRST_BYTES: usize = 16 << 10;

/// Why a document could not be had: the reason it is counted under, and what to tell.
#[derive(Debug)]
pub struct Failure {
    pub reason: &'static str,
    pub message: String,
}

impl Failure {
    fn new(reason: &'static str, message: impl Into<String>) -> Failure {
        Failure { reason, message: message.into() }
    }
}

/// The endpoint of this task.
pub struct Endpoint {
    url: Url,
    client: Client,
}

impl Endpoint {
    /// `uri` is the value of ECS_CONTAINER_METADATA_URI_V4.
    pub fn new(uri: &str, resolver: Rc<Resolver>) -> Result<Endpoint, String> {
        let uri = uri.trim().trim_end_matches('/');
        let url =
            Url::parse(uri).map_err(|error| format!("ECS_CONTAINER_METADATA_URI_V4: {error}"))?;
        let client = Client::new(&url, &ClientConfig::default(), resolver)?;
        Ok(Endpoint { url, client })
    }

    /// One document; `path` is what follows the address.
    pub async fn get(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut is_second = false;
        loop {
            let failure = match timeout(REQUEST_MAX, self.ask(path)).await {
                Ok(Ok((200, body))) => return Ok(body),
                Ok(Ok((status, body))) => {
                    let words = shorten(body.trim_ascii(), SHOWN_CHARS_MAX);
                    let reason = if status == 429 { "throttled" } else { "status" };
                    let failure = Failure::new(reason, format!("{path}: {status}: {words}"));
                    if status != 429 && status < 500 {
                        return Err(failure);
                    }
                    failure
                }
                Ok(Err(failure)) if failure.reason == "too_large" => return Err(failure),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let message = format!("{path}: no answer within {} s", REQUEST_MAX.as_secs());
                    Failure::new("timeout", message)
                }
            };
            if std::mem::replace(&mut is_second, true) {
                return Err(failure);
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    async fn ask(&mut self, path: &str) -> Result<(u16, Vec<u8>), Failure> {
        let connect =
            |error: crate::net::Error| Failure::new("connect", format!("{path}: {error}"));
        let target = format!("{}{path}", self.url.target.trim_end_matches('/'));
        let headers = "Accept: application/json\r\n";
        let request = Request { method: "GET", target: &target, headers, body: None };
        let mut response = self.client.send(&request).await.map_err(connect)?;
        let status = response.status();
        let (mut body, mut len) = (vec![0; FIRST_BYTES], 0);
        loop {
            if len == body.len() {
                if len >= DOCUMENT_BYTES_MAX {
                    let message = format!("{path}: longer than {DOCUMENT_BYTES_MAX} bytes");
                    return Err(Failure::new("too_large", message));
                }
                body.resize((len * 2).min(DOCUMENT_BYTES_MAX), 0);
            }
            match response.read(&mut body[len..]).await.map_err(connect)? {
                0 => break,
                read => len += read,
            }
        }
        body.truncate(len);
        Ok((status, body))
    }
}
