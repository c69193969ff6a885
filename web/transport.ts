// gRPC-Web as a browser can speak it: all that a call has to say goes out at once, and then the answers come.
//
// A browser cannot send while it receives (https://fetch.spec.whatwg.org/#dom-requestduplex), so that Connect's own transport
// refuses methods to which requests are streamed. On the wire, several messages in one body are a stream like any other:
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md

import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { StreamResponse, Transport } from "@connectrpc/connect";
import { createAsyncIterable, encodeEnvelope } from "@connectrpc/connect/protocol";
import { createGrpcWebTransport, type GrpcWebTransportOptions } from "@connectrpc/connect-web";

/** Returns a transport for all kinds of methods. The requests of a call must end before its first answer can come. */
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
      const gathered = createGrpcWebTransport({ ...options, fetch });
      // To Connect, and to interceptors, it is a method of one request, an empty one, in whose place `fetch` sends them all;
      // the types of the response are the same, which TypeScript cannot know of a method that was changed.
      const alike = { ...method, methodKind: "server_streaming" } as const;
      const response = await gathered.stream(
        alike,
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
