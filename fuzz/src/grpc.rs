//! gRPC: the body of a call cut anywhere, the texts of its headers, and the status of its answer.

use otlet::codec::base64;
use otlet::codec::grpc::{
    decode_message, encode_message, is_grpc, parse_timeout, render_timeout, Code, Deframer,
    FrameError, Piece, Status,
};

/// Where the message is does not depend on how the body is cut; texts survive their encoding.
pub fn grpc(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    assert_eq!(deframe(data, usize::from(*size).max(1)), deframe(data, data.len().max(1)));
    if let Ok(status) = Status::from_protobuf(data) {
        assert_eq!(Status::from_protobuf(&status.to_protobuf()), Ok(status.clone()));
        status.to_json();
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_eq!(decode_message(&encode_message(text)), text);
    decode_message(text);
    is_grpc(text);
    Code::parse(text);
    if let Some(timeout) = parse_timeout(text) {
        assert!(parse_timeout(&render_timeout(timeout)).is_some_and(|back| back <= timeout));
    }
    if let Some(bytes) = base64::decode(text) {
        assert_eq!(base64::encode_unpadded(&bytes), text.trim_end_matches('='));
    }
}

fn deframe(body: &[u8], size: usize) -> Result<Vec<u8>, FrameError> {
    let (mut deframer, mut message) = (Deframer::default(), Vec::new());
    for mut piece in body.chunks(size) {
        while let Some(part) = deframer.next(&mut piece)? {
            if let Piece::Data(data) = part {
                message.extend_from_slice(data);
            }
        }
    }
    deframer.finish()?;
    Ok(message)
}
