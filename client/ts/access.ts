// How to connect to a server: TLS or plaintext, with or without an identity token on every call.

import { readFileSync } from "node:fs";
import type { Interceptor } from "@connectrpc/connect";
import type { Address } from "./address.ts";
import { isOnGoogleCloud, Tokens } from "./identity.ts";
import { NoTokenError } from "./status.ts";

export const AUTHS = ["auto", "identity-token", "none"] as const;

/** The headers in which Cloud Run accepts an identity token; the first is the default. */
export const HEADERS = ["authorization", "x-serverless-authorization"] as const;

/** Options that contradict each other, or missing credentials; the message says what to change. */
export class AccessError extends Error {}

/** How to connect to a server. */
export interface Access {
  /** Whether to use TLS even if the address does not imply it. */
  readonly tls?: boolean;
  /**
   * A PEM file of CA certificates that replaces Node's roots when the server's certificate is verified. It implies TLS.
   */
  readonly caCert?: string;
  /**
   * "identity-token" sends a token with every call, "none" does not; "auto" sends one over TLS if `audience` or
   * `impersonate` is set, or if the server is on Cloud Run and there are credentials.
   */
  readonly auth?: (typeof AUTHS)[number];
  /** The audience of the tokens; if empty, https://HOST. */
  readonly audience?: string;
  /** The e-mail address of the service account whose tokens are sent; if empty, the caller's own. */
  readonly impersonate?: string;
  /** The members of HEADERS that carry the token. */
  readonly headers?: readonly (typeof HEADERS)[number][];
}

/** Returns whether connections to an address use TLS. */
export function speaksTls(address: Address, access: Access): boolean {
  return Boolean(access.tls || access.caCert || address.isTls);
}

/** Returns the audience of the tokens if calls to an address require one; otherwise "". */
export function requiredAudience(address: Address, access: Access): string {
  const isNamed = Boolean(access.audience || access.impersonate);
  const { auth = "auto" } = access;
  const isRequired = auth === "identity-token" || (auth === "auto" && isNamed && speaksTls(address, access));
  return isRequired ? access.audience || address.audience : "";
}

/**
 * Returns the CA certificates that verify the server's certificate; undefined for Node's own.
 *
 * @throws {AccessError} the certificates cannot be read.
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
  throw new AccessError(`no certificate in ${caCert}: must be a PEM file`);
}

/**
 * Returns the interceptor that adds a token to every call; undefined if calls do not need one.
 *
 * @throws {AccessError} a token would be sent in plaintext, or a required token is not available.
 */
export async function tokenInterceptor(address: Address, access: Access): Promise<Interceptor | undefined> {
  const isTls = speaksTls(address, access);
  const required = requiredAudience(address, access);
  const isOptional = (access.auth ?? "auto") === "auto" && !required; // a public service does not need one
  if (access.auth === "none" || (isOptional && !(isTls && address.isCloudRun))) {
    return undefined;
  }
  if (!isTls && !address.isLoopback) {
    throw new AccessError(`${address.target}: an identity token is a secret, and is not sent in plaintext; use TLS`);
  }
  try {
    const tokens = await Tokens.find(required || address.audience, access.impersonate ?? "");
    await tokens.get(); // fetch before the first call, which would spend its deadline waiting for the token
    return tokenSender(tokens, access.headers ?? ["authorization"], isOptional);
  } catch (error) {
    // Google Cloud always provides credentials, so a failure there is temporary: do not fall back to no token.
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
