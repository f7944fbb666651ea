//! The lines of an OTLP body, a piece at a time.
//!
//! What all items of a resource or scope have in common is made once and copied into each line: a
//! sender that puts a thousand attributes on its resource pays for them once, not per span.

use super::line::{Line, LINE_BYTES_MAX};
use super::{log_record, span, Format};
use crate::codec::otlp::{
    resource_logs, resource_spans, AnyValue, LogRecord, LogRecords, Resource, Resources, Scope,
    Scopes, Span, Spans,
};

/// When a piece ends, in bytes of lines and of the body read for them.
const PIECE_BYTES: usize = 64 * 1024;

/// What opening a resource or a scope counts for in a piece, beside what is written for it.
const OPENING_BYTES: usize = 64;

/// What a resource, and what a scope, adds to each line at most, in bytes.
const CONTEXT_BYTES_MAX: usize = 4 * 1024;

/// What an item's line takes from around the item.
#[derive(Default)]
pub struct Context {
    /// Text: the service's name. JSON: `,"resource":{…}`.
    pub resource: Part,
    /// Text: nothing. JSON: `,"scope":{…}`.
    pub scope: Part,
}

#[derive(Default)]
pub struct Part {
    pub text: String,
    is_cut: bool,
}

impl Part {
    fn write(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        self.text.clear();
        let mut line = Line::new(&mut self.text, CONTEXT_BYTES_MAX);
        write(&mut line);
        self.is_cut = line.is_cut();
    }
}

/// The items of the scope at hand.
enum Items<'a> {
    Spans(Spans<'a>),
    LogRecords(LogRecords<'a>),
}

enum Item<'a> {
    Span(Span<'a>),
    LogRecord(LogRecord<'a>),
}

/// What is left of a validated traces or logs body.
pub struct Lines<'a> {
    format: Format,
    resources: Resources<'a>,
    scopes: Scopes<'a>,
    items: Items<'a>,
    context: Context,
}

impl<'a> Lines<'a> {
    /// Of a traces body.
    pub fn of_spans(body: &'a [u8], format: Format) -> Lines<'a> {
        Lines::new(resource_spans(body), Items::Spans(Spans::default()), format)
    }

    /// Of a logs body.
    pub fn of_log_records(body: &'a [u8], format: Format) -> Lines<'a> {
        Lines::new(resource_logs(body), Items::LogRecords(LogRecords::default()), format)
    }

    fn new(resources: Resources<'a>, items: Items<'a>, format: Format) -> Lines<'a> {
        let (scopes, context) = (Scopes::default(), Context::default());
        Lines { format, resources, scopes, items, context }
    }

    /// Appends the lines of the next items, about as many as a pause should wait for, and returns
    /// how many, which may be none; None at the end of the body.
    pub fn piece(&mut self, out: &mut String) -> Option<u64> {
        let (start, mut bytes_read, mut items) = (out.len(), 0, 0);
        while out.len() - start + bytes_read < PIECE_BYTES {
            match self.next() {
                Some(item) => {
                    bytes_read += match item {
                        Item::Span(span) => span.encoded_bytes(),
                        Item::LogRecord(record) => record.encoded_bytes(),
                    };
                    self.line(out, &item);
                    items += 1;
                }
                None => match self.open() {
                    Some(bytes) => bytes_read += bytes,
                    None => return (items > 0).then_some(items),
                },
            }
        }
        Some(items)
    }

    /// The next item of the scope at hand.
    fn next(&mut self) -> Option<Item<'a>> {
        match &mut self.items {
            Items::Spans(spans) => spans.next().map(Item::Span),
            Items::LogRecords(records) => records.next().map(Item::LogRecord),
        }
    }

    /// Opens the next scope or resource, and says what that counts for, in bytes.
    fn open(&mut self) -> Option<usize> {
        let written = match self.scopes.next() {
            Some(scope) => {
                self.open_scope(scope);
                &self.context.scope
            }
            None => {
                let resource = self.resources.next()?;
                self.open_resource(resource);
                &self.context.resource
            }
        };
        Some(OPENING_BYTES + written.text.len())
    }

    fn open_resource(&mut self, resource: Resource<'a>) {
        self.scopes = resource.scopes();
        let format = self.format;
        self.context.resource.write(|line| match format {
            Format::Text => {
                let is_name =
                    |value| if let AnyValue::Text(name) = value { Some(name) } else { None };
                let mut attributes = resource.attributes();
                let name = attributes.find(|attribute| attribute.key == "service.name");
                line.push_word(name.and_then(|name| is_name(name.value)).unwrap_or("-"));
            }
            Format::Json => line.attributes_member("resource", resource.attributes()),
        });
    }

    fn open_scope(&mut self, scope: Scope<'a>) {
        self.items = match self.items {
            Items::Spans(_) => Items::Spans(scope.spans()),
            Items::LogRecords(_) => Items::LogRecords(scope.log_records()),
        };
        let (name, version) = scope.name_and_version();
        let has_any =
            !name.is_empty() || !version.is_empty() || scope.attributes().next().is_some();
        let is_shown = self.format == Format::Json && has_any;
        self.context.scope.write(|line| {
            if is_shown && line.member("scope") {
                line.object(|line| {
                    line.text_member("name", name);
                    line.text_member("version", version);
                    line.attributes_member("attributes", scope.attributes());
                });
            }
        });
    }

    /// Appends one line.
    fn line(&self, out: &mut String, item: &Item<'_>) {
        let (context, format) = (&self.context, self.format);
        if format == Format::Json {
            out.push('{');
        }
        let mut line = Line::new(out, LINE_BYTES_MAX - 1);
        match (item, format) {
            (Item::Span(span), Format::Text) => span::push_text(&mut line, span, context),
            (Item::Span(span), Format::Json) => span::push_json(&mut line, span, context),
            (Item::LogRecord(record), Format::Text) => {
                log_record::push_text(&mut line, record, context);
            }
            (Item::LogRecord(record), Format::Json) => {
                log_record::push_json(&mut line, record, context);
            }
        }
        line.inherit_cut(context.resource.is_cut || context.scope.is_cut);
        match format {
            Format::Text => line.end_text(),
            Format::Json => line.end_json(),
        }
    }
}
