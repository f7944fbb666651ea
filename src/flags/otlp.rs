//! `--from-otlp`: where to listen, how large a body may be, and which web pages may send.

use std::net::SocketAddr;

use super::component::Component;
use super::value::{self, Parsed};
use super::{Config, FlagError, Receiver};
use crate::receive::otlp;

/// Most origins of `cors=`.
const ORIGINS_MAX: usize = 64;

/// OTLP's own bound of a message is 64 MiB; gRPC's length has 32 bits.
const BODY_BYTES_MAX: u64 = 1 << 30;

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let (grpc, http) = (given.get("grpc", listen)?, given.get("http", listen)?);
    if grpc.is_none() && http.is_none() {
        return Err(given.error("http", "grpc and http are both off; nothing would be received"));
    }
    config.receivers.push(Receiver::Otlp(otlp::Config {
        grpc,
        http,
        body_bytes_max: given.get("body_limit", body_limit)?,
        cors: given.optional("cors", origins)?.unwrap_or_default(),
    }));
    Ok(())
}

fn listen(text: &str) -> Parsed<Option<SocketAddr>> {
    match text {
        "off" => Ok(None),
        address => value::listen(address).map(Some).map_err(|why| why + ", or off"),
    }
}

fn body_limit(text: &str) -> Parsed<usize> {
    match value::size(text)? {
        bytes if bytes <= BODY_BYTES_MAX => Ok(bytes as usize),
        _ => Err("expected at most 1GiB".to_owned()),
    }
}

fn origins(text: &str) -> Parsed<Vec<String>> {
    let expected = "expected origins such as https://app.example or https://*.example, or *";
    let origins = value::list(text).map_err(|_| expected.to_owned())?;
    // scheme://host[:port], nothing behind it (RFC 6454 §6.2).
    let is_origin = |origin: &String| {
        let (_, rest) = origin.split_once("://").unwrap_or_default();
        let is_named = !rest.is_empty() && !rest.contains('/');
        origin == "*" || (is_named && origin.bytes().all(|byte| byte.is_ascii_graphic()))
    };
    if origins.len() > ORIGINS_MAX {
        return Err(format!("expected at most {ORIGINS_MAX} origins"));
    }
    origins.iter().all(is_origin).then_some(origins).ok_or(expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn otlp(argument: &str) -> otlp::Config {
        match config(&[argument]).receivers.remove(0) {
            Receiver::Otlp(otlp) => otlp,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let otlp = otlp("--from-otlp");
        assert_eq!(otlp.grpc, "127.0.0.1:4317".parse().ok());
        assert_eq!(otlp.http, "127.0.0.1:4318".parse().ok());
        assert_eq!((otlp.body_bytes_max, otlp.cors.len()), (16 << 20, 0));
    }

    #[test]
    fn settings() {
        let otlp = otlp(
            "--from-otlp=grpc=off http=0.0.0.0:1 body_limit=1GiB \
             cors=https://*.example,http://a:8080",
        );
        assert_eq!((otlp.grpc, otlp.http), (None, "0.0.0.0:1".parse().ok()));
        assert_eq!(otlp.body_bytes_max, 1 << 30);
        assert_eq!(otlp.cors, ["https://*.example", "http://a:8080"]);
        assert_eq!(super::tests::otlp("--from-otlp=cors=*").cors, ["*"]);
    }

    #[test]
    fn bad_values() {
        let bad = |value: &str, message: &str| {
            bad(&[&format!("--from-otlp={value}")], &format!("--from-otlp: {message}"));
        };
        let listen = "expected an address such as 127.0.0.1:13133, or off";
        bad("grpc=4317", &format!("grpc=\"4317\": {listen}"));
        bad("http=", &format!("http=\"\": {listen}"));
        bad("body_limit=2GiB", "body_limit=\"2GiB\": expected at most 1GiB");
        let expected = "expected origins such as https://app.example or https://*.example, or *";
        for cors in ["a", "https://", "https://a/b", "*,", ","] {
            bad(&format!("cors={cors}"), &format!("cors=\"{cors}\": {expected}"));
        }
        let off = "grpc and http are both off; nothing would be received";
        bad("grpc=off http=off", &format!("http: {off}"));
        super::super::tests::bad(&["--from-otlp", "--from-otlp"], "--from-otlp: given twice");
    }
}
