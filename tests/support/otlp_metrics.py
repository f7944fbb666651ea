"""Sends every kind of metric three times with the real exporter; arguments: grpc or http, a URL,
delta or cumulative, the service's name. What it recorded is asserted by PromQL."""
import importlib
import sys

protocol, url, temporality, service = sys.argv[1:5]

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

module = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.metric_exporter")
settings = {"endpoint": url, "insecure": True} if protocol == "grpc" else {"endpoint": url + "/v1/metrics"}
if temporality == "delta":
    kinds = (Counter, Histogram, ObservableCounter)
    settings["preferred_temporality"] = {kind: AggregationTemporality.DELTA for kind in kinds}
reader = PeriodicExportingMetricReader(
    module.OTLPMetricExporter(**settings), export_interval_millis=3_600_000
)
resource = Resource.create(
    {"service.name": service, "service.instance.id": "i-1", "deployment.environment": "test"}
)
views = [View(instrument_name="wait", aggregation=ExponentialBucketHistogramAggregation())]
provider = MeterProvider([reader], resource=resource, views=views)
meter = provider.get_meter("shop", "1.2")

orders = meter.create_counter("shop.orders", unit="1", description="Orders placed.")
basket = meter.create_up_down_counter("basket.items", unit="{item}")
latency = meter.create_histogram(
    "latency", unit="ms", explicit_bucket_boundaries_advisory=[10, 100, 1000]
)
wait = meter.create_histogram("wait", unit="s")
meter.create_observable_gauge("room.temperature", [lambda _: [Observation(21.5)]], unit="Cel")
meter.create_observable_counter("bytes.read", [lambda _: [Observation(4096)]], unit="By")
for turn in range(3):
    orders.add(2, {"kind": "gift", "é.key": "v"})
    basket.add(5)
    basket.add(-3)
    for value in (5, 50, 5000):
        latency.record(value)
    for value in (0.5, 1.0, 3.0):
        wait.record(value)
    if not provider.force_flush():
        sys.exit("not delivered")
provider.shutdown()
