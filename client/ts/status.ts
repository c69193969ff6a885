// The status of a failed call, and its error details.

import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorInfo, ErrorInfoSchema } from "@proto/google/rpc/error_details_pb.js";

/** No identity token is available; the message says what was tried, and what to do. */
export class NoTokenError extends Error {}

/**
 * Converts a thrown value to a ConnectError with the status that gRPC defines for it.
 *
 * Node reports a stream that was reset before Connect does, without the gRPC status of the reset:
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
 */
export function errorOf(thrown: unknown): ConnectError {
  const error = ConnectError.from(thrown);
  if (causeOf(error) === "ECONNRESET") {
    // Connect maps it to ABORTED, which in gRPC means a conflict. Other gRPC clients report UNAVAILABLE.
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

/** Returns whether a stream ended without a status: it was reset, or its connection was lost. */
export function isStreamReset(error: ConnectError): boolean {
  const code = causeOf(error);
  const isReset = code === "ERR_HTTP2_STREAM_ERROR" || code === "ERR_STREAM_PREMATURE_CLOSE";
  return isReset || error.rawMessage === "protocol error: missing status"; // how Connect reports NO_ERROR
}

/** Returns Node's code for the cause of an error, such as ECONNRESET. */
function causeOf(error: ConnectError): unknown {
  return (error.cause as { readonly code?: unknown } | undefined)?.code;
}

/** Returns the gRPC name of a status code, such as INVALID_ARGUMENT. */
export function codeName(code: Code): string {
  if (code === Code.Canceled) {
    return "CANCELLED"; // the only name that Connect spells differently
  }
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/gu, "_").toUpperCase();
}

/** Returns the server's ErrorInfo, if any. Its reason is a `Reason` in proto/calculator/v1/calculator.proto. */
export function reasonOf(error: ConnectError): ErrorInfo | undefined {
  return error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "calculator");
}
