// What a person is told when a call fails: one line, with the status and what to do about it.

import { Code, type ConnectError } from "@connectrpc/connect";
import { codeName, isStreamReset, NoTokenError } from "./status.ts";

/** What was called, and how. */
export interface Called {
  readonly target: string;
  /** The deadline that the call had, in seconds. */
  readonly timeout: number;
  /** Whom the identity token was for that came with it; "" if it may have had none. */
  readonly audience: string;
  readonly isTls: boolean;
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
      return isOurs(error) && !isStreamReset(error) ? notReached(target, isTls) : "";
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
