//! What an accepted request says of documents that were not taken.

use crate::codec::json::{Error, Kind, Reader, Text};
use crate::codec::xray::span_id;
use crate::net::yield_now;
use crate::translate::segment::Segments;

/// Bytes of documents looked through between two yields.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Spans that were not taken, and the first reason given. `strings` are the request's documents;
/// one that is named counts all its segments, one that is not counts as one.
pub async fn rejected(answer: &str, strings: &str) -> Option<(u64, String)> {
    let (ids, why) = read_answer(answer).ok()?;
    if ids.is_empty() {
        return None;
    }
    let named: Vec<[u8; 8]> = ids.iter().flatten().copied().collect();
    let mut spans = (ids.len() - named.len()) as u64;
    let counted = count(strings, &named).await.unwrap_or_default();
    spans += counted.max(named.len() as u64);
    Some((spans, why))
}

/// Ids of documents, where they are told.
type Ids = Vec<Option<[u8; 8]>>;

/// What `UnprocessedTraceSegments` names, and why the first was not taken.
fn read_answer(answer: &str) -> Result<(Ids, String), Error> {
    let mut reader = Reader::new(answer);
    let (mut ids, mut why) = (Ids::new(), String::new());
    if !reader.object()? {
        return Ok((ids, why));
    }
    while let Some(key) = reader.key()? {
        if key.as_written() != "UnprocessedTraceSegments" || !reader.array()? {
            continue;
        }
        while reader.element()? {
            if reader.kind()? != Kind::Object {
                continue;
            }
            reader.object()?;
            let mut id = None;
            while let Some(key) = reader.key()? {
                match key.as_written() {
                    "Id" => id = reader.string()?.and_then(|id| span_id(&id.decode())),
                    "ErrorCode" | "Message" if ids.is_empty() => {
                        let words = reader.string()?.map(Text::decode).unwrap_or_default();
                        why.push_str(if why.is_empty() { "" } else { ": " });
                        why.push_str(&words);
                    }
                    _ => {}
                }
            }
            ids.push(id);
        }
    }
    Ok((ids, why))
}

/// Segments in the documents with these ids.
async fn count(strings: &str, ids: &[[u8; 8]]) -> Result<u64, Error> {
    let text = format!("[{strings}]");
    let (mut reader, mut segments, mut spans) = (Reader::new(&text), Segments::default(), 0);
    let mut yielded_at = 0;
    reader.array()?;
    while reader.element()? {
        let Some(document) = reader.string()? else { continue };
        if let Ok(summary) = segments.read(document.decode().as_bytes()) {
            let is_named = ids.contains(&summary.span_id);
            spans += if is_named { summary.spans } else { 0 };
        }
        if reader.offset() - yielded_at > TURN_BYTES_MAX {
            yielded_at = reader.offset();
            yield_now().await;
        }
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::push_escaped;

    fn strings() -> String {
        let document = |id: &str, more: &str| {
            let mut out = "\"".to_owned();
            let text = format!(
                r#"{{"name":"n","id":"{id}","trace_id":"{:032}","start_time":1{more}}}"#,
                1
            );
            push_escaped(&mut out, &text);
            out + "\""
        };
        let sub = r#","subsegments":[{"name":"s","id":"00000000000000ff","start_time":1}]"#;
        [document("000000000000000a", ""), document("000000000000000b", sub)].join(",")
    }

    #[test]
    fn answers() {
        let ok = |answer: &str, expected: Option<(u64, &str)>| {
            let expected = expected.map(|(spans, why)| (spans, why.to_owned()));
            let strings = strings();
            let found = crate::net::run(async { rejected(answer, &strings).await });
            assert_eq!(found, expected, "{answer}");
        };
        ok(r#"{"UnprocessedTraceSegments":[]}"#, None);
        ok("{}", None);
        ok("", None);
        ok("[]", None);
        ok(r#"{"UnprocessedTraceSegments":7}"#, None);
        let one = |inside: &str| format!(r#"{{"UnprocessedTraceSegments":[{inside}]}}"#);
        let a = r#"{"Id":"000000000000000a","ErrorCode":"InvalidTraceId","Message":"old"}"#;
        let b = r#"{"Id":"000000000000000b"}"#;
        ok(&one(a), Some((1, "InvalidTraceId: old")));
        ok(&one(b), Some((2, "")));
        ok(&one(&format!("{a},{b},{{\"Message\":\"x\"}}")), Some((4, "InvalidTraceId: old")));
        ok(&one(r#"{"Id":"00000000000000cc"}"#), Some((1, "")));
        ok(&one("7"), None);
    }
}
