//! What a segment is called: the service that serves, or the one that is called.

use std::borrow::Cow;

use super::document::{Bag, Parts, Shape};

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

pub(super) fn choose<'a>(
    parts: &Parts<'a>,
    shape: Shape,
    own: &Bag<'a>,
    resource: &Bag<'a>,
) -> Name<'a> {
    let is_aws_api = own.peek(&["rpc.system"]) == Some("aws-api");
    let service = own.peek(&["aws.service"]);
    let is_aws = is_aws_api || service.is_some();
    let is_remote = parts.is_call() || matches!(shape, Shape::Call(_));
    let namespace = match shape {
        Shape::Root | Shape::Service(_) => None,
        _ if is_aws => Some("aws"),
        _ => is_remote.then_some("remote"),
    };
    let operation = if is_aws_api { own.peek(&["rpc.method"]) } else { None };
    let name = special(parts, shape, own, resource, is_aws_api)
        .or_else(|| own.peek(&["peer.service"]))
        .or(service)
        .map(Cow::Borrowed)
        .or_else(|| database(own))
        .or_else(|| common(parts, own, resource).map(Cow::Borrowed))
        .unwrap_or(parts.name.into());
    Name { name: clean(name), namespace, operation }
}

/// What Application Signals says, which counts most.
fn special<'a>(
    parts: &Parts<'a>,
    shape: Shape,
    own: &Bag<'a>,
    resource: &Bag<'a>,
    is_aws_api: bool,
) -> Option<&'a str> {
    let local = || own.peek(&["aws.local.service"]);
    match (shape, parts.kind) {
        (Shape::Service(_), _) => local().or_else(|| resource.peek(&["service.name"])),
        (Shape::Call(_), _) | (_, CLIENT | PRODUCER | CONSUMER) => {
            own.peek(&["aws.remote.service"]).map(|name| {
                let bare = name.strip_prefix("AWS.SDK.").or(name.strip_prefix("AWS::"));
                bare.filter(|_| is_aws_api).unwrap_or(name)
            })
        }
        (_, SERVER) | (Shape::Root, _) => local(),
        _ => None,
    }
}

fn database<'a>(own: &Bag<'a>) -> Option<Cow<'a, str>> {
    let database = own.peek(&["db.name", "db.namespace"])?;
    let host = own.peek(&["db.connection_string"]).and_then(host_of);
    Some(match host {
        Some(host) => format!("{database}@{host}").into(),
        None => database.into(),
    })
}

fn common<'a>(parts: &Parts<'a>, own: &Bag<'a>, resource: &Bag<'a>) -> Option<&'a str> {
    let of_server = if parts.kind == SERVER { resource.peek(&["service.name"]) } else { None };
    let keys = ["rpc.service", "http.host", "net.peer.name"];
    of_server.or_else(|| own.peek(&keys))
}

// mysql://db.example:3306
//         ^ host
fn host_of(connection: &str) -> Option<&str> {
    let (_, rest) = connection.split_once("//")?;
    let host = rest.split(['/', '?']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
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
