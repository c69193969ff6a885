// Identity tokens, by which Cloud Run knows who calls it, from whatever credentials there are.
//
// https://cloud.google.com/run/docs/authenticating/service-to-service

import { Compute, GoogleAuth, IdTokenClient, type IdTokenProvider, Impersonated } from "google-auth-library";
import { NoTokenError } from "./status.ts";

const SCOPES = ["https://www.googleapis.com/auth/cloud-platform"];

/** Where tokens come from, for one audience: google-auth-library keeps a token until five minutes before its end. */
export class Tokens {
  readonly #client: IdTokenClient;

  private constructor(targetAudience: string, idTokenProvider: IdTokenProvider) {
    this.#client = new IdTokenClient({ targetAudience, idTokenProvider });
  }

  /**
   * Finds credentials: on Google Cloud, those of the metadata server; else what google-auth-library finds, of which the
   * first is the file that GOOGLE_APPLICATION_CREDENTIALS names.
   *
   * @param audience whom the tokens are for: the URL of a service, with https:// and without a port.
   * @param impersonate the e-mail address of a service account which those credentials may impersonate; or "".
   * @throws {NoTokenError} there are no credentials that tokens can be had for.
   */
  static async find(audience: string, impersonate: string): Promise<Tokens> {
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
        `no credentials for an identity token: ${said(error)}; name a key in GOOGLE_APPLICATION_CREDENTIALS`,
        { cause: error },
      );
    }
  }

  /**
   * Returns the token that is good for now, fetched if need be.
   *
   * @throws {NoTokenError} there is none.
   */
  async get(): Promise<string> {
    try {
      const headers = await this.#client.getRequestHeaders();
      return headers.get("authorization")?.replace(/^Bearer /u, "") ?? "";
    } catch (error) {
      throw new NoTokenError(`no identity token was given: ${said(error)}`, { cause: error });
    }
  }
}

/** Returns whether this is Google Cloud, as far as the environment says. */
export function isOnGoogleCloud(): boolean {
  return Boolean(process.env["K_SERVICE"] || process.env["GCE_METADATA_HOST"]);
}

function said(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split(/\s+/u).join(" ");
}
