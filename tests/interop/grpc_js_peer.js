// Runs an interop case with @grpc/grpc-js: node grpc_js_peer.js PROTO_FOLDER HOST:PORT CASE.

const assert = require("node:assert/strict");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const [folder, address, name] = process.argv.slice(2);
const api = grpc.loadPackageDefinition(
  protoLoader.loadSync("interop/test.proto", { includeDirs: [folder], keepCase: true, longs: Number }),
).grpc.testing;

const UPLOAD_SIZES = [27182, 8, 1828, 45904];
const DOWNLOAD_SIZES = [31415, 9, 2653, 58979];
const LARGE_REQUEST_SIZE = 271828;
const LARGE_RESPONSE_SIZE = 314159;
const INITIAL = ["x-grpc-test-echo-initial", "test_initial_metadata_value"];
const TRAILING = ["x-grpc-test-echo-trailing-bin", Buffer.from([0xab, 0xab, 0xab])];
const STATUS = { code: 2, message: "test status message" };
const SPECIAL_STATUS = { code: 2, message: "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n" };
const GZIP = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const payload = (size) => ({ body: Buffer.alloc(size) });
const download = (size, upload = 0) => ({ response_parameters: [{ size }], payload: payload(upload) });
const largeUnary = (fields = {}) => ({
  response_size: LARGE_RESPONSE_SIZE,
  payload: payload(LARGE_REQUEST_SIZE),
  ...fields,
});

const TIMEOUT_MS = Number(process.env.TIMEOUT_MS);
assert(TIMEOUT_MS > 0, "TIMEOUT_MS must be the timeout of a call in milliseconds");

const deadline = (milliseconds = TIMEOUT_MS) => ({ deadline: Date.now() + milliseconds });
const metadata = (...pairs) => {
  const made = new grpc.Metadata();
  for (const [key, value] of pairs) {
    made.set(key, value);
  }
  return made;
};

// Makes a unary call; resolves to [error, response, initial metadata, status].
const unary = (client, method, request, given = metadata(), options = deadline()) =>
  new Promise((resolve) => {
    let initial, answer;
    const call = client[method](request, given, options, (error, response) => {
      answer = [error, response];
    });
    call.on("metadata", (received) => {
      initial = received;
    });
    call.on("status", (status) => setImmediate(() => resolve([...answer, initial, status])));
  });

// Reads a stream of responses to its end; resolves to {responses, initial, status}.
const streamed = (call, onResponse = () => {}) =>
  new Promise((resolve) => {
    const seen = { responses: [] };
    call.on("metadata", (received) => {
      seen.initial = received;
    });
    call.on("data", (response) => {
      seen.responses.push(response);
      onResponse(response, seen.responses.length);
    });
    call.on("error", () => {}); // the status event has the same information
    call.on("status", (status) => {
      seen.status = status;
      setImmediate(() => resolve(seen));
    });
  });

const sizes = (responses) => responses.map((response) => response.payload.body.length);

async function upload(client, uploads) {
  return new Promise((resolve, reject) => {
    const call = client.StreamingInputCall(metadata(), deadline(), (error, response) =>
      error ? reject(error) : resolve(response),
    );
    for (const size of uploads) {
      call.write({ payload: payload(size) });
    }
    call.end();
  });
}

async function checkStatus(client, status) {
  const [error] = await unary(client, "UnaryCall", { response_status: status });
  assert.deepEqual([error.code, error.details], [status.code, status.message]);
  const call = client.FullDuplexCall(metadata(), deadline());
  call.write({ response_status: status });
  call.end();
  const seen = await streamed(call);
  assert.deepEqual([seen.status.code, seen.status.details], [status.code, status.message]);
}

