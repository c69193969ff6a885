// The status of a failed call, and what the server says of it beside.

import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorInfo, ErrorInfoSchema } from "@proto/google/rpc/error_details_pb.js";

/** There is no identity token to be had; the message says where one was looked for, and what to do. */
export class NoTokenError extends Error {}

/**
 * Returns the status that something thrown says: what is no ConnectError is none of the server's.
 *
 * Of a stream that was reset Node tells before Connect does, without the status that gRPC has for it:
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
 */
export function errorOf(thrown: unknown): ConnectError {
  const error = ConnectError.from(thrown);
  if (causeOf(error) === "ECONNRESET") {
    // Connect makes it ABORTED, which gRPC has for conflicts. As in other gRPC clients, a lost connection is UNAVAILABLE.
    return new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error.cause);
  }
  if (!isStreamReset(error)) {
    return error;
  }
  const code = error.rawMessage.includes("NGHTTP2_REFUSED_STREAM")
    ? Code.Unavailable
    : error.rawMessage.includes("NGHTTP2_ENHANCE_YOUR_CALM")
      ? Code.ResourceExhausted
      : Code.Internal;
  return new ConnectError(error.rawMessage, code, undefined, undefined, error.cause);
}

/** Returns whether a stream ended otherwise than by a status: it was reset, or its connection is gone. */
export function isStreamReset(error: ConnectError): boolean {
  const code = causeOf(error);
  const isReset = code === "ERR_HTTP2_STREAM_ERROR" || code === "ERR_STREAM_PREMATURE_CLOSE";
  return isReset || error.rawMessage === "protocol error: missing status"; // what Connect makes of NO_ERROR
}

/** Returns the code that Node has for the cause of an error, such as ECONNRESET. */
function causeOf(error: ConnectError): unknown {
  return (error.cause as { readonly code?: unknown } | undefined)?.code;
}

/** Returns what gRPC calls a status, such as INVALID_ARGUMENT. */
export function codeName(code: Code): string {
  if (code === Code.Canceled) {
    return "CANCELLED"; // the one that Connect spells otherwise
  }
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/gu, "_").toUpperCase();
}

/** Returns the reason that the server gives, one of `Reason` in proto/calculator/v1/calculator.proto; or nothing. */
export function reasonOf(error: ConnectError): ErrorInfo | undefined {
  return error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "calculator");
}
