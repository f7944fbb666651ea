"""Sends all that an application can with the real SDK, and prints what it sent; arguments: grpc,
http or json, a base URL, none or gzip. JSON is the SDK's protobuf in proto3's JSON mapping with ids in
hex, as OTLP has it. Each line of the output is what otlp_flat.py makes of an item."""
import base64
import gzip
import importlib
import json
import sys
import urllib.request

protocol, url, compression = sys.argv[1:4]

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry._logs import SeverityNumber

from otlp_flat import lines

package = f"opentelemetry.exporter.otlp.proto.{protocol.replace('json', 'http')}"
sent, failed = [], []


def hex_ids(value):
    if isinstance(value, list):
        return [hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    decode = lambda text: base64.b64decode(text).hex().upper()
    return {k: decode(v) if k in ids else hex_ids(v) for k, v in value.items()}


def post_json(signal, request):
    body = json.dumps(hex_ids(MessageToDict(request, use_integers_for_enums=True))).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if compression == "gzip":
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    request = urllib.request.Request(f"{url}/v1/{signal}", body, headers)
    with urllib.request.urlopen(request) as answer:
        return "SUCCESS" if answer.status == 200 and json.load(answer) == {} else "FAILURE"


def exporter(signal, module, name, encode, success):
    found = importlib.import_module(f"{package}.{module}")
    if protocol == "grpc":
        import grpc

        codec = getattr(grpc.Compression, "Gzip" if compression == "gzip" else "NoCompression")
        made = getattr(found, name)(endpoint=url, insecure=True, compression=codec)
    else:
        codec = importlib.import_module(package).Compression
        codec = getattr(codec, "Gzip" if compression == "gzip" else "NoCompression")
        made = getattr(found, name)(endpoint=f"{url}/v1/{signal}", compression=codec)
    export = made.export

    def watched(data, *args, **kwargs):
        request = encode(data)
        sent.extend(lines(signal, request))
        if protocol == "json":
            result = post_json(signal, request)
        else:
            result = export(data, *args, **kwargs)
        if "SUCCESS" not in str(result):
            failed.append(str(result))
        return success if protocol == "json" else result

    made.export = watched
    return made


resource = Resource.create({"service.name": "parity", "service.instance.id": "i", "n": 7})
traces = TracerProvider(resource=resource)
traces.add_span_processor(
    BatchSpanProcessor(exporter("traces", "trace_exporter", "OTLPSpanExporter", encode_spans, SpanExportResult.SUCCESS))
)
reader = PeriodicExportingMetricReader(
    exporter("metrics", "metric_exporter", "OTLPMetricExporter", encode_metrics, MetricExportResult.SUCCESS),
    export_interval_millis=3_600_000,
)
views = [View(instrument_name="wait", aggregation=ExponentialBucketHistogramAggregation())]
metrics = MeterProvider([reader], resource=resource, views=views)
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(
    BatchLogRecordProcessor(exporter("logs", "_log_exporter", "OTLPLogExporter", encode_logs, LogRecordExportResult.SUCCESS))
)

tracer = traces.get_tracer("tracer", "1.0", schema_url="https://opentelemetry.io/schemas/1.30.0")
values = {"s": "täxt", "i": -5, "f": 0.5, "b": True, "l": ["a", "b"], "n": [1, 2], "y": b"\x00\xff"}
for turn in range(700):
    with tracer.start_as_current_span(f"span-{turn}", kind=SpanKind(turn % 5)) as span:
        span.set_attributes({key: value for key, value in values.items() if key != "y"})
        span.add_event("event", {"turn": turn})
        other = span.get_span_context()
        if turn % 7 == 0:
            span.set_status(Status(StatusCode.ERROR, "went wrong"))
            span.record_exception(ValueError("bad\nvalue"))
    with tracer.start_as_current_span("linked", links=[Link(other, {"why": "test"})]):
        pass
meter = metrics.get_meter("meter", "2.0")
meter.create_counter("count", unit="1", description="Counts.").add(3, values)
meter.create_up_down_counter("updown").add(-2)
histogram = meter.create_histogram("histogram", unit="ms")
wait = meter.create_histogram("wait", unit="s")
with tracer.start_as_current_span("measured"):
    for value in (0.001, 1.0, 1000.0):
        histogram.record(value)
        wait.record(value)
meter.create_observable_gauge("gauge", [lambda _: [Observation(1.25, {"a": "b"})]])
logger = logs.get_logger("logger")
for body in ["line", "more\nlines", {"nested": {"list": [1, "two", None, 3.0]}}, 42, None]:
    logger.emit(
        body=body,
        severity_number=SeverityNumber.WARN,
        severity_text="WARN",
        attributes={"key": "value"},
        event_name="event",
    )

for provider in (traces, metrics, logs):
    provider.force_flush()
    provider.shutdown()
if failed:
    sys.exit(str(failed))
print("\n".join(sent))