const cases = {
  async empty_unary(client) {
    const [error, response] = await unary(client, "EmptyCall", {});
    assert.equal(error, null);
    assert.deepEqual({ ...response }, {});
  },
  async large_unary(client, fields) {
    const [error, response] = await unary(client, "UnaryCall", largeUnary(fields));
    assert.equal(error, null);
    assert.ok(response.payload.body.equals(Buffer.alloc(LARGE_RESPONSE_SIZE)));
  },
  async client_streaming(client) {
    assert.equal((await upload(client, UPLOAD_SIZES)).aggregated_payload_size, sum(UPLOAD_SIZES));
  },
  async server_streaming(client) {
    const request = { response_parameters: DOWNLOAD_SIZES.map((size) => ({ size })) };
    const seen = await streamed(client.StreamingOutputCall(request, deadline()));
    assert.deepEqual(sizes(seen.responses), DOWNLOAD_SIZES);
    assert.equal(seen.status.code, grpc.status.OK);
  },
  async ping_pong(client) {
    const call = client.FullDuplexCall(metadata(), deadline());
    const ping = (turn) =>
      turn < UPLOAD_SIZES.length ? call.write(download(DOWNLOAD_SIZES[turn], UPLOAD_SIZES[turn])) : call.end();
    ping(0);
    const seen = await streamed(call, (_response, count) => ping(count));
    assert.deepEqual(sizes(seen.responses), DOWNLOAD_SIZES);
    assert.equal(seen.status.code, grpc.status.OK);
  },
  async empty_stream(client) {
    const call = client.FullDuplexCall(metadata(), deadline());
    call.end();
    const seen = await streamed(call);
    assert.deepEqual([seen.responses, seen.status.code], [[], grpc.status.OK]);
  },
  async custom_metadata(client) {
    const [error, , initial, status] = await unary(client, "UnaryCall", largeUnary(), metadata(INITIAL, TRAILING));
    assert.equal(error, null);
    const call = client.FullDuplexCall(metadata(INITIAL, TRAILING), deadline());
    call.write(download(LARGE_RESPONSE_SIZE, LARGE_REQUEST_SIZE));
    call.end();
    const seen = await streamed(call);
    for (const [first, last] of [
      [initial, status],
      [seen.initial, seen.status],
    ]) {
      assert.deepEqual(first.get(INITIAL[0]), [INITIAL[1]]);
      assert.deepEqual(last.metadata.get(TRAILING[0]), [TRAILING[1]]);
    }
  },
  status_code_and_message: (client) => checkStatus(client, STATUS),
  special_status_message: (client) => checkStatus(client, SPECIAL_STATUS),
  async unimplemented_method(client) {
    const [error] = await unary(client, "UnimplementedCall", {});
    assert.equal(error.code, grpc.status.UNIMPLEMENTED);
  },
  async unimplemented_service() {
    const client = new api.UnimplementedService(address, grpc.credentials.createInsecure());
    const [error] = await unary(client, "UnimplementedCall", {});
    assert.equal(error.code, grpc.status.UNIMPLEMENTED);
    client.close();
  },
  async cancel_after_begin(client) {
    const error = await new Promise((resolve) => {
      const call = client.StreamingInputCall(metadata(), deadline(), resolve);
      setImmediate(() => call.cancel());
    });
    assert.equal(error.code, grpc.status.CANCELLED);
  },
  async cancel_after_first_response(client) {
    const call = client.FullDuplexCall(metadata(), deadline());
    call.write(download(DOWNLOAD_SIZES[0], UPLOAD_SIZES[0]));
    const seen = await streamed(call, () => call.cancel());
    assert.deepEqual(sizes(seen.responses), [DOWNLOAD_SIZES[0]]);
    assert.equal(seen.status.code, grpc.status.CANCELLED);
  },
  async timeout_on_sleeping_server(client) {
    const call = client.FullDuplexCall(metadata(), deadline(1));
    call.write({ payload: payload(27182) });
    assert.equal((await streamed(call)).status.code, grpc.status.DEADLINE_EXCEEDED);
  },
  client_compressed_unary: withGzip((client) => cases.large_unary(client)),
  async server_compressed_unary(client) {
    await cases.large_unary(client, { response_compressed: { value: true } });
    await cases.large_unary(client, { response_compressed: { value: false } });
  },
  client_compressed_streaming: withGzip(async (client) => {
    assert.equal((await upload(client, [27182, 45904])).aggregated_payload_size, 27182 + 45904);
  }),
  async server_compressed_streaming(client) {
    const request = {
      response_parameters: [
        { size: 31415, compressed: { value: true } },
        { size: 92653, compressed: { value: false } },
      ],
    };
    const seen = await streamed(client.StreamingOutputCall(request, deadline()));
    assert.deepEqual(sizes(seen.responses), [31415, 92653]);
  },
};

function withGzip(body) {
  return async () => {
    const client = new api.TestService(address, grpc.credentials.createInsecure(), GZIP);
    await body(client);
    client.close();
  };
}

const client = new api.TestService(address, grpc.credentials.createInsecure());
// Some cases end before they have reached the server, so check that it is reachable.
cases[name](client)
  .then(() => cases.empty_unary(client))
  .then(
    () => client.close(),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
