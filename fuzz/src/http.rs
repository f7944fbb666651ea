//! HTTP/1: heads, and bodies in every framing.

use otlet::net::http1::body::BodyDecoder;
use otlet::net::http1::head::{head_len, Framing, ResponseHead};
use otlet::net::http1::RequestHead;

/// A response as a client reads it; the first byte says where its body is cut.
pub fn http_response(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let Some(len) = same_head_len(data) else { return };
    let Ok(head) = ResponseHead::parse(&data[..len]) else { return };
    let _ = (head.is_keep_alive(), head.fields.get("retry-after"));
    for method in ["GET", "HEAD", "POST"] {
        if let Ok(framing) = head.framing(method) {
            body(framing, &data[len..], usize::from(*cut));
        }
    }
}

/// A request as a server reads it.
pub fn http_request(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let Some(len) = same_head_len(data) else { return };
    let Ok(head) = RequestHead::parse(&data[..len]) else { return };
    let _ = (head.path(), head.query(), head.header("host"), head.expects_continue());
    if let Ok(framing) = head.framing() {
        assert_ne!(framing, Framing::UntilClose, "a request ends by itself");
        body(framing, &data[len..], usize::from(*cut));
    }
}

/// The head's length does not depend on how much was seen before.
fn same_head_len(data: &[u8]) -> Option<usize> {
    let whole = head_len(data, 0);
    for seen in 0..data.len().min(64) {
        if head_len(&data[..seen], 0).is_none() {
            assert_eq!(head_len(data, seen), whole, "{seen} bytes scanned before");
        }
    }
    whole
}

/// A body read in pieces is the body read whole, and never more than there is.
fn body(framing: Framing, data: &[u8], cut: usize) {
    let whole = decode(framing, &[data]);
    let (first, second) = data.split_at(cut.min(data.len()));
    assert_eq!(whole, decode(framing, &[first, second]), "cut at {cut}");
}

fn decode(framing: Framing, pieces: &[&[u8]]) -> (Vec<u8>, Result<bool, String>) {
    let (mut decoder, mut out) = (BodyDecoder::new(framing), Vec::new());
    for piece in pieces {
        let mut piece = *piece;
        while !piece.is_empty() && !decoder.is_complete() {
            match decoder.next(piece) {
                Ok(part) => {
                    assert!(part.skip + part.data > 0);
                    out.extend_from_slice(&piece[part.skip..part.skip + part.data]);
                    piece = &piece[part.skip + part.data..];
                }
                Err(error) => return (out, Err(error.0.to_owned())),
            }
        }
    }
    (out, Ok(decoder.may_end()))
}
