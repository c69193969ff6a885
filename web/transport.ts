// gRPC-Web for all kinds of methods in a browser: the requests of a call are sent at once, before its first answer.
//
// A browser cannot send while it receives (https://fetch.spec.whatwg.org/#dom-requestduplex), so Connect's own transport
// refuses methods with a request stream. On the wire, several messages in one body are a request stream like any other:
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md

import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { StreamResponse, Transport } from "@connectrpc/connect";
import { createAsyncIterable, encodeEnvelope } from "@connectrpc/connect/protocol";
import { createGrpcWebTransport, type GrpcWebTransportOptions } from "@connectrpc/connect-web";

/** Returns a transport for all kinds of methods. A request stream must end before the first answer can arrive. */
export function createBufferingTransport(options: GrpcWebTransportOptions): Transport {
  const plain = createGrpcWebTransport(options);
  return {
    unary: plain.unary,
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      if (method.methodKind === "server_streaming") {
        return plain.stream(method, signal, timeoutMs, header, input, contextValues);
      }
      const body = new Blob(await envelopes(method.input, input));
      const fetch: typeof globalThis.fetch = (url, init) => globalThis.fetch(url, { ...init, body });
      const singleRequest = createGrpcWebTransport({ ...options, fetch });
      // Connect and the interceptors see a method with a single, empty request; `fetch` sends all requests in its place.
      // The types of the response do not change, but TypeScript cannot infer that for the changed method.
      const serverStreaming = { ...method, methodKind: "server_streaming" } as const;
      const response = await singleRequest.stream(
        serverStreaming,
        signal,
        timeoutMs,
        header,
        createAsyncIterable([create(method.input)]),
        contextValues,
      );
      return { ...response, method } as unknown as StreamResponse<typeof method.input, typeof method.output>;
    },
  };
}

async function envelopes<I extends DescMessage>(
  schema: I,
  input: AsyncIterable<MessageInitShape<I>>,
): Promise<Uint8Array<ArrayBuffer>[]> {
  return Array.fromAsync(input, (message) => encodeEnvelope(0, toBinary(schema, create(schema, message))));
}
