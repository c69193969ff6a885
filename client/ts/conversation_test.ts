// A conversation that outlives its streams, with a server that ends them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  Calculator,
  type ConverseRequest,
  ConverseRequestSchema,
  Operation,
} from "@proto/calculator/v1/calculator_pb.js";
import { connect } from "./channel.ts";
import { converse } from "./conversation.ts";
import { errorOf } from "./failures.ts";
import { ATTEMPTS } from "./retries.ts";

/** A server that only adds, and ends each stream after so many answers. */
class Cutting implements AsyncDisposable {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** How many streams there were. */
  streams = 0;

  constructor(cuts: readonly number[], code: Code) {
    const adding = this.#adding(cuts, code);
    this.#server = createServer(
      connectNodeAdapter({ routes: (router) => router.service(Calculator, { converse: adding }) }),
    );
    this.#server.on("session", (session) => this.#sessions.add(session));
  }

  #adding(cuts: readonly number[], code: Code) {
    return async function* (this: Cutting, requests: AsyncIterable<ConverseRequest>) {
      let left = cuts[this.streams] ?? Number.POSITIVE_INFINITY;
      this.streams += 1;
      let last = 0;
      if (left === 0) {
        throw new ConnectError("cut off", code);
      }
      for await (const { operation, firstOperand = last, secondOperand } of requests) {
        last = operation === Operation.MULTIPLY ? firstOperand * secondOperand : firstOperand + secondOperand;
        yield { outcome: { case: "result", value: last } } as const;
        left -= 1;
        if (left === 0) {
          throw new ConnectError("cut off", code);
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

async function* each(requests: readonly ConverseRequest[]): AsyncIterable<ConverseRequest> {
  yield* requests;
}

/** Adds 1, 2, 3 and so on; returns the results. */
async function sums(target: string, count: number): Promise<unknown[]> {
  await using channel = await connect(target);
  const requests = Array.from({ length: count }, (_, place) => plus(place + 1));
  const responses = converse(createClient(Calculator, channel.transport), each(requests));
  return Array.fromAsync(responses, ({ outcome }) => outcome.value);
}

for (const code of [Code.Unavailable, Code.DeadlineExceeded]) {
  test(`each request has one answer, however its streams end with ${Code[code]}`, async () => {
    await using server = new Cutting([1, 2, 0, 3], code);
    assert.deepEqual(await sums(await server.listen(), 6), [1, 3, 6, 10, 15, 21]);
    assert.ok(server.streams >= 4);
  });
}

test("an error that does not pass ends it", async () => {
  await using server = new Cutting([1], Code.PermissionDenied);
  const target = await server.listen();
  await assert.rejects(sums(target, 3), (error) => errorOf(error).code === Code.PermissionDenied);
  assert.equal(server.streams, 1);
});

test("it is given up after so many streams in vain", async () => {
  await using server = new Cutting([0, 0, 0, 0, 0, 0, 0], Code.Unavailable);
  const target = await server.listen();
  await assert.rejects(sums(target, 1), (error) => errorOf(error).code === Code.Unavailable);
  assert.equal(server.streams, ATTEMPTS);
});
