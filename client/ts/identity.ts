// Identity tokens, with which Cloud Run authenticates callers, from the available credentials.
//
// https://cloud.google.com/run/docs/authenticating/service-to-service

import { Compute, GoogleAuth, IdTokenClient, type IdTokenProvider, Impersonated } from "google-auth-library";
import { NoTokenError } from "./status.ts";

/** Loopback and the metadata server, which a proxy in the environment cannot reach. */
const WITHOUT_PROXY = ["localhost", "127.0.0.1", "::1", "[::1]", "169.254.169.254", "metadata.google.internal"];

const SCOPES = ["https://www.googleapis.com/auth/cloud-platform"];

/** Tokens for one audience. google-auth-library caches a token until five minutes before it expires. */
export class Tokens {
  readonly #client: IdTokenClient;

  private constructor(targetAudience: string, idTokenProvider: IdTokenProvider) {
    this.#client = new IdTokenClient({ targetAudience, idTokenProvider });
  }

  /**
   * Finds credentials: the file in GOOGLE_APPLICATION_CREDENTIALS; on Google Cloud, the metadata server; otherwise what
   * google-auth-library finds.
   *
   * @param audience the audience of the tokens: the URL of a service, with https:// and without a port.
   * @param impersonate the e-mail address of a service account that the credentials may impersonate; or "".
   * @throws {NoTokenError} no credentials that can get tokens are available.
   */
  static async find(audience: string, impersonate: string): Promise<Tokens> {
    exemptFromProxy([...WITHOUT_PROXY, ...(process.env["GCE_METADATA_HOST"]?.split(":", 1) ?? [])]);
    try {
      if (impersonate) {
        const sourceClient = await new GoogleAuth({ scopes: SCOPES }).getClient();
        return new Tokens(
          audience,
          new Impersonated({ sourceClient, targetPrincipal: impersonate, targetScopes: SCOPES }),
        );
      }
      if (!process.env["GOOGLE_APPLICATION_CREDENTIALS"] && isOnGoogleCloud()) {
        return new Tokens(audience, new Compute());
      }
      const client = await new GoogleAuth().getIdTokenClient(audience);
      return new Tokens(audience, client.idTokenProvider);
    } catch (error) {
      throw new NoTokenError(
        `no credentials for an identity token: ${messageOf(error)}; set GOOGLE_APPLICATION_CREDENTIALS to a key file`,
        { cause: error },
      );
    }
  }

  /**
   * Returns a valid token, and fetches it if necessary.
   *
   * @throws {NoTokenError} no token is available.
   */
  async get(): Promise<string> {
    try {
      const headers = await this.#client.getRequestHeaders();
      return headers.get("authorization")?.replace(/^Bearer /u, "") ?? "";
    } catch (error) {
      throw new NoTokenError(`cannot fetch an identity token: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Makes google-auth-library connect to hosts directly, even if the environment names a proxy. */
function exemptFromProxy(hosts: readonly string[]): void {
  const exempted = process.env["NO_PROXY"] ?? process.env["no_proxy"];
  process.env["NO_PROXY"] = [...(exempted ? [exempted] : []), ...hosts].join(",");
}

/** Returns whether the environment variables are those of Google Cloud. */
export function isOnGoogleCloud(): boolean {
  return Boolean(process.env["K_SERVICE"] || process.env["GCE_METADATA_HOST"]);
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split(/\s+/u).join(" ");
}
