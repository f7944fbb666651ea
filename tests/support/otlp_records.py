"""Sends spans and log records with the real exporters; arguments: grpc or http, a base URL, the
service's name. Says on stdout what it sent, one line for each: `span NAME TRACE SPAN PARENT` (0 for
none) and `log BODY TRACE SPAN`. Fails unless each export was delivered."""
import importlib
import sys

protocol, url, service = sys.argv[1:4]

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode

results = []


def exporter(module, name, path):
    package = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}")
    grpc = protocol == "grpc"
    made = getattr(package, name)(**({"endpoint": url, "insecure": True} if grpc else {"endpoint": url + path}))
    export = made.export
    made.export = lambda *args, **kwargs: results.append(export(*args, **kwargs)) or results[-1]
    return made


resource = Resource.create({"service.name": service, "replicas": 2, "zones": ["a", "b"]})
traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(exporter("trace_exporter", "OTLPSpanExporter", "/v1/traces")))
tracer = traces.get_tracer("shop", "1.2")
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(
    BatchLogRecordProcessor(exporter("_log_exporter", "OTLPLogExporter", "/v1/logs"))
)
logger = logs.get_logger("shop", "1.2")


def say(word, name, span, parent=None):
    context = span.get_span_context()
    ids = [f"{context.trace_id:032x}", f"{context.span_id:016x}"]
    print(word, name, *ids, *([f"{parent.span_id:016x}" if parent else 0] if word == "span" else []))


with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
    for turn in range(300):
        name = f"step-{turn}"
        links = [Link(root.get_span_context())]
        attributes = {"turn": turn, "half": turn / 2, "even": turn % 2 == 0, "odd text": 'a "b"\n'}
        with tracer.start_as_current_span(name, None, SpanKind.CLIENT, attributes, links) as span:
            if turn % 3 == 0:
                span.record_exception(ValueError("no stock"))
                span.set_status(StatusCode.ERROR, "no stock")
            body = f"line-{turn}\nof two"
            logger.emit(
                body=body if turn % 2 else {"line": f"line-{turn}", "n": turn},
                severity_number=SeverityNumber.WARN,
                severity_text="WARNING",
                attributes={"turn": turn, "ids": [1, 2]},
            )
            say("span", name, span, root.get_span_context())
            say("log", f"line-{turn}", span)
    say("span", "root", root)
traces.shutdown()
logs.shutdown()
bad = [result for result in results if "SUCCESS" not in str(result)]
if bad or len(results) < 2:
    sys.exit(f"{results}")
