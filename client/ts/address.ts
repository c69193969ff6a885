// Server addresses as users write them: HOST, which implies TLS, or HOST:PORT.

const TLS_PORT = 443;
const HIGHEST_PORT = 65535;
const HOST_AND_PORT = /^(?<scheme>https:\/\/)?(?<host>[^/:[\]\s]+|\[[0-9a-fA-F:.]+\])(:(?<port>[0-9]{1,5}))?\/?$/u;
const LOOPBACK = /^(localhost|127(\.[0-9]+){3}|\[::1\])$/u;

/** The address of a server. */
export interface Address {
  /** HOST:PORT. */
  readonly target: string;
  readonly host: string;
  /** Whether the address implies TLS, by port 443 or by `https://`. */
  readonly isTls: boolean;
  /** Whether the host is this machine. */
  readonly isLoopback: boolean;
  /** Whether the host is a Cloud Run service under its `run.app` name. */
  readonly isCloudRun: boolean;
  /** The audience of identity tokens for the server. */
  readonly audience: string;
}

/**
 * Parses an address.
 *
 * @param text HOST or https://HOST, which mean port 443 with TLS; or HOST:PORT, which is plaintext except for port 443.
 * @throws {RangeError} the text is an invalid address; the message says why.
 */
export function parseAddress(text: string): Address {
  const found = HOST_AND_PORT.exec(text)?.groups;
  const host = found?.["host"] ?? "";
  if (!found || !isHost(host)) {
    const accepted = "HOST:PORT for plaintext, or https://HOST[:PORT] for TLS, without a path";
    throw new RangeError(
      /^https?:\/\//u.test(text)
        ? `'${text}' is invalid: must be ${accepted}`
        : `'${text}' is invalid: must be HOST:PORT, such as localhost:50051, or HOST`,
    );
  }
  const port = Number(found["port"] ?? TLS_PORT);
  if (port < 1 || port > HIGHEST_PORT) {
    throw new RangeError(`'${text}' is invalid: the port must be 1-${HIGHEST_PORT}`);
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

/** Returns whether a URL keeps a host as it is written; 10.1, for example, would become 10.0.0.1. */
function isHost(text: string): boolean {
  return URL.canParse(`http://${text}`) && new URL(`http://${text}`).hostname === text.toLowerCase();
}
