//! One segment or subsegment as an OTLP span.

use super::walk::Node;
use super::{aws, cause, each, integer, string, Scratch, ATTRIBUTES_MAX};
use crate::codec::json::{Error, Kind, Reader, Text};
use crate::codec::protobuf::{push_bytes, push_fixed64, push_message, push_varint_field};
use crate::codec::xray;

/// Values of `Span.kind` (opentelemetry-proto, trace.proto).
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// `Status.code`.
const ERROR: u64 = 2;

/// Statuses of HTTP that are no error. That 399 is none of them is the collector's rule.
const GOOD_STATUSES: std::ops::Range<i64> = 100..399;

/// `origin` and the value of `cloud.platform`.
pub(super) const PLATFORMS: [(&str, &str); 9] = [
    ("AWS::EC2::Instance", "aws_ec2"),
    ("AWS::ECS::Container", "aws_ecs"),
    ("AWS::ECS::EC2", "aws_ecs"),
    ("AWS::ECS::Fargate", "aws_ecs"),
    ("AWS::ElasticBeanstalk::Environment", "aws_elastic_beanstalk"),
    ("AWS::EKS::Container", "aws_eks"),
    ("AWS::AppRunner::Service", "aws_app_runner"),
    ("AWS::Lambda", "aws_lambda"),
    ("AWS::Lambda::Function", "aws_lambda"),
];

/// What is known of a span before all its members are.
pub(super) struct Span<'a, 's> {
    pub is_root: bool,
    pub scratch: &'s mut Scratch,
    pub out: &'s mut Vec<u8>,
    name: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    start: u64,
    end: Option<u64>,
    has_client_ip: bool,
    http_status: Option<i64>,
    has_flag: bool,
    /// A cause, whichever; and the exception's id where it is only that.
    pub has_cause: bool,
    pub cause_id: Option<Text<'a>>,
    pub has_exceptions: bool,
    pub sdk: Option<Text<'a>>,
}

/// Appends the inside of a `Span`; the root also fills the resource. The text was walked before, so
/// that it cannot be malformed: a span would end where it is.
pub(super) fn write(
    text: &str,
    node: &Node,
    is_root: bool,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    scratch.attributes.clear();
    push_bytes(out, 1, &node.trace_id);
    push_bytes(out, 2, &node.span_id);
    if node.parent_id != [0; 8] {
        push_bytes(out, 4, &node.parent_id);
    }
    let mut span = Span {
        is_root,
        scratch,
        out,
        name: None,
        namespace: None,
        start: 0,
        end: None,
        has_client_ip: false,
        http_status: None,
        has_flag: false,
        has_cause: false,
        cause_id: None,
        has_exceptions: false,
        sdk: None,
    };
    if is_root {
        span.scratch.resource.text("cloud.provider", "unknown");
    }
    let read = span.members(Reader::new(text), node);
    debug_assert!(read.is_ok(), "{read:?}");
    span.finish(node);
}

