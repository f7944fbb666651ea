//! The `http` block of a segment document.

use std::net::IpAddr;

use super::document::Bag;
use super::json_out::Json;
use crate::codec::otlp::AnyValue;

const METHOD: [&str; 2] = ["http.request.method", "http.method"];
const STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];
const URL: [&str; 2] = ["url.full", "http.url"];
const AGENT: [&str; 2] = ["user_agent.original", "http.user_agent"];
const LENGTH: [&str; 2] = ["http.response.body.size", "http.response_content_length"];
const SCHEME: [&str; 2] = ["url.scheme", "http.scheme"];
const PATH: [&str; 2] = ["http.target", "url.path"];
const PEER: [&str; 3] = ["network.peer.address", "net.sock.peer.addr", "net.peer.ip"];

/// Further attributes that only HTTP has.
const OTHERS: [&str; 3] = ["http.host", "http.server_name", "http.client_ip"];

/// What a span says of its exchange; nothing where it is about something else.
#[derive(Default)]
pub(super) struct Http<'a> {
    method: Option<&'a str>,
    url: Option<String>,
    agent: Option<&'a str>,
    client: Option<&'a str>,
    forwarded: Option<bool>,
    pub status: Option<i64>,
    length: Option<AnyValue<'a>>,
    is_http: bool,
}

impl<'a> Http<'a> {
    /// Takes what belongs to the exchange, as server or as client.
    pub fn read(own: &mut Bag<'a>, is_server: bool) -> Http<'a> {
        let keys = [&METHOD[..], &STATUS, &URL, &AGENT, &LENGTH, &SCHEME, &PATH, &OTHERS];
        if !keys.iter().any(|keys| own.has(keys)) {
            return Http::default();
        }
        let status = match own.take(&STATUS) {
            Some(AnyValue::Int(status)) => Some(status),
            Some(AnyValue::Text(text)) => text.parse().ok(),
            _ => None,
        };
        let url = own.text(&URL).map(str::to_owned).or_else(|| assemble_url(own, is_server));
        let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
        let address = own.peek(&["client.address"]).filter(|text| is_ip(text));
        let client = own.text(&["http.client_ip"]);
        let client = client.or_else(|| address.and_then(|_| own.text(&["client.address"])));
        let peer = own.text(&PEER);
        let forwarded = match own.take(&["aws.xray.x_forwarded_for"]) {
            Some(AnyValue::Bool(value)) => Some(value),
            _ => (client.is_some() && peer.is_none()).then_some(true),
        };
        Http {
            method: own.text(&METHOD),
            url,
            agent: own.text(&AGENT),
            client: client.or(peer),
            forwarded,
            status,
            length: own.take(&LENGTH),
            is_http: true,
        }
    }

    pub fn write(&self, json: &mut Json) {
        if !self.is_http {
            return;
        }
        json.key("http");
        json.open('{');
        json.key("request");
        json.open('{');
        let texts = [
            ("method", self.method),
            ("url", self.url.as_deref()),
            ("user_agent", self.agent),
            ("client_ip", self.client),
        ];
        for (member, text) in texts {
            if let Some(text) = text {
                json.text(member, text);
            }
        }
        if let Some(value) = self.forwarded {
            json.boolean("x_forwarded_for", value);
        }
        json.close('}');
        if self.status.is_some() || self.length.is_some() {
            json.key("response");
            json.open('{');
            if let Some(status) = self.status {
                json.integer("status", status);
            }
            if let Some(length) = self.length {
                json.value("content_length", length);
            }
            json.close('}');
        }
        json.close('}');
    }
}

/// A URL out of its parts; ports that are the scheme's own are left out.
fn assemble_url(own: &mut Bag<'_>, is_server: bool) -> Option<String> {
    // A Host header has its port; the others need one.
    let (host, port) = match own.text(&["http.host"]) {
        Some(host) => (host, None),
        None if is_server => {
            let keys = ["http.server_name", "server.address", "net.host.name", "host.name"];
            (own.text(&keys)?, own.take(&["server.port", "net.host.port"]))
        }
        None => {
            let name = own.text(&["server.address", "net.peer.name"]);
            let port = own.take(&["server.port", "net.peer.port"]);
            (name.or_else(|| own.peek(&PEER))?, port)
        }
    };
    let scheme = own.text(&SCHEME).unwrap_or("http");
    let port = match port {
        Some(AnyValue::Int(port)) => Some(port),
        Some(AnyValue::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let port = port.filter(|port| !matches!((scheme, port), ("http", 80) | ("https", 443)));
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    let path = own.text(&PATH).unwrap_or("/");
    let query = own.text(&["url.query"]).map_or(String::new(), |query| format!("?{query}"));
    let host = match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    };
    Some(format!("{scheme}://{host}{port}{path}{query}"))
}
