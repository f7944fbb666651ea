"""Sends what tests/statsd.rs expects, with the real clients: argument statsd or datadog, then a port."""
import sys

which, port = sys.argv[1], int(sys.argv[2])
if which == "statsd":
    import statsd

    client = statsd.StatsClient("127.0.0.1", port, prefix="py")
    for _ in range(10):
        client.incr("hits")
    client.incr("hits", 5)
    client.timing("load", 250)
    client.timing("load", 1500)
    client.gauge("depth", 12.5)
    client.gauge("depth", -2, delta=True)
    client.gauge("cold", -7)
    for user in ["a", "b", "a"]:
        client.set("users", user)
    with client.pipeline() as pipe:
        pipe.incr("packed")
        pipe.incr("packed", 2)
        pipe.timing("load", 20)
    tcp = statsd.TCPStatsClient("127.0.0.1", int(sys.argv[3]), prefix="py")
    tcp.incr("over.tcp", 3)
    tcp.close()
else:
    from datadog.dogstatsd.base import DogStatsd

    client = DogStatsd(
        host="127.0.0.1", port=port, constant_tags=["env:test"], disable_buffering=False
    )
    for _ in range(7):
        client.increment("dd.hits", tags=["route:/a b", "beta"])
    client.gauge("dd.depth", 3.25, tags=["x:y:z"])
    for value in [0.2, 0.4, 3]:
        client.histogram("dd.size", value)
        client.distribution("dd.dist", value)
    client.timing("dd.load", 300)
    for user in range(50):
        client.set("dd.users", user)
    client.service_check("dd.alive", 1, tags=["zone:b"], message="so | so")
    client.event("A title | with a bar", "and a text", alert_type="error", tags=["a:b"])
    client.count_with_timestamp("dd.timed", 4, timestamp=int(sys.argv[3]))
    client.flush()
