"""Sends one span, metrics and a log record with the real exporters; arguments: grpc or http, a base
URL, none or gzip. Fails unless each of them says that it was delivered."""
import sys
import importlib

protocol, url, compression = sys.argv[1:4]

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

package = f"opentelemetry.exporter.otlp.proto.{protocol}"
results = []


def load(name):
    return importlib.import_module(f"{package}.{name}" if name else package)


def watched(exporter):
    export = exporter.export
    exporter.export = lambda *args, **kwargs: results.append(export(*args, **kwargs)) or results[-1]
    return exporter


def settings(path):
    if protocol == "grpc":
        import grpc

        codec = getattr(grpc.Compression, "Gzip" if compression == "gzip" else "NoCompression")
        return {"endpoint": url, "insecure": True, "compression": codec}
    codec = getattr(load("").Compression, "Gzip" if compression == "gzip" else "NoCompression")
    return {"endpoint": url + path, "compression": codec}


resource = Resource.create({"service.name": "py-shop"})

traces = TracerProvider(resource=resource)
exporter = watched(load("trace_exporter").OTLPSpanExporter(**settings("/v1/traces")))
traces.add_span_processor(SimpleSpanProcessor(exporter))
with traces.get_tracer("t").start_as_current_span("py-span") as span:
    span.set_attribute("route", "/basket")

metric_exporter = watched(load("metric_exporter").OTLPMetricExporter(**settings("/v1/metrics")))
reader = PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3_600_000)
metrics = MeterProvider([reader], resource=resource)
metrics.get_meter("m").create_counter("py.orders").add(3, {"kind": "gift"})
metrics.force_flush()

logs = LoggerProvider(resource=resource)
exporter = watched(load("_log_exporter").OTLPLogExporter(**settings("/v1/logs")))
logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
logs.get_logger("l").emit(body="py-line", severity_text="INFO")

for provider in (traces, metrics, logs):
    provider.shutdown()
bad = [result for result in results if "SUCCESS" not in str(result)]
if bad or len(results) < 3:
    sys.exit(f"{results}")
