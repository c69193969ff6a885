// Channels to the calculator's server.

import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Access, certificates, speaksTls, tokenInterceptor } from "./access.ts";
import { parseAddress } from "./address.ts";
import { retrying } from "./retries.ts";

export const DEFAULT_TARGET = "localhost:50051";

/** A server that is silent for so long while there are calls is asked whether it is there. */
const PING_INTERVAL_MS = 30_000;

/** A connection, made when the first call needs it, and made anew when it is gone. `await using` closes it. */
export interface Channel extends AsyncDisposable {
  /** For `createClient(Calculator, transport)`. */
  readonly transport: Transport;
}

/**
 * Opens a channel; nothing is sent to the server before the first call, but a token is fetched if one is needed.
 *
 * `await connect("my-service-….run.app")` is all that a service on Cloud Run needs.
 *
 * @param target HOST, which is port 443 with TLS; or HOST:PORT, plaintext but for port 443.
 * @param access TLS at other ports, other certificates, and whose identity tokens are sent to whom.
 * @throws {RangeError} there can be no such server.
 * @throws {AccessError} a token would go out in plaintext, or there is none; or the certificates cannot be read.
 */
export async function connect(target: string = DEFAULT_TARGET, access: Access = {}): Promise<Channel> {
  const address = parseAddress(target);
  const baseUrl = `${speaksTls(address, access) ? "https" : "http"}://${address.target}`;
  const ca = certificates(access);
  const tokens = await tokenInterceptor(address, access);
  const sessionManager = new Http2SessionManager(baseUrl, { pingIntervalMs: PING_INTERVAL_MS }, ca ? { ca } : {});
  const interceptors = [retrying, ...(tokens ? [tokens] : [])];
  return {
    transport: createGrpcTransport({ baseUrl, interceptors, sessionManager }),
    async [Symbol.asyncDispose]() {
      sessionManager.abort();
    },
  };
}
