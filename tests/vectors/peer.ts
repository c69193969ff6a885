// Makes the calls of the test vectors with the TypeScript clients: peer --target HOST:PORT [--web] FILE...
//
// See tests/vectors/README.md. The program exits with status 1 after the first vector that fails.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  createRegistry,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ConnectError, Transport } from "@connectrpc/connect";
import { decodeBinaryHeader } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import { file_calculator_v1_calculator } from "@proto/calculator/v1/calculator_pb.js";
import { file_calculator } from "@proto/calculator_pb.js";
import { file_google_rpc_error_details } from "@proto/google/rpc/error_details_pb.js";
import { file_routeguide_route_guide } from "@proto/routeguide/route_guide_pb.js";
import { type Access, tokenInterceptor } from "../../client/ts/access.ts";
import { parseAddress } from "../../client/ts/address.ts";
import { connect } from "../../client/ts/channel.ts";
import { codeName, errorOf } from "../../client/ts/status.ts";
import { createBufferingTransport } from "../../web/transport.ts";

const TIMEOUT_MS = Number(process.env["TIMEOUT_MS"]);
assert(TIMEOUT_MS > 0, "TIMEOUT_MS must be the timeout of a call in milliseconds");

const registry = createRegistry(
  file_calculator,
  file_calculator_v1_calculator,
  file_google_rpc_error_details,
  file_routeguide_route_guide,
);

interface Encoded {
  readonly message: JsonObject;
  readonly wire: string;
}

interface Vector {
  readonly name: string;
  readonly requests: readonly Encoded[];
  readonly responses: readonly Encoded[];
  readonly status: JsonValue;
}

/** Returns the bytes of a message in hexadecimal, as in a vector. */
function wire<T extends DescMethod["input"]>(schema: T, message: MessageShape<T>): string {
  return Buffer.from(toBinary(schema, message)).toString("hex");
}

/** Encodes each message again from its JSON. The result equals the input if the vector is correct. */
function reencoded(schema: DescMethod["input"], expected: readonly Encoded[]): Encoded[] {
  return expected.map(({ message }) => ({ message, wire: wire(schema, fromJson(schema, message)) }));
}

/** Makes the call of a vector; returns the bytes of the responses, and the status in the format of a vector. */
async function call(
  transport: Transport,
  method: DescMethod,
  vector: Vector,
): Promise<{ wires: string[]; status: JsonValue }> {
  const requests = vector.requests.map(({ message }) => fromJson(method.input, message));
  const wires: string[] = [];
  try {
    if (method.methodKind === "unary") {
      const [request] = requests;
      assert(request);
      const answer = await transport.unary(method as DescMethodUnary, undefined, TIMEOUT_MS, undefined, request);
      wires.push(wire(method.output, answer.message));
    } else {
      const streaming = method as DescMethodStreaming;
      const answer = await transport.stream(streaming, undefined, TIMEOUT_MS, undefined, createAsyncIterable(requests));
      for await (const message of answer.message) {
        wires.push(wire(method.output, message));
      }
    }
  } catch (thrown) {
    return { wires, status: status(errorOf(thrown)) };
  }
  return { wires, status: { code: "OK" } };
}

function status(error: ConnectError): JsonValue {
  const summary = { code: codeName(error.code), message: error.rawMessage };
  const header = error.metadata.get("grpc-status-details-bin");
  if (!header) {
    return summary;
  }
  const details = error.details.map((detail) => {
    assert("type" in detail); // always, if the error came from a server
    const any = { $typeName: AnySchema.typeName, typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value };
    return toJson(AnySchema, any, { registry, useProtoFieldName: true });
  });
  return { ...summary, details, wire: Buffer.from(decodeBinaryHeader(header)).toString("hex") };
}

/** Returns a transport to a server: gRPC, as the client uses, or gRPC-Web, as the web page uses. */
async function transportTo(target: string, access: Access, isWeb: boolean): Promise<Transport> {
  if (!isWeb) {
    return (await connect(target, access)).transport;
  }
  const tokens = await tokenInterceptor(parseAddress(target), access);
  const baseUrl = `${access.caCert ? "https" : "http"}://${target}`;
  return createBufferingTransport({ baseUrl, interceptors: tokens ? [tokens] : [] });
}

let current = "";

async function main(): Promise<void> {
  const { positionals: files, values } = parseArgs({
    allowPositionals: true,
    options: {
      auth: { default: "none", type: "string" },
      "ca-cert": { default: "", type: "string" },
      target: { default: "", type: "string" },
      web: { default: false, type: "boolean" },
    },
  });
  const access: Access = { auth: values.auth as "identity-token" | "none", caCert: values["ca-cert"] };
  const transport = await transportTo(values.target, access, values.web);
  let passed = 0;
  for (const file of files) {
    const { method: path, vectors } = JSON.parse(readFileSync(file, "utf8")) as { method: string; vectors: Vector[] };
    const [service = "", name] = path.split("/");
    const method = registry.getService(service)?.methods.find((one) => one.name === name);
    assert(method, `${path}: no such method`);
    for (const vector of vectors) {
      current = `${file}: ${vector.name}`;
      const { requests, responses, status: expected } = vector;
      assert.deepEqual(reencoded(method.input, requests), requests);
      assert.deepEqual(reencoded(method.output, responses), responses);
      const actual = await call(transport, method, vector);
      assert.deepEqual(actual, { wires: responses.map((each) => each.wire), status: expected });
      passed += 1;
    }
  }
  console.log(`${passed} vectors passed`);
  process.exit(0); // the open connection would keep the process alive
}

main().catch((error: unknown) => {
  console.error(current, error);
  process.exit(1);
});
