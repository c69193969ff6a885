// Tests of conversations over streams that end early.

import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  Calculator,
  type ConverseRequest,
  ConverseRequestSchema,
  ConverseResponseSchema,
  Operation,
} from "@proto/calculator/v1/calculator_pb.js";
import { connect } from "./channel.ts";
import { converse } from "./conversation.ts";
import { ATTEMPTS } from "./retries.ts";
import { errorOf } from "./status.ts";

/** A calculator that can only add, and that cuts each stream off after a given number of answers. */
class Cutting implements AsyncDisposable {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** The number of streams so far. */
  streams = 0;
  /** How many times each answer is sent. */
  times = 1;

  /** Without a code, the streams end with OK. */
  constructor(cuts: readonly number[], code?: Code) {
    const adding = this.#adding(cuts, code);
    this.#server = createServer(
      connectNodeAdapter({ routes: (router) => router.service(Calculator, { converse: adding }) }),
    );
    this.#server.on("session", (session) => this.#sessions.add(session));
  }

  #adding(cuts: readonly number[], code: Code | undefined) {
    const end = () => {
      if (code !== undefined) {
        throw new ConnectError("cut off", code);
      }
    };
    return async function* (this: Cutting, requests: AsyncIterable<ConverseRequest>) {
      let left = cuts[this.streams] ?? Number.POSITIVE_INFINITY;
      this.streams += 1;
      let last = 0;
      if (left === 0) {
        return end();
      }
      for await (const { operation, firstOperand = last, secondOperand } of requests) {
        last = operation === Operation.MULTIPLY ? firstOperand * secondOperand : firstOperand + secondOperand;
        for (let time = 0; time < this.times; time++) {
          yield { outcome: { case: "result", value: last } } as const;
        }
        left -= 1;
        if (left === 0) {
          return end();
        }
      }
    }.bind(this);
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) {
      session.destroy();
    }
    this.#server.close();
  }
}

const plus = (secondOperand: number): ConverseRequest =>
  create(ConverseRequestSchema, { operation: Operation.ADD, secondOperand });

/** Returns the sums after adding 1, 2, 3 and so on. */
async function sums(target: string, count: number): Promise<unknown[]> {
  await using channel = await connect(target);
  const requests = Array.from({ length: count }, (_, place) => plus(place + 1));
  const responses = converse(createClient(Calculator, channel.transport), createAsyncIterable(requests));
  return Array.fromAsync(responses, ({ outcome }) => outcome.value);
}

for (const code of [undefined, Code.Unavailable, Code.DeadlineExceeded]) {
  test(`each request has one answer, wherever its streams end with ${code ? Code[code] : "OK"}`, async () => {
    await using server = new Cutting([1, 2, 0, 3], code);
    assert.deepEqual(await sums(await server.listen(), 6), [1, 3, 6, 10, 15, 21]);
    assert.ok(server.streams >= 4);
  });
}

test("a permanent error ends the conversation", async () => {
  await using server = new Cutting([1], Code.PermissionDenied);
  const target = await server.listen();
  await assert.rejects(sums(target, 3), (error) => errorOf(error).code === Code.PermissionDenied);
  assert.equal(server.streams, 1);
});

test("five streams in a row without an answer end the conversation", async () => {
  await using server = new Cutting([0, 0, 0, 0, 0, 0, 0], Code.Unavailable);
  const target = await server.listen();
  await assert.rejects(sums(target, 1), (error) => errorOf(error).code === Code.Unavailable);
  assert.equal(server.streams, ATTEMPTS);
});

test("five streams in a row that end with OK but without an answer end the conversation", async () => {
  await using server = new Cutting([0, 0, 0, 0, 0, 0, 0]);
  const target = await server.listen();
  await assert.rejects(sums(target, 1), /the server ended the stream without an answer/u);
  assert.equal(server.streams, ATTEMPTS);
});

test("an answer without a request is an error", async () => {
  await using server = new Cutting([]);
  server.times = 2;
  const target = await server.listen();
  await assert.rejects(sums(target, 1), /the server sent more answers than there were requests/u);
  assert.equal(server.streams, 1);
});

/** HTTP/2 frames built by hand (RFC 9113), since Node's own server ends a stream before it resets it. */
const Frame = { data: 0, headers: 1, reset: 3, settings: 4 } as const;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const PREFACE_LENGTH = 24;
const HEAD_LENGTH = 9;

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_LENGTH);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Returns a length-prefixed gRPC message with a result. */
function message(value: number): Buffer {
  const response = create(ConverseResponseSchema, { outcome: { case: "result", value } });
  const bytes = Buffer.from(toBinary(ConverseResponseSchema, response));
  return Buffer.concat([Buffer.of(0, 0, 0, 0, bytes.length), bytes]);
}

// HPACK (RFC 7541): ":status: 200" is indexed, the other fields are literals.
const RESPONSE = Buffer.concat([Buffer.of(0x88, 0x0f, 0x10, 16), Buffer.from("application/grpc")]);
const TRAILERS = Buffer.concat([Buffer.of(0x00, 11), Buffer.from("grpc-status"), Buffer.of(1), Buffer.from("0")]);

/** Answers the first stream with 1 and a reset, and the second, which starts with a reminder, with 1 and 3. */
function answer(stream: number, number: number, code: number): Buffer {
  const beginning = [frame(Frame.headers, END_HEADERS, stream, RESPONSE), frame(Frame.data, 0, stream, message(1))];
  const reset = Buffer.alloc(4);
  reset.writeUInt32BE(code);
  const rest =
    number === 1
      ? [frame(Frame.reset, 0, stream, reset)]
      : [frame(Frame.data, 0, stream, message(3)), frame(Frame.headers, END_HEADERS + END_STREAM, stream, TRAILERS)];
  return Buffer.concat([...beginning, ...rest]);
}

/** Serves a connection; `begin` is called with the id of each new stream, and returns the bytes of the answer. */
function serve(socket: Socket, begin: (stream: number) => Buffer): void {
  let bytes = Buffer.alloc(0);
  let skip = PREFACE_LENGTH;
  socket.write(frame(Frame.settings, 0, 0));
  socket.on("error", () => undefined); // the client may disconnect first
  socket.on("data", (more) => {
    bytes = Buffer.concat([bytes, more]);
    while (bytes.length >= skip + HEAD_LENGTH) {
      const length = bytes.readUIntBE(skip, 3);
      if (bytes.readUInt8(skip + 3) === Frame.headers) {
        socket.write(begin(bytes.readUInt32BE(skip + 5)));
      }
      bytes = bytes.subarray(skip);
      skip = HEAD_LENGTH + length;
    }
  });
}

for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_CANCEL]) {
  test(`a stream that is reset with code ${code} after an answer is followed by another`, async () => {
    let streams = 0;
    const sockets: Socket[] = [];
    const server = createTcpServer((socket) => {
      sockets.push(socket);
      serve(socket, (stream) => {
        streams += 1;
        return answer(stream, streams, code);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      assert.deepEqual(await sums(`127.0.0.1:${(server.address() as AddressInfo).port}`, 2), [1, 3]);
      assert.equal(streams, 2);
    } finally {
      server.close();
      for (const socket of sockets) {
        socket.destroy();
      }
    }
  });
}
