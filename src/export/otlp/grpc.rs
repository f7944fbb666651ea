//! One unary call (grpc/doc/PROTOCOL-HTTP2.md), and how it ended.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::answer::judge_grpc;
use super::config::OWN_HEADERS;
use crate::codec::base64;
use crate::codec::grpc::{decode_message, prefix, render_timeout, Code, Deframer, Piece, Status};
use crate::codec::otlp::Signal;
use crate::export::account::ExporterAccount;
use crate::export::delivery::Outcome;
use crate::export::retry::Verdict;
use crate::net::dns::Resolver;
use crate::net::http2::client::{Client, Request, Response};
use crate::net::{self, ClientConfig, Secrets, Url};

/// Calls one method.
pub struct Grpc {
    pub client: Client,
    path: &'static str,
    headers: Vec<(String, String)>,
    is_gzip: bool,
    secrets: Secrets,
    timeout: Duration,
    account: Rc<ExporterAccount>,
}

impl Grpc {
    /// Fails where the client keys do not make sense.
    pub fn new(
        url: &Url,
        config: &ClientConfig,
        resolver: &Rc<Resolver>,
        (signal, is_gzip): (Signal, bool),
        account: &Rc<ExporterAccount>,
    ) -> Result<Grpc, String> {
        let own = [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-encoding", if is_gzip { "gzip" } else { "identity" }),
            ("grpc-timeout", &render_timeout(config.timeout)),
        ];
        let lines = config.render_headers(&OWN_HEADERS)?;
        let given = lines.lines().filter_map(|line| line.split_once(": "));
        let headers = own.into_iter().chain(given);
        Ok(Grpc {
            client: Client::new(url, config, Rc::clone(resolver))?,
            path: match signal {
                Signal::Metrics => {
                    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
                }
                Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            },
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            is_gzip,
            secrets: config.secrets(),
            timeout: config.timeout,
            account: Rc::clone(account),
        })
    }

    /// Sends one message, compressed as the headers say.
    pub async fn send(&mut self, message: &[u8]) -> Outcome {
        let Ok(len) = u32::try_from(message.len()) else {
            return Outcome::new(Verdict::TooLarge, "a message has at most 4 GiB");
        };
        let prefix = prefix(self.is_gzip && len > 0, len);
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = Request { path: self.path, headers: &headers, body: &[&prefix, message] };
        let started = Instant::now();
        let mut response = match net::timeout(self.timeout, self.client.send(&request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return self.unanswered(error.after(self.account.destination()));
            }
            Err(net::Elapsed) => {
                let limit_s = self.timeout.as_secs_f64();
                return self.unanswered(format!("no answer within {limit_s} s"));
            }
        };
        let mut status = status(&response);
        let mut words = status.message.into_bytes();
        self.secrets.hide(&mut words);
        self.secrets.hide(&mut response.body);
        status.message = String::from_utf8_lossy(&words).into_owned();
        self.account.log_answer(response.status, message.len(), started);
        self.account.answer(status.code.to_http());
        judge_grpc(&status, message_of(&response.body))
    }

    fn unanswered(&self, why: String) -> Outcome {
        self.account.answer(0);
        Outcome::new(Verdict::Retry, why)
    }
}

/// How the call ended: by its trailers, else by its HTTP status.
fn status(response: &Response) -> Status {
    let Some(code) = response.trailer("grpc-status") else {
        let words = format!("HTTP status {} without grpc-status", response.status);
        return Status::new(Code::from_http(response.status), words);
    };
    let words = decode_message(response.trailer("grpc-message").unwrap_or_default());
    let mut status = Status::new(Code::parse(code), words);
    let details = response.trailer("grpc-status-details-bin").and_then(base64::decode);
    if let Some(Ok(details)) = details.map(|bytes| Status::from_protobuf(&bytes)) {
        status.retry_after = details.retry_after;
    }
    status
}

/// The response message; empty where there is none that can be read.
fn message_of(mut body: &[u8]) -> &[u8] {
    let mut deframer = Deframer::default();
    while let Ok(Some(piece)) = deframer.next(&mut body) {
        if let Piece::Data(data) = piece {
            return data;
        }
    }
    &[]
}
