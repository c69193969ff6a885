// The messages for failed calls.

import { Code, type ConnectError } from "@connectrpc/connect";
import { reasonOf } from "../client/ts/status.ts";

const UNREACHABLE = "The calculator cannot be reached. What you typed is still here: try again in a moment.";
const FAULT = "Something unexpected went wrong. Try again, or try something else.";

/** Returns a sentence or two that say what was wrong, and what to do. */
export function sentence(error: ConnectError, hasToken: boolean): string {
  switch (error.code) {
    case Code.Unavailable:
    case Code.Canceled:
    case Code.Aborted:
      return UNREACHABLE;
    case Code.Unknown:
      return error.cause instanceof TypeError ? UNREACHABLE : FAULT; // fetch throws a TypeError if it cannot connect
    case Code.ResourceExhausted:
      return "The calculator is busy. Try again in a moment.";
    case Code.DeadlineExceeded:
      return "The calculator took too long to answer. Try again, or use less input.";
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return hasToken
        ? `The service refuses your identity token: ${error.rawMessage}.`
        : "The service requires authentication. Paste an identity token below, and try again.";
    default:
      return `${capitalized(error.rawMessage)}.`;
  }
}

/** Returns the index of the invalid character of the expression, from 0; undefined if the error has no position. */
export function positionOf(error: ConnectError): number | undefined {
  const position = reasonOf(error)?.metadata["position"];
  return position === undefined ? undefined : Number(position) - 1;
}

/** Returns whether a token, or another one, may help. */
export function isAboutAccess(error: ConnectError): boolean {
  return error.code === Code.Unauthenticated || error.code === Code.PermissionDenied;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
