//! What a segment is called: the service that serves, or the one that is called.

use std::borrow::Cow;

use super::document::{Bag, Parts};

/// Longest name that X-Ray takes.
const NAME_BYTES_MAX: usize = 200;

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;

/// What attributes say about the name.
pub(super) struct Name<'a> {
    pub name: Cow<'a, str>,
    pub namespace: Option<&'static str>,
    /// The operation of a call to AWS.
    pub operation: Option<&'a str>,
}

pub(super) fn choose<'a>(parts: &Parts<'a>, own: &Bag<'a>, resource: &Bag<'a>) -> Name<'a> {
    let is_aws_api = own.peek(&["rpc.system"]) == Some("aws-api");
    let service = own.peek(&["aws.service"]);
    let is_aws = is_aws_api || service.is_some();
    let is_remote = matches!(parts.kind, CLIENT | PRODUCER) && !parts.is_segment();
    let namespace = match is_aws {
        true => Some("aws"),
        false => is_remote.then_some("remote"),
    };
    let operation = if is_aws_api { own.peek(&["rpc.method"]) } else { None };
    let name = find(parts, own, resource, is_aws_api, service);
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| parts.name.into());
    Name { name: clean(name), namespace, operation }
}

/// The first that is there.
fn find<'a>(
    parts: &Parts<'a>,
    own: &Bag<'a>,
    resource: &Bag<'a>,
    is_aws_api: bool,
    service: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    let local = match parts.kind {
        SERVER => own.peek(&["aws.local.service"]),
        CLIENT | PRODUCER | CONSUMER => own.peek(&["aws.remote.service"]).map(|name| {
            let bare = name.strip_prefix("AWS.SDK.").or(name.strip_prefix("AWS::"));
            bare.filter(|_| is_aws_api).unwrap_or(name)
        }),
        _ => None,
    };
    let plain = local.or_else(|| own.peek(&["peer.service"])).or(service);
    if let Some(name) = plain {
        return Some(name.into());
    }
    if let Some(database) = own.peek(&["db.name", "db.namespace"]) {
        let host = own.peek(&["db.connection_string"]).and_then(host_of);
        return Some(match host {
            Some(host) => format!("{database}@{host}").into(),
            None => database.into(),
        });
    }
    let of_server = if parts.kind == SERVER { resource.peek(&["service.name"]) } else { None };
    let rest = of_server.or_else(|| own.peek(&["rpc.service", "http.host", "net.peer.name"]));
    rest.map(Cow::Borrowed)
}

// mysql://db.example:3306
//         ^ host
fn host_of(connection: &str) -> Option<&str> {
    let (_, rest) = connection.split_once("//")?;
    let host = rest.split(['/', '?', ':']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

/// Without the characters that X-Ray refuses, and no longer than it takes.
fn clean(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_good = |c: char| c.is_alphanumeric() || c.is_whitespace() || r"_.:/%&#=+\-@".contains(c);
    let name = match name.chars().all(is_good) {
        true => name,
        false => name.chars().filter(|c| is_good(*c)).collect(),
    };
    if name.is_empty() {
        return "span".into();
    }
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    let end = (0..=NAME_BYTES_MAX).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name[..end].to_owned().into()
}
