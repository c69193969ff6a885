// The identity token that goes with every call, if the person has given one.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** What a header can carry of a token (RFC 6750, section 2.1). */
const TOKEN = /^[\w.~+/=-]*$/u;

const field = (): HTMLInputElement => document.querySelector("#token") as HTMLInputElement;

const token = (): string => field().value.replace(/\s+/gu, ""); // a terminal breaks it into lines

/** Returns whether there is a token. */
export function hasToken(): boolean {
  return token() !== "";
}

/** Shows where a token is to be pasted. */
export function showAccess(): void {
  (document.querySelector("#access") as HTMLDetailsElement).open = true;
}

/** Sends the token; never in plaintext, but to this machine. */
export const identified: Interceptor = (next) => async (request) => {
  const value = token();
  if (value) {
    if (!globalThis.isSecureContext) {
      throw new ConnectError("an identity token is a secret, and is not sent in plaintext", Code.FailedPrecondition);
    }
    if (!TOKEN.test(value)) {
      throw new ConnectError("what you pasted is no identity token", Code.InvalidArgument);
    }
    request.header.set("authorization", `Bearer ${value}`);
  }
  return next(request);
};
