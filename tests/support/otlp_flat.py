"""What is in an OTLP request, a line for each span, metric and log record with its resource and
scope, so that two requests can be compared whatever their batches were."""
import json

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
}
LISTS = {
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    "traces": ("resource_spans", "scope_spans", "spans"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
}


def text(message):
    return json.dumps(MessageToDict(message), sort_keys=True)


def lines(signal, request):
    resources, scopes, items = LISTS[signal]
    for resource in getattr(request, resources):
        for scope in getattr(resource, scopes):
            where = [signal, text(resource.resource), resource.schema_url, text(scope.scope)]
            for item in getattr(scope, items):
                yield " ".join(where + [scope.schema_url, text(item)])


def parse(signal, body):
    request = REQUESTS[signal]()
    request.ParseFromString(body)
    # Nothing that the schema does not know: the lines below would not show it.
    before = request.ByteSize()
    request.DiscardUnknownFields()
    assert request.ByteSize() == before
    return request
