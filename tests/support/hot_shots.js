// Sends what tests/statsd.rs expects, with hot-shots; argument: a port.
const StatsD = require("hot-shots");
const client = new StatsD({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  globalTags: { env: "test" },
  maxBufferSize: 1432,
});
for (let i = 0; i < 20; i++) client.increment("js.hits", 1, { route: "home" });
client.timing("js.load", 120);
client.histogram("js.size", 7);
client.distribution("js.dist", 8);
client.gauge("js.depth", 42.5);
client.gaugeDelta("js.depth", -2);
["a", "b", "c", "a"].forEach((user) => client.set("js.users", user));
client.check("js.alive", client.CHECKS.CRITICAL);
client.close();
