"""X-Ray as the tests meet it, and its SDK.

    xray.py server              says its port; checks every signature with botocore, keeps documents
    xray.py segments ADDRESS    sends segments with the X-Ray SDK, prints each as it was sent
    xray.py sampling ADDRESS    asks for sampling rules and targets as the SDK does, prints them
    xray.py compare             reads lines of a document, a tab and a hex OTLP body; compares them
    xray.py exported            reads lines `document`, a tab, JSON and `body`, a tab, hex OTLP of
                                any number of documents; compares them

GET /_documents shows what PutTraceSegments was given, one document a line.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "aws"))

SECRET = "static-s3cret/+"
documents = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, "".join(document.strip() + "\n" for document in documents))

    def do_POST(self):
        import server as aws

        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            scheme, rest = self.headers.get("Authorization", "").split(" ", 1)
            parts = dict(part.split("=", 1) for part in rest.split(", "))
            assert scheme == "AWS4-HMAC-SHA256"
            aws.check_signature(self, body, parts, (SECRET, ""), ("xray", "eu-west-1"))
        except (aws.Refused, AssertionError, ValueError, KeyError) as error:
            return self.answer(403, json.dumps({"message": repr(error)}))
        if self.path == "/TraceSegments":
            documents.extend(json.loads(body)["TraceSegmentDocuments"])
            return self.answer(200, '{"UnprocessedTraceSegments":[]}')
        if self.path == "/GetSamplingRules":
            rule = {
                "RuleName": "half", "Priority": 5, "FixedRate": 0.5, "ReservoirSize": 7,
                "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*",
                "URLPath": "*", "ResourceARN": "*", "Version": 1, "Attributes": {},
            }
            return self.answer(200, json.dumps({"SamplingRuleRecords": [{"SamplingRule": rule}]}))
        if self.path == "/SamplingTargets":
            asked = json.loads(body)["SamplingStatisticsDocuments"]
            targets = [
                {"RuleName": one["RuleName"], "FixedRate": 0.25, "ReservoirQuota": 3,
                 "ReservoirQuotaTTL": 2e9, "Interval": 10}
                for one in asked
            ]
            answer = {"SamplingTargetDocuments": targets, "LastRuleModification": 1.0}
            return self.answer(200, json.dumps(answer))
        return self.answer(400, '{"message":"unknown operation"}')


def serve():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def recorder(address):
    from aws_xray_sdk.core import xray_recorder

    xray_recorder.configure(
        service="shop é", sampling=False, daemon_address=address, context_missing="RUNTIME_ERROR",
        plugins=(),
    )
    # What the SDK's own ECS plugin sets.
    xray_recorder._origin = "AWS::ECS::Fargate"
    # What the emitter sends, seen on its way.
    emitter = xray_recorder.emitter
    send = emitter.send_entity

    def shown(entity):
        print(entity.serialize(), flush=True)
        send(entity)

    emitter.send_entity = shown
    return xray_recorder


def segments(address):
    xray = recorder(address)
    segment = xray.begin_segment("checkout")
    segment.put_http_meta("method", "POST")
    segment.put_http_meta("url", "https://shop.example/cart?a=1")
    segment.put_http_meta("user_agent", "curl \"8\"")
    segment.put_http_meta("client_ip", "10.0.0.9")
    segment.put_http_meta("x_forwarded_for", True)
    segment.put_http_meta("status", 503)
    segment.put_http_meta("content_length", 12)
    segment.set_user("ann")
    segment.put_annotation("tier", 3)
    segment.put_annotation("paid", True)
    segment.put_annotation("plan", "gold")
    segment.put_metadata("cart", {"items": [1, {"a": None}], "note": "é \"x\""}, "shop")
    with xray.in_subsegment("orders@db.example", namespace="remote") as sub:
        sub.set_sql({
            "url": "postgresql://db.example:5432/orders", "sanitized_query": "SELECT ?",
            "database_type": "PostgreSQL", "user": "app", "driver_version": "1",
        })
        with xray.in_subsegment("parse") as inner:
            inner.put_annotation("rows", 7.5)
    with xray.in_subsegment("DynamoDB", namespace="aws") as sub:
        sub.set_aws({
            "operation": "GetItem", "region": "eu-west-1", "request_id": "r-1",
            "table_name": "carts", "retries": 2,
        })
        sub.put_http_meta("status", 400)
        sub.add_throttle_flag()
    try:
        with xray.in_subsegment("pay", namespace="remote"):
            raise ValueError("no \"money\"")
    except ValueError:
        pass
    xray.end_segment()
    # More subsegments than one document takes: they are streamed as documents of their own.
    xray.begin_segment("stream")
    with xray.in_subsegment("outer"):
        for number in range(40):
            with xray.in_subsegment(f"step {number}"):
                pass
    xray.end_segment()


def sampling(address):
    from aws_xray_sdk.core.context import Context
    from aws_xray_sdk.core.sampling.connector import ServiceConnector

    connector = ServiceConnector()
    connector.context = Context()
    connector.setup_xray_client(*address.rsplit(":", 1), None)
    rules = connector.fetch_sampling_rules()
    targets, _ = connector.fetch_sampling_target(rules)
    print(json.dumps({"rules": [(r.name, r.rate) for r in rules], "targets": targets}))


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    return getattr(value, kind)


def expected_attributes(node):
    """What the mapping says, written down a second time and independently."""
    want = {}

    def put(key, *path):
        value = node
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            want[key] = value

    for key in ("method", "url", "user_agent", "client_ip"):
        put(f"http.{key}", "http", "request", key)
    put("aws.xray.x_forwarded_for", "http", "request", "x_forwarded_for")
    put("http.status_code", "http", "response", "status")
    put("http.response_content_length", "http", "response", "content_length")
    put("enduser.id", "user")
    for key in ("operation", "region", "request_id", "table_name", "queue_url", "account_id"):
        put(f"aws.{key}", "aws", key)
    put("aws.xray.retries", "aws", "retries")
    put("db.system", "sql", "database_type")
    put("db.statement", "sql", "sanitized_query")
    put("db.user", "sql", "user")
    if "url" in node.get("sql", {}):
        want["db.connection_string"], want["db.name"] = node["sql"]["url"].rsplit("/", 1)
    if node.get("namespace") == "aws":
        want["aws.service"] = node["name"]
    for flag in ("fault", "error", "throttle", "traced"):
        put(f"aws.xray.{flag}", flag)
    put("aws.xray.inprogress", "in_progress")
    annotations = node.get("annotations", {})
    if annotations:
        want["aws.xray.annotations"] = sorted(annotations)
    want.update(annotations)
    for name, value in node.get("metadata", {}).items():
        want[f"aws.xray.metadata.{name}"] = value
    return want


def compare_span(node, parent, trace, span):
    """Differences between a segment and the span it became."""
    got = {one.key: plain(one.value) for one in span.attributes}
    for key in list(got):
        if key.startswith("aws.xray.metadata."):
            got[key] = json.loads(got[key])
    is_sub = parent is not None or node.get("type") == "subsegment"
    kind = 2 if not is_sub else 3 if node.get("namespace") in ("aws", "remote") else 1
    status = node.get("http", {}).get("response", {}).get("status")
    flags = any(node.get(flag) for flag in ("fault", "error", "throttle"))
    is_bad = "cause" in node or (flags if status is None else not 100 <= status <= 398)
    exceptions = node.get("cause", {}).get("exceptions", [])
    events = [{one.key: plain(one.value) for one in event.attributes} for event in span.events]
    shown = [(e["exception.type"], e["exception.message"], e["aws.xray.exception.id"]) for e in events]
    pairs = {
        "attributes": (got, expected_attributes(node)),
        "name": (span.name, node["name"]),
        "trace": (span.trace_id.hex(), trace.replace("-", "")[1:]),
        "id": (span.span_id.hex(), node["id"]),
        "parent": (span.parent_span_id.hex(), parent or node.get("parent_id", "")),
        "kind": (span.kind, kind),
        "status": (span.status.code, 2 if is_bad else 0),
        "exceptions": (shown, [(e["type"], e["message"], e["id"]) for e in exceptions]),
        "frames": (
            [e.get("exception.stacktrace", "").count("\tat ") for e in events],
            [len(e.get("stack", [])) for e in exceptions],
        ),
    }
    for member, nanos in (("start_time", span.start_time_unix_nano),
                          ("end_time", span.end_time_unix_nano)):
        if member in node:
            assert abs(node[member] * 1e9 - nanos) < 1000, (member, node[member], nanos)
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def flatten(node, parent=None):
    yield node, parent
    for child in node.get("subsegments", []):
        yield from flatten(child, node["id"])


def compare_document(document, resource_spans):
    """Compares every span; returns how many there are."""
    resource = {one.key: plain(one.value) for one in resource_spans.resource.attributes}
    assert resource["service.name"] == document["name"], resource
    if "origin" in document:
        assert resource["cloud.platform"] == "aws_ecs", resource
    sdk = document.get("aws", {}).get("xray", {})
    assert resource.get("telemetry.sdk.name") == sdk.get("sdk"), resource
    assert resource.get("telemetry.sdk.version") == sdk.get("sdk_version"), resource
    [scope_spans] = resource_spans.scope_spans
    nodes = list(flatten(document))
    assert len(nodes) == len(scope_spans.spans), (len(nodes), len(scope_spans.spans))
    for (node, parent), span in zip(nodes, scope_spans.spans):
        differences = compare_span(node, parent, document["trace_id"], span)
        assert not differences, differences
    return len(nodes)


def compare():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    count = 0
    for line in sys.stdin:
        text, body = line.rstrip("\n").split("\t")
        [resource_spans] = ExportTraceServiceRequest.FromString(bytes.fromhex(body)).resource_spans
        count += compare_document(json.loads(text), resource_spans)
    print(count)


def exported():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    sent, arrived = {}, {}
    for line in sys.stdin:
        kind, text = line.rstrip("\n").split("\t")
        if kind == "document":
            document = json.loads(text)
            sent[document["id"]] = document
        else:
            for one in ExportTraceServiceRequest.FromString(bytes.fromhex(text)).resource_spans:
                arrived[one.scope_spans[0].spans[0].span_id.hex()] = one
    assert sent.keys() == arrived.keys(), (sent.keys(), arrived.keys())
    print(sum(compare_document(sent[key], arrived[key]) for key in sent))


if __name__ == "__main__":
    {
        "server": serve,
        "segments": lambda: segments(sys.argv[2]),
        "sampling": lambda: sampling(sys.argv[2]),
        "compare": compare,
        "exported": exported,
    }[sys.argv[1]]()
