"""A page by Prometheus' Python client: each metric type, odd labels and values, exemplars."""

import threading

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary, start_http_server

requests = Counter("requests", "Requests by path.", ["path", "odd"])
requests.labels("/", 'quote " slash \\ line\nend é').inc(3, exemplar={"trace_id": "abc"})
requests.labels("/login", "").inc(0.25)
gauge = Gauge("level", "A gauge.", ["kind"])
for kind, value in [("nan", "nan"), ("inf", "inf"), ("ninf", "-inf"), ("tiny", 5e-324)]:
    gauge.labels(kind).set(float(value))
histogram = Histogram("latency_seconds", "A histogram.", buckets=[0.1, 1, 2.5, 10])
for value in [0.05, 0.5, 2, 100]:
    histogram.observe(value, exemplar={"trace_id": str(value)})
summary = Summary("size_bytes", "A summary.")
summary.observe(12.5)
Info("build", "An info.").info({"version": "1.2.3"})
Enum("phase", "A state set.", states=["starting", "running"]).state("running")

server, thread = start_http_server(0, addr="127.0.0.1")
print(server.server_port)
threading.Event().wait()
