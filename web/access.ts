// The identity token that the user pastes into the page, and that every call sends.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** The characters that a token may have in a header (RFC 6750, section 2.1). */
const TOKEN = /^[\w.~+/=-]*$/u;

const field = (): HTMLInputElement => document.querySelector("#token") as HTMLInputElement;

const token = (): string => field().value.replace(/\s+/gu, ""); // text copied from a terminal may have line breaks

/** Returns whether the user has pasted a token. */
export function hasToken(): boolean {
  return token() !== "";
}

/** Opens the part of the page with the field for the token. */
export function showAccess(): void {
  (document.querySelector("#access") as HTMLDetailsElement).open = true;
}

/** Adds the token to each call; never in plaintext, except to this machine. */
export const identified: Interceptor = (next) => async (request) => {
  const value = token();
  if (value) {
    if (!globalThis.isSecureContext) {
      throw new ConnectError("an identity token is a secret, and is not sent in plaintext", Code.FailedPrecondition);
    }
    if (!TOKEN.test(value)) {
      throw new ConnectError("the pasted text is not an identity token", Code.InvalidArgument);
    }
    request.header.set("authorization", `Bearer ${value}`);
  }
  return next(request);
};
