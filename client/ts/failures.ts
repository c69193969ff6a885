// What a person is told when a call fails: one line, with the status and what to do about it.

import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorInfo, ErrorInfoSchema } from "@proto/google/rpc/error_details_pb.js";

/** There is no identity token to be had; the message says where one was looked for, and what to do. */
export class NoTokenError extends Error {}

/** What was called, and how. */
export interface Called {
  readonly target: string;
  /** The deadline that the call had, in seconds. */
  readonly timeout: number;
  /** Whom the identity token was for that came with it; "" if it may have had none. */
  readonly audience: string;
  readonly isTls: boolean;
}

/**
 * Returns the status that something thrown says: what is no ConnectError is none of the server's.
 *
 * Of a stream that was reset Node tells before Connect does, without the status that gRPC has for it:
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
 */
export function errorOf(thrown: unknown): ConnectError {
  const error = ConnectError.from(thrown);
  if (!isCutOff(error)) {
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
export function isCutOff(error: ConnectError): boolean {
  const code = (error.cause as { readonly code?: unknown } | undefined)?.code;
  const isReset = code === "ERR_HTTP2_STREAM_ERROR" || code === "ERR_STREAM_PREMATURE_CLOSE";
  return isReset || error.rawMessage === "protocol error: missing status"; // what Connect makes of NO_ERROR
}

/** Returns what gRPC calls a status, such as INVALID_ARGUMENT. */
export function codeName(code: Code): string {
  if (code === Code.Canceled) {
    return "CANCELLED"; // the one that Connect spells otherwise
  }
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/gu, "_").toUpperCase();
}

/** Returns the reason that the server gives, from the table in proto/calculator/v1/calculator.proto; or nothing. */
export function reasonOf(error: ConnectError): ErrorInfo | undefined {
  return error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "calculator");
}

/** Describes a failed call in one line. */
export function describe(error: ConnectError, called: Called): string {
  if (error.cause instanceof NoTokenError) {
    return error.cause.message; // no server was asked
  }
  const details = error.rawMessage.split(/\s+/u).filter(Boolean).join(" ");
  return `${codeName(error.code)}: ${[details, advice(error, called)].filter(Boolean).join("; ")}`;
}

function advice(error: ConnectError, { target, timeout, audience, isTls }: Called): string {
  switch (error.code) {
    case Code.DeadlineExceeded:
      // Otherwise it is the server's deadline, not the client's.
      return isOurs(error) ? `${target} did not answer within ${timeout} s; allow more with --timeout` : "";
    case Code.Unimplemented:
      return `${target} serves something else; name another server with --target`;
    case Code.Unavailable:
    case Code.Internal:
      return isOurs(error) && !isCutOff(error) ? notReached(target, isTls) : "";
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return audience
        ? `the token was for ${audience}; see --audience, and on Cloud Run who has the role roles/run.invoker`
        : `${target} wants to know who calls; --auth=identity-token sends a token, or says why there is none`;
    default:
      return "";
  }
}

function notReached(target: string, isTls: boolean): string {
  return isTls
    ? `is a server with TLS running at ${target}? --ca-cert says who vouches for it, if not Node's roots`
    : `is a server running at ${target}? Start one with ./bazelw run //server, or name another with --target`;
}

/** Returns whether a failure is of this side: then there is something that caused it, or no headers came with it. */
function isOurs(error: ConnectError): boolean {
  return error.cause !== undefined || [...error.metadata].length === 0;
}
