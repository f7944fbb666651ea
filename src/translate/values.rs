//! Attribute values as label values (OpenTelemetry specification, "Attribute", non-string values;
//! numbers as the collector's `AsString` writes them).

use std::fmt::Write;

use crate::codec::base64;
use crate::codec::otlp::AnyValue;

/// Appends a value: text as it is, arrays and maps as compact JSON, bytes in base64, an empty value
/// as nothing.
#[inline]
pub fn push_value(out: &mut String, value: AnyValue<'_>) {
    match value {
        AnyValue::Text(text) => out.push_str(text),
        AnyValue::Empty => {}
        AnyValue::Bytes(bytes) => out.push_str(&base64::encode(bytes)),
        other => push_json(out, other),
    }
}

/// Nests as deep as validation lets it.
fn push_json(out: &mut String, value: AnyValue<'_>) {
    match value {
        AnyValue::Empty => out.push_str("null"),
        AnyValue::Text(text) => push_quoted(out, text),
        AnyValue::Bool(truth) => out.push_str(if truth { "true" } else { "false" }),
        AnyValue::Int(number) => push_format(out, format_args!("{number}")),
        AnyValue::Double(number) => push_double(out, number),
        AnyValue::Bytes(bytes) => push_quoted(out, &base64::encode(bytes)),
        AnyValue::Array(_) => {
            out.push('[');
            for (at, element) in value.elements().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                push_json(out, element);
            }
            out.push(']');
        }
        AnyValue::Map(_) => {
            let mut entries: Vec<_> = value.entries().collect();
            entries.sort_by_key(|entry| entry.key);
            out.push('{');
            for (at, entry) in entries.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                push_quoted(out, entry.key);
                out.push(':');
                push_json(out, entry.value);
            }
            out.push('}');
        }
    }
}

/// As JavaScript turns numbers to text: plain from 1e-6 to below 1e21, else with an exponent.
fn push_double(out: &mut String, number: f64) {
    let size = number.abs();
    // Writing to a String cannot fail.
    let _ = if number.is_nan() {
        write!(out, "NaN")
    } else if number.is_infinite() {
        write!(out, "{}Infinity", if number < 0.0 { "-" } else { "" })
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(out, "{number}")
    } else if size < 1.0 {
        write!(out, "{number:e}")
    } else {
        let start = out.len();
        let written = write!(out, "{number:e}");
        if let Some(at) = out[start..].find('e') {
            out.insert(start + at + 1, '+');
        }
        written
    };
}

fn push_format(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(arguments);
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => push_format(out, format_args!("\\u{:04x}", character as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::otlp::{from_json, resource_metrics, Signal};

    #[track_caller]
    fn ok(value: &str, expected: &str) {
        let resource = format!(r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#);
        let json = format!(r#"{{"resourceMetrics":[{{"resource":{resource}}}]}}"#);
        let (body, _) = from_json(Signal::Metrics, &mut json.into_bytes()).unwrap();
        let attribute = resource_metrics(&body).next().unwrap().attributes().next().unwrap();
        let mut out = String::new();
        push_value(&mut out, attribute.value);
        assert_eq!(out, expected, "{value}");
    }

    #[test]
    fn golden() {
        ok(r#"{"stringValue":"a\"b"}"#, "a\"b");
        ok(r#"{"boolValue":true}"#, "true");
        ok(r#"{"boolValue":false}"#, "false");
        ok(r#"{"intValue":"-9223372036854775808"}"#, "-9223372036854775808");
        for (number, expected) in [
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("-1.5e300", "-1.5e+300"),
            ("1", "1"),
            ("0", "0"),
            ("\"NaN\"", "NaN"),
            ("\"-Infinity\"", "-Infinity"),
            ("\"Infinity\"", "Infinity"),
        ] {
            ok(&format!(r#"{{"doubleValue":{number}}}"#), expected);
        }
        ok(r#"{"bytesValue":"AP8="}"#, "AP8=");
        ok(r#"{}"#, "");
        let array = r#"{"arrayValue":{"values":[{"stringValue":"a<\"\n"},{"intValue":1},{}]}}"#;
        ok(array, "[\"a<\\\"\\n\",1,null]");
        ok(
            r#"{"kvlistValue":{"values":[{"key":"b","value":{"boolValue":true}},{"key":"a"}]}}"#,
            r#"{"a":null,"b":true}"#,
        );
    }
    #[test]
    fn what_validation_passed_over_is_not_entered() {
        use crate::codec::otlp::validate;
        use crate::codec::protobuf::{push_bytes, push_message, push_tag_and_length};
        // An array inside an array, a hundred thousand times, in a field of the outermost that
        // nobody knows: written from the inside, which is the end.
        let mut backwards: Vec<u8> = Vec::new();
        for _ in 0..100_000 {
            for tag in [0x0a, 0x2a] {
                let mut head = Vec::new();
                push_tag_and_length(&mut head, tag, backwards.len());
                backwards.extend(head.iter().rev());
            }
        }
        let deep: Vec<u8> = backwards.into_iter().rev().collect();
        let mut body = Vec::new();
        push_message(&mut body, 1, |out| {
            push_message(out, 1, |out| {
                push_message(out, 1, |out| {
                    push_message(out, 2, |out| {
                        push_message(out, 5, |out| push_bytes(out, 2, &deep))
                    });
                });
            });
        });
        assert!(validate(Signal::Metrics, &mut body).is_ok());
        let attribute = resource_metrics(&body).next().unwrap().attributes().next().unwrap();
        let mut out = String::new();
        push_value(&mut out, attribute.value);
        assert_eq!(out, "[]");
    }
}
