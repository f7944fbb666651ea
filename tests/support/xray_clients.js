// What an application under the X-Ray SDK for Node.js does: it serves a request, calls another server,
// DynamoDB and MySQL, fails, and asks for sampling rules and targets.
//
//     xray_clients.js segments ADDRESS    prints each document as it was sent
//     xray_clients.js sampling ADDRESS    prints rules and targets
process.env.AWS_XRAY_LOG_LEVEL = "silent";
const [mode, address] = process.argv.slice(2);
const http = require("http");
const xray = require("aws-xray-sdk-core");
xray.setDaemonAddress(address);

const listening = (server) =>
  new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));

// A server of DynamoDB's and one of anybody's, both in this process and not traced.
const answering = (status, body) =>
  http.createServer((_, answer) => {
    const headers = { "content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "r-1" };
    answer.writeHead(status, { ...headers, "content-length": body.length });
    answer.end(body);
  });

function mysqlServer() {
  const mysql = require("mysql2");
  const server = mysql.createServer();
  server.on("connection", (connection) => {
    connection.serverHandshake({
      protocolVersion: 10, serverVersion: "8.0.0", connectionId: 1, statusFlags: 2,
      characterSet: 33, capabilityFlags: 0xffffff ^ 0x800,
    });
    connection.on("query", () => connection.writeOk({ affectedRows: 1 }));
    connection.on("error", () => {});
  });
  return server;
}

async function query(port) {
  const mysql = require("aws-xray-sdk-mysql")(require("mysql2"));
  const user = { host: "127.0.0.1", port, user: "app", password: "x", database: "orders" };
  const connection = mysql.createConnection(user);
  connection.on("error", () => {});
  await new Promise((done) => connection.query("SELECT ?", [7], done));
  connection.destroy();
}

async function callDynamo(port) {
  const { DynamoDBClient, GetItemCommand } = require("@aws-sdk/client-dynamodb");
  const client = xray.captureAWSv3Client(new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`, region: "eu-west-1", maxAttempts: 1,
    credentials: { accessKeyId: "AKIA1", secretAccessKey: "s3c" },
  }));
  await client.send(new GetItemCommand({ TableName: "carts", Key: { id: { S: "1" } } }))
    .catch(() => {});
}

async function segments() {
  xray.setContextMissingStrategy("RUNTIME_ERROR");
  xray.middleware.setSamplingRules({ version: 2, default: { fixed_target: 100, rate: 1 } });
  xray.middleware.disableCentralizedSampling();
  xray.middleware.setDefaultName("shop");
  xray.setStreamingThreshold(100);
  // What the emitter sends, seen on its way.
  const emitter = require("aws-xray-sdk-core/dist/lib/segment_emitter");
  const send = emitter.send;
  emitter.send = (entity) => {
    console.log(entity.format());
    send.call(emitter, entity);
  };
  const servers = [answering(503, "no"), answering(200, "{}"), answering(400, '{"__type":"x#Bad"}')];
  const [other, dynamo, broken] = await Promise.all(servers.map(listening));
  const database = mysqlServer();
  const sql = await listening({
    listen: (port, host, done) => (database.listen(port, host, done)),
    address: () => database._server.address(),
  });
  const traced = xray.captureHTTPs(http);
  const serving = new Promise((done) => {
    const server = http.createServer((request, answer) => {
      const segment = xray.middleware.traceRequestResponseCycle(request, answer);
      xray.getNamespace().run(async () => {
        xray.setSegment(segment);
        segment.setUser("ann");
        segment.addAnnotation("tier", 3);
        segment.addAnnotation("paid", true);
        segment.addAnnotation("plan", "gold \u{1f600}");
        segment.addMetadata("cart", { items: [1, { a: null }], note: 'é "x"' }, "shop");
        segment.addMetadata("own", [1.5]);
        await new Promise((called) => {
          const call = traced.get(`http://127.0.0.1:${other}/stock?a=1`, (reply) => {
            reply.resume().on("end", called);
          });
          call.on("error", called);
        });
        await callDynamo(dynamo);
        await callDynamo(broken);
        await query(sql);
        try {
          xray.captureFunc("pay", (sub) => {
            sub.addAnnotation("rows", 7.5);
            throw new TypeError('no "money"');
          });
        } catch {}
        answer.writeHead(429, { "content-length": 0 });
        answer.end();
        answer.on("close", () => setTimeout(done, 50));
      });
    });
    listening(server).then((port) => {
      const headers = { "user-agent": 'curl "8"', "x-forwarded-for": "10.0.0.9" };
      const request = http.request({ port, path: "/cart?a=1", method: "POST", headers, agent: false });
      request.on("response", (reply) => reply.resume());
      request.end();
    });
  });
  await serving;
  // More subsegments than one document takes: they are streamed as documents of their own.
  xray.setStreamingThreshold(10);
  const stream = new xray.Segment("stream");
  const steps = Array.from({ length: 40 }, (_, n) => stream.addNewSubsegment(`step ${n}`));
  steps.forEach((step) => step.close());
  stream.close();
  setTimeout(() => process.exit(0), 200);
}

function sampling() {
  const connector = require("aws-xray-sdk-core/dist/lib/middleware/sampling/service_connector");
  connector.fetchSamplingRules((error, rules) => {
    if (error) throw error;
    connector.fetchTargets(rules, (failed, targets) => {
      if (failed) throw failed;
      console.log(JSON.stringify({ rules: rules.map((r) => [r.name, r.rate]), targets }));
      process.exit(0);
    });
  });
}

mode === "segments" ? segments() : sampling();
