// SPDX-License-Identifier: Apache-2.0
// Calls the daemon with grpc-js: node client.js ADDRESS PROTO_FOLDER [CA_FILE TOKEN]
// Prints one line of JSON for each call: what it was and how it ended.
const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protos, ca, token] = process.argv.slice(2);
const definition = loader.loadSync(
  ["trit/v1/ternary.proto", "trit/v1/layers.proto"],
  { includeDirs: [protos], enums: String, longs: Number, defaults: true },
);
const { Ternary, Layers } = grpc.loadPackageDefinition(definition).trit.v1;
const credentials = ca
  ? grpc.credentials.createSsl(fs.readFileSync(ca))
  : grpc.credentials.createInsecure();
const options = {
  "grpc.max_send_message_length": -1,
  "grpc.max_receive_message_length": -1,
  "grpc.enable_retries": 0,
};
const gzip = { ...options, "grpc.default_compression_algorithm": 2 };
const ternary = new Ternary(address, credentials, options);
const layers = new Layers(address, credentials, options);
const metadata = new grpc.Metadata();
if (token) metadata.set("authorization", "Bearer " + token);

const ROWS = 64, COLUMNS = 128;
const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i));
const tensor = { dtype: "DTYPE_F32", shape: [ROWS, COLUMNS], data: Buffer.from(values.buffer) };

function say(call, error, more) {
  console.log(JSON.stringify({
    call,
    code: error ? grpc.status[error.code] : "OK",
    message: error ? error.details : "",
    details: error ? error.metadata.get("grpc-status-details-bin").length : 0,
    ...more,
  }));
}

function unary(name, client) {
  return new Promise((done) =>
    client.Project({ tensor }, metadata, { deadline: Date.now() + 60000 }, (error, reply) => {
      say(name, error, { bytes: reply ? reply.data.length : 0 });
      done();
    }));
}

function stream(name, deadline, chunks) {
  return new Promise((done) => {
    const call = ternary.ProjectStream(metadata, { deadline: Date.now() + deadline });
    let bytes = 0, report = false, failed = null;
    call.on("data", (reply) => {
      if (reply.chunk) bytes += reply.chunk.data.length;
      if (reply.report) report = true;
    });
    call.on("error", (error) => { failed = error; say(name, error); done(); });
    call.on("end", () => { if (!failed && report) { say(name, null, { bytes }); done(); } });
    call.write({ start: { dtype: "DTYPE_F32", shape: [ROWS, COLUMNS] } });
    for (let i = 0; i < chunks; i++)
      call.write({ chunk: { offset: i * 8192, data: tensor.data.subarray(i * 8192, i * 8192 + 8192) } });
    if (chunks === 4) call.end();
  });
}

function missing() {
  return new Promise((done) =>
    layers.Get({ name: "größe" }, metadata, (error) => { say("missing", error); done(); }));
}

function tooLarge() {
  const data = Buffer.alloc(300 << 20);
  return new Promise((done) =>
    ternary.Project({ tensor: { dtype: "DTYPE_F32", shape: [75 << 10, 1024], data } }, metadata,
      { deadline: Date.now() + 60000 }, (error) => { say("too large", error); done(); }));
}

(async () => {
  await unary("unary", ternary);
  await unary("gzip", new Ternary(address, credentials, gzip));
  await stream("stream", 60000, 4);
  await stream("deadline", 500, 2);
  await missing();
  await tooLarge();
  await unary("again", ternary);
  process.exit(0);
})();
