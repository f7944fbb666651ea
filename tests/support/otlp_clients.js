// Sends a span, a metric and a log record with the real exporters; arguments: http (JSON), proto or
// grpc, a base URL, none or gzip. Fails unless each of them says that it was delivered.
const [protocol, url, compression] = process.argv.slice(2);
const load = (signal) => require(`@opentelemetry/exporter-${signal}-otlp-${protocol}`);
const { TracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace");
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { LoggerProvider, SimpleLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { diag, DiagConsoleLogger, DiagLogLevel } = require("@opentelemetry/api");

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
const results = [];
const watched = (exporter) => {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    send(items, (result) => {
      results.push(result);
      done(result);
    });
  return exporter;
};
const settings = (path) => ({ url: protocol === "grpc" ? url : url + path, compression });

async function main() {
  const resource = resourceFromAttributes({ "service.name": "js-shop" });
  const spans = watched(new (load("trace").OTLPTraceExporter)(settings("/v1/traces")));
  const traces = new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] });
  const tracer = traces.getTracer("t", "1.0");
  const attributes = { s: "täxt", i: -5, f: 0.5, b: true, l: ["a", "b"] };
  const context = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };
  const links = [{ context, attributes: { why: "test" } }];
  const span = tracer.startSpan("js-span", { kind: 2, attributes, links });
  span.addEvent("event", { turn: 1 });
  span.setStatus({ code: 2, message: "went wrong" });
  span.end();
  const exporter = watched(new (load("metrics").OTLPMetricExporter)(settings("/v1/metrics")));
  const reader = new PeriodicExportingMetricReader({ exporter });
  const metrics = new MeterProvider({ resource, readers: [reader] });
  metrics.getMeter("m").createCounter("js.orders").add(3, { kind: "gift" });
  const records = watched(new (load("logs").OTLPLogExporter)(settings("/v1/logs")));
  const processor = new SimpleLogRecordProcessor({ exporter: records });
  const logs = new LoggerProvider({ resource, processors: [processor] });
  logs.getLogger("l").emit({ body: { line: "js-line", list: [1, "two"] }, severityText: "INFO" });
  for (const provider of [traces, metrics, logs]) {
    await provider.forceFlush();
    await provider.shutdown();
  }
  const failed = results.filter((result) => result.code !== 0);
  if (failed.length > 0 || results.length < 3) throw new Error(JSON.stringify(results));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
