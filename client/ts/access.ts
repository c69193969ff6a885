// How a server is reached: by TLS or in plaintext, with an identity token on every call or without.

import { readFileSync } from "node:fs";
import type { Interceptor } from "@connectrpc/connect";
import type { Address } from "./address.ts";
import { isOnGoogleCloud, Tokens } from "./identity.ts";
import { NoTokenError } from "./status.ts";

export const AUTHS = ["auto", "identity-token", "none"] as const;

/** Where Cloud Run looks for tokens; the first is the usual one. */
export const HEADERS = ["authorization", "x-serverless-authorization"] as const;

/** What is asked for does not go together, or there are no credentials; the message says what would. */
export class AccessError extends Error {}

/** How a server is to be reached. */
export interface Access {
  /** Whether to speak TLS where the address does not say so. */
  readonly tls?: boolean;
  /** A file of certificates in PEM, of whom the server's must come; without it, Node's roots. With it, TLS is spoken. */
  readonly caCert?: string;
  /** "identity-token" for a token on every call, "none" for none; "auto" for one by TLS if an audience or an account is
   * named, or if the server is Cloud Run's and there are credentials. */
  readonly auth?: (typeof AUTHS)[number];
  /** Whom tokens are for, if not https://HOST. */
  readonly audience?: string;
  /** The service account whose tokens are sent, by its e-mail address. */
  readonly impersonate?: string;
  /** What tokens are sent as. */
  readonly headers?: readonly (typeof HEADERS)[number][];
}

/** Returns whether TLS is spoken with an address. */
export function speaksTls(address: Address, access: Access): boolean {
  return Boolean(access.tls || access.caCert || address.isTls);
}

/** Returns whom tokens are for, if every call to an address must have one, or fail; "" otherwise. */
export function requiredAudience(address: Address, access: Access): string {
  const isNamed = Boolean(access.audience || access.impersonate);
  const { auth = "auto" } = access;
  const isRequired = auth === "identity-token" || (auth === "auto" && isNamed && speaksTls(address, access));
  return isRequired ? access.audience || address.audience : "";
}

/**
 * Returns the certificates that a server's must come of; nothing for Node's own.
 *
 * @throws {AccessError} they cannot be read.
 */
export function certificates({ caCert }: Access): string | undefined {
  if (!caCert) {
    return undefined;
  }
  try {
    const text = readFileSync(caCert, "utf8");
    if (text.includes("-----BEGIN CERTIFICATE-----")) {
      return text;
    }
  } catch (error) {
    throw new AccessError(`the certificates in ${caCert} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw new AccessError(`there is no certificate in ${caCert}: accepted is PEM`);
}

/**
 * Returns what gives every call its token; nothing if none is wanted.
 *
 * @throws {AccessError} a token would go out in plaintext, or there is none.
 */
export async function tokenInterceptor(address: Address, access: Access): Promise<Interceptor | undefined> {
  const isTls = speaksTls(address, access);
  const required = requiredAudience(address, access);
  const isOptional = (access.auth ?? "auto") === "auto" && !required; // a service that is open to all wants no token
  if (access.auth === "none" || (isOptional && !(isTls && address.isCloudRun))) {
    return undefined;
  }
  if (!isTls && !address.isLoopback) {
    throw new AccessError(`${address.target}: an identity token is a secret, and is not sent in plaintext; use TLS`);
  }
  try {
    const tokens = await Tokens.find(required || address.audience, access.impersonate ?? "");
    await tokens.get(); // now, since a call would have to wait for it, and has a deadline
    return tokenSender(tokens, access.headers ?? ["authorization"], isOptional);
  } catch (error) {
    // On Google Cloud there are credentials: that they are not there now is no reason to go without.
    if (isOptional && !isOnGoogleCloud()) {
      return undefined;
    }
    throw error instanceof NoTokenError ? new AccessError(error.message, { cause: error }) : error;
  }
}

function tokenSender(tokens: Tokens, headers: readonly string[], isOptional: boolean): Interceptor {
  return (next) => async (request) => {
    try {
      const token = await tokens.get();
      for (const header of headers) {
        request.header.set(header, `Bearer ${token}`);
      }
    } catch (error) {
      if (!isOptional) {
        throw error;
      }
    }
    return next(request);
  };
}
