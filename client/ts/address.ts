// What a person calls a server, and what that means: HOST and TLS, or HOST:PORT.

const TLS_PORT = 443;
const HIGHEST_PORT = 65535;
const HOST_AND_PORT = /^(?<scheme>https:\/\/)?(?<host>[^/:[\]\s]+|\[[0-9a-fA-F:.]+\])(:(?<port>[0-9]{1,5}))?\/?$/u;
const LOOPBACK = /^(localhost|127(\.[0-9]+){3}|\[::1\])$/u;

/** A server. */
export interface Address {
  /** HOST:PORT. */
  readonly target: string;
  readonly host: string;
  /** Whether the address itself says that the server speaks TLS: by its port, or by https. */
  readonly isTls: boolean;
  /** Whether it is this very machine. */
  readonly isLoopback: boolean;
  /** Whether it is a service of Cloud Run, by the name that Google gave it. */
  readonly isCloudRun: boolean;
  /** Whom an identity token for it is for. */
  readonly audience: string;
}

/**
 * Returns what a text means.
 *
 * @param text HOST, which is port 443 with TLS, as is https://HOST; or HOST:PORT, plaintext but for port 443.
 * @throws {RangeError} it is neither; the message says why.
 */
export function parseAddress(text: string): Address {
  const found = HOST_AND_PORT.exec(text)?.groups;
  const host = found?.["host"] ?? "";
  if (!found || !isHost(host)) {
    const accepted = "HOST:PORT is, in plaintext, and https://HOST[:PORT], without a path";
    throw new RangeError(
      /^https?:\/\//u.test(text)
        ? `'${text}' is not accepted: ${accepted}`
        : `'${text}' is no HOST:PORT, such as localhost:50051, and no HOST`,
    );
  }
  const port = Number(found["port"] ?? TLS_PORT);
  if (port < 1 || port > HIGHEST_PORT) {
    throw new RangeError(`'${text}' is not accepted: ports are 1 to ${HIGHEST_PORT}`);
  }
  return {
    target: `${host}:${port}`,
    host,
    isTls: found["scheme"] !== undefined || port === TLS_PORT,
    isLoopback: LOOPBACK.test(host),
    isCloudRun: host.endsWith(".run.app"),
    audience: `https://${host}`,
  };
}

/** Returns whether a URL means the same by a text as whoever wrote it: 10.1 would be 10.0.0.1. */
function isHost(text: string): boolean {
  return URL.canParse(`http://${text}`) && new URL(`http://${text}`).hostname === text.toLowerCase();
}
