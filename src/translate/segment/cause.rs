//! The `cause` of a fault: the id of an exception told elsewhere, or exceptions, which become
//! events.

use std::borrow::Cow;
use std::fmt::Write;

use super::span::Span;
use super::{each, integer, string};
use crate::codec::json::{Error, Kind, Reader};
use crate::codec::protobuf::{push_bytes, push_message};

pub(super) fn read<'a>(span: &mut Span<'a, '_>, reader: &mut Reader<'a>) -> Result<(), Error> {
    match reader.kind()? {
        Kind::String => {
            span.has_cause = true;
            span.cause_id = reader.string()?;
            Ok(())
        }
        Kind::Object => {
            span.has_cause = true;
            each(reader, |key, reader| match key {
                "exceptions" => read_exceptions(span, reader),
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    }
}

fn read_exceptions(span: &mut Span<'_, '_>, reader: &mut Reader<'_>) -> Result<(), Error> {
    if !reader.array()? {
        return Ok(());
    }
    while reader.element()? {
        span.has_exceptions = true;
        read_exception(span, reader)?;
        push_message(span.out, 11, |out| {
            push_bytes(out, 2, b"exception");
            span.scratch.exception.write(out, 3);
        });
    }
    Ok(())
}

/// Gathers the attributes of one event.
fn read_exception(span: &mut Span<'_, '_>, reader: &mut Reader<'_>) -> Result<(), Error> {
    let (set, frames) = (&mut span.scratch.exception, &mut span.scratch.text);
    set.clear();
    frames.clear();
    let (mut kind, mut message) = (Cow::Borrowed(""), Cow::Borrowed(""));
    each(reader, |key, reader| {
        match (key, reader.kind()?) {
            ("message", Kind::String) => {
                message = string(reader)?.unwrap_or_default();
                set.text("exception.message", &message);
            }
            ("type", Kind::String) => {
                kind = string(reader)?.unwrap_or_default();
                set.text("exception.type", &kind);
            }
            ("id", Kind::String) => {
                set.text("aws.xray.exception.id", &string(reader)?.unwrap_or_default());
            }
            ("cause", Kind::String) => {
                set.text("aws.xray.exception.cause", &string(reader)?.unwrap_or_default());
            }
            ("remote", Kind::Boolean) => {
                let is_remote = reader.boolean()?.unwrap_or(false);
                set.boolean("aws.xray.exception.remote", is_remote);
            }
            ("truncated", Kind::Number) => {
                set.integer("aws.xray.exception.truncated", integer(reader)?.unwrap_or(0));
            }
            ("skipped", Kind::Number) => {
                set.integer("aws.xray.exception.skipped", integer(reader)?.unwrap_or(0));
            }
            ("stack", Kind::Array) => read_stack(reader, frames)?,
            _ => {}
        }
        Ok(())
    })?;
    if !frames.is_empty() {
        frames.insert_str(0, &format!("{kind}: {message}\n"));
        set.text("exception.stacktrace", frames);
    }
    Ok(())
}

// ValueError: bad
//     at handler(app.py: 12)
//        ^ label ^ path  ^ line
fn read_stack(reader: &mut Reader<'_>, frames: &mut String) -> Result<(), Error> {
    reader.array()?;
    while reader.element()? {
        let (mut label, mut path, mut line) = (Cow::Borrowed(""), Cow::Borrowed(""), None);
        each(reader, |key, reader| {
            match key {
                "label" => label = string(reader)?.unwrap_or_default(),
                "path" => path = string(reader)?.unwrap_or_default(),
                "line" => line = integer(reader)?,
                _ => {}
            }
            Ok(())
        })?;
        // Writing to a string cannot fail.
        let _ = match line {
            Some(line) => writeln!(frames, "\tat {label}({path}: {line})"),
            None => writeln!(frames, "\tat {label}({path}: <unknown>)"),
        };
    }
    Ok(())
}
