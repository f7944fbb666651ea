//! OTLP bodies as instrumented servers make them.

use otlet::codec::protobuf::{
    push_bytes, push_double, push_fixed64, push_message, push_varint_field,
};

pub fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    push_message(out, field, |out| {
        push_bytes(out, 1, key.as_bytes());
        push_message(out, 2, |out| push_bytes(out, 1, value.as_bytes()));
    });
}

pub fn resource(out: &mut Vec<u8>) {
    push_message(out, 1, |out| {
        attribute(out, 1, "service.name", "checkout");
        attribute(out, 1, "service.version", "1.2.3");
        attribute(out, 1, "telemetry.sdk.language", "java");
        attribute(out, 1, "deployment.environment.name", "production");
    });
}

/// Spans as HTTP servers' instrumentation makes them.
pub fn traces(spans: usize) -> Vec<u8> {
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| {
        resource(out);
        push_message(out, 2, |out| {
            push_message(out, 1, |out| push_bytes(out, 1, b"io.opentelemetry.tomcat-10.0"));
            for at in 0..spans {
                push_message(out, 2, |out| span(out, at as u64));
            }
        });
    });
    body
}

fn span(out: &mut Vec<u8>, at: u64) {
    let id = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    push_bytes(out, 1, &[id, id].concat());
    push_bytes(out, 2, &id);
    push_bytes(out, 4, &id);
    push_bytes(out, 5, b"GET /api/v1/orders/{id}");
    push_varint_field(out, 6, 2);
    push_fixed64(out, 7, 1_700_000_000_000_000_000 + at);
    push_fixed64(out, 8, 1_700_000_000_100_000_000 + at);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/api/v1/orders/81294"),
        ("url.scheme", "http"),
        ("server.address", "checkout.internal"),
        ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101"),
        ("network.protocol.version", "1.1"),
        ("client.address", "10.12.3.210"),
        ("http.route", "/api/v1/orders/{id}"),
    ] {
        attribute(out, 9, key, value);
    }
    push_message(out, 9, |out| {
        push_bytes(out, 1, b"http.response.status_code");
        push_message(out, 2, |out| push_varint_field(out, 3, 200));
    });
    push_message(out, 9, |out| {
        push_bytes(out, 1, b"sampling.probability");
        push_message(out, 2, |out| push_double(out, 4, 0.1));
    });
}