impl<'a> Span<'a, '_> {
    fn members(&mut self, mut reader: Reader<'a>, node: &Node) -> Result<(), Error> {
        let reader = &mut reader;
        reader.object()?;
        while let Some(key) = reader.key()? {
            match &*key.decode() {
                "subsegments" => {
                    reader.kind()?;
                    let (start, end) = node.subsegments;
                    match start == node.start + reader.offset() {
                        true => reader.skip_to(end - node.start),
                        false => reader.skip_unbounded()?,
                    }
                }
                "name" => self.name = reader.string()?,
                "namespace" => self.namespace = reader.string()?,
                "start_time" => self.start = reader.number()?.and_then(xray::nanos).unwrap_or(0),
                "end_time" => self.end = reader.number()?.and_then(xray::nanos),
                "http" => self.http(reader)?,
                "aws" if reader.kind()? == Kind::Object => aws::read(self, reader)?,
                "sql" => self.sql(reader)?,
                "cause" => cause::read(self, reader)?,
                "annotations" => self.annotations(reader)?,
                "metadata" => each(reader, |namespace, reader| {
                    let json = reader.raw()?;
                    self.scratch.attributes.json("aws.xray.metadata.", namespace, json);
                    Ok(())
                })?,
                "links" => self.links(reader)?,
                key => self.simple(key, reader)?,
            }
        }
        Ok(())
    }

    /// Members that are a value.
    fn simple(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Error> {
        let attributes = &mut self.scratch.attributes;
        let flag = |key| match key {
            "in_progress" => Some("aws.xray.inprogress"),
            "traced" => Some("aws.xray.traced"),
            "fault" => Some("aws.xray.fault"),
            "error" => Some("aws.xray.error"),
            "throttle" => Some("aws.xray.throttle"),
            _ => None,
        };
        if let Some(name) = flag(key) {
            if let Some(value) = reader.boolean()? {
                attributes.boolean(name, value);
                self.has_flag |= value && matches!(key, "fault" | "error" | "throttle");
            }
            return Ok(());
        }
        match key {
            "user" => {
                if let Some(user) = string(reader)? {
                    attributes.text("enduser.id", &user);
                }
            }
            "origin" if self.is_root => {
                let origin = string(reader)?.unwrap_or_default();
                if let Some((_, platform)) = PLATFORMS.iter().find(|(name, _)| *name == origin) {
                    self.scratch.resource.text("cloud.platform", platform);
                }
            }
            "resource_arn" if self.is_root => {
                if let Some(arn) = string(reader)? {
                    self.scratch.resource.text("aws.xray.resource_arn", &arn);
                }
            }
            "service" if self.is_root => each(reader, |key, reader| {
                if let ("version", Some(version)) = (key, string(reader)?) {
                    // Wins over Beanstalk's.
                    self.scratch.resource.ranked_text("service.version", 1, &version);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    }

    fn http(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let Span { scratch, has_client_ip, http_status, .. } = self;
        let attributes = &mut scratch.attributes;
        each(reader, |part, reader| match part {
            "request" => each(reader, |key, reader| {
                let name = match key {
                    "method" => "http.method",
                    "url" => "http.url",
                    "user_agent" => "http.user_agent",
                    "client_ip" => "http.client_ip",
                    "x_forwarded_for" => {
                        if let Some(value) = reader.boolean()? {
                            attributes.boolean("aws.xray.x_forwarded_for", value);
                        }
                        return Ok(());
                    }
                    _ => return Ok(()),
                };
                if let Some(value) = string(reader)? {
                    attributes.text(name, &value);
                    *has_client_ip |= key == "client_ip";
                }
                Ok(())
            }),
            "response" => each(reader, |key, reader| {
                match (key, reader.kind()?) {
                    ("status", Kind::Number) => {
                        *http_status = integer(reader)?;
                        attributes.integer("http.status_code", http_status.unwrap_or(0));
                    }
                    ("content_length", Kind::Number) => {
                        let length = integer(reader)?.unwrap_or(0);
                        attributes.integer("http.response_content_length", length);
                    }
                    ("content_length", Kind::String) => {
                        let length = string(reader)?.unwrap_or_default();
                        attributes.text("http.response_content_length", &length);
                    }
                    _ => {}
                }
                Ok(())
            }),
            _ => Ok(()),
        })
    }

    fn sql(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let attributes = &mut self.scratch.attributes;
        each(reader, |key, reader| {
            let name = match key {
                "url" => "db.connection_string",
                "database_type" => "db.system",
                "sanitized_query" => "db.statement",
                "user" => "db.user",
                _ => return Ok(()),
            };
            let Some(value) = string(reader)? else { return Ok(()) };
            match (key, split_url(&value)) {
                ("url", Some((connection, database))) => {
                    attributes.text(name, connection);
                    attributes.text("db.name", database);
                }
                _ => attributes.text(name, &value),
            }
            Ok(())
        })
    }

    /// Annotations are attributes under their own names, and one attribute that lists the names.
    fn annotations(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let mut names = Vec::new();
        let attributes = &mut self.scratch.attributes;
        // They win over what another member says, wherever that stands.
        attributes.rank = 1;
        each(reader, |key, reader| {
            if names.len() < ATTRIBUTES_MAX {
                names.push(key.to_owned());
            }
            match reader.kind()? {
                Kind::String => attributes.text(key, &string(reader)?.unwrap_or_default()),
                Kind::Boolean => attributes.boolean(key, reader.boolean()?.unwrap_or(false)),
                // JSON knows no integers, and neither does the collector here.
                Kind::Number => {
                    let number = reader.number()?.unwrap_or("0");
                    attributes.double(key, number.parse().unwrap_or(0.0));
                }
                _ => {}
            }
            Ok(())
        })?;
        if !names.is_empty() {
            names.sort_unstable();
            names.dedup();
            attributes.texts("aws.xray.annotations", names.iter().map(String::as_str));
        }
        attributes.rank = 0;
        Ok(())
    }

    /// Links whose ids cannot be read are left out.
    fn links(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        if !reader.array()? {
            return Ok(());
        }
        while reader.element()? {
            let (mut trace, mut span) = (None, None);
            let set = &mut self.scratch.exception;
            set.clear();
            each(reader, |key, reader| {
                match key {
                    "trace_id" => trace = string(reader)?.and_then(|id| xray::trace_id(&id)),
                    "id" => span = string(reader)?.and_then(|id| xray::span_id(&id)),
                    "attributes" => each(reader, |key, reader| {
                        match reader.kind()? {
                            Kind::String => set.text(key, &string(reader)?.unwrap_or_default()),
                            Kind::Boolean => set.boolean(key, reader.boolean()?.unwrap_or(false)),
                            Kind::Number => {
                                let number = reader.number()?.unwrap_or("0");
                                set.double(key, number.parse().unwrap_or(0.0));
                            }
                            _ => {}
                        }
                        Ok(())
                    })?,
                    _ => {}
                }
                Ok(())
            })?;
            if let (Some(trace), Some(span)) = (trace, span) {
                push_message(self.out, 13, |out| {
                    push_bytes(out, 1, &trace);
                    push_bytes(out, 2, &span);
                    set.write(out, 4);
                });
            }
        }
        Ok(())
    }

    /// Writes what depends on several members.
    fn finish(self, node: &Node) {
        let name = self.name.map(Text::decode).unwrap_or_default();
        let namespace = self.namespace.map(Text::decode);
        let Span { scratch, out, .. } = self;
        if self.is_root {
            aws::finish(scratch, &name, self.sdk, self.has_exceptions);
        }
        if namespace.as_deref() == Some("aws") {
            scratch.attributes.text("aws.service", &name);
        }
        let kind = match namespace.as_deref() {
            _ if !node.is_subsegment => SERVER,
            Some("aws" | "remote") => CLIENT,
            _ if self.has_client_ip => SERVER,
            _ => INTERNAL,
        };
        push_bytes(out, 5, name.as_bytes());
        push_varint_field(out, 6, kind);
        push_fixed64(out, 7, self.start);
        // OTLP knows no spans without an end.
        push_fixed64(out, 8, self.end.unwrap_or(self.start));
        scratch.attributes.write(out, 9);
        if scratch.attributes.dropped > 0 {
            push_varint_field(out, 10, scratch.attributes.dropped);
        }
        let is_bad = match self.http_status {
            Some(status) => !GOOD_STATUSES.contains(&status),
            None => self.has_flag,
        };
        if is_bad || self.has_cause {
            push_message(out, 15, |out| {
                if let Some(id) = self.cause_id {
                    push_bytes(out, 2, id.decode().as_bytes());
                }
                push_varint_field(out, 3, ERROR);
            });
        }
    }
}

/// Connection and database of a URL that names both.
pub(super) fn split_url(url: &str) -> Option<(&str, &str)> {
    // jdbc:postgresql://h.example:5432/ebdb?ssl=1
    // ^ up to the last colon before a slash, authority, database
    let head = &url[..url.find('/').unwrap_or(url.len())];
    let mut split = head.rfind(':')? + 1;
    if let Some(authority) = url[split..].strip_prefix("//") {
        split += 2 + authority.find('/')? + 1;
    }
    let (connection, rest) = url.split_at(split);
    let database = &rest[..rest.find('?').unwrap_or(rest.len())];
    (!database.is_empty()).then(|| (connection.trim_end_matches('/'), database))
}
