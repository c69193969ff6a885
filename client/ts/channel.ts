// Channels to the calculator's server.

import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Access, certificates, speaksTls, tokenInterceptor } from "./access.ts";
import { parseAddress } from "./address.ts";
import { retrying } from "./retries.ts";

export const DEFAULT_TARGET = "localhost:50051";

/** While calls are in flight, a connection that is silent for this long is checked by an HTTP/2 ping. */
const PING_INTERVAL_MS = 30_000;

/** A connection that is opened by the first call, and opened again after it is lost. `await using` closes it. */
export interface Channel extends AsyncDisposable {
  /** For `createClient(Calculator, transport)`. */
  readonly transport: Transport;
}

/**
 * Opens a channel. The server is not contacted before the first call, but a token is fetched now if calls need one.
 *
 * `await connect("my-service-….run.app")` is enough for a service on Cloud Run.
 *
 * @param target HOST, which means port 443 with TLS; or HOST:PORT, which is plaintext except for port 443.
 * @param access TLS on other ports, CA certificates, and the account and audience of identity tokens.
 * @throws {RangeError} the target is an invalid address.
 * @throws {AccessError} a token would be sent in plaintext, a required token is not available, or the CA certificates
 * cannot be read.
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
