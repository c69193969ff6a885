// One-line descriptions of failed calls: the status, the details, and what to do.

import { Code, type ConnectError } from "@connectrpc/connect";
import { codeName, isStreamReset, NoTokenError } from "./status.ts";

/** The server that was called, and the options of the call. */
export interface CallInfo {
  readonly target: string;
  /** The timeout of the call, in seconds. */
  readonly timeout: number;
  /** The audience of the call's identity token; "" if the call may not have had one. */
  readonly audience: string;
  readonly isTls: boolean;
}

/** Describes a failed call in one line. */
export function describe(error: ConnectError, call: CallInfo): string {
  if (error.cause instanceof NoTokenError) {
    return error.cause.message; // the call was not sent to a server
  }
  const details = error.rawMessage.split(/\s+/u).filter(Boolean).join(" ");
  return `${codeName(error.code)}: ${[details, advice(error, call)].filter(Boolean).join("; ")}`;
}

function advice(error: ConnectError, { target, timeout, audience, isTls }: CallInfo): string {
  switch (error.code) {
    case Code.DeadlineExceeded:
      // Otherwise the deadline was the server's, not the client's.
      return isClientError(error) ? `${target} did not answer within ${timeout} s; increase --timeout` : "";
    case Code.Unimplemented:
      return `${target} does not serve this method; name another server with --target`;
    case Code.Unavailable:
    case Code.Internal:
      return isClientError(error) && !isStreamReset(error) ? notReached(target, isTls) : "";
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return audience
        ? `the token's audience was ${audience}; check --audience and, on Cloud Run, your role roles/run.invoker`
        : `${target} requires authentication; pass --auth=identity-token`;
    default:
      return "";
  }
}

function notReached(target: string, isTls: boolean): string {
  return isTls
    ? `is a server with TLS running at ${target}? If its certificate is not from one of Node's CAs, pass --ca-cert`
    : `is a server running at ${target}? Start one with ./bazelw run //server, or name another with --target`;
}

/** Returns whether the client caused an error: such an error has a cause, or was raised before any headers arrived. */
function isClientError(error: ConnectError): boolean {
  return error.cause !== undefined || [...error.metadata].length === 0;
}
