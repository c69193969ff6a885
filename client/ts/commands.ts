// Shared code of all commands: options, channels, errors and output.

import {
  type DescMessage,
  type DescService,
  type JsonObject,
  type MessageShape,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import { type CallOptions, type Client, ConnectError, createClient } from "@connectrpc/connect";
import { type Access, AccessError, requiredAudience, speaksTls } from "./access.ts";
import { parseAddress } from "./address.ts";
import { connect } from "./channel.ts";
import { describe } from "./failures.ts";
import { formatNumber32 } from "./numbers.ts";

declare global {
  /** A feature of ES2026 that TypeScript does not declare yet. */
  interface JSON {
    rawJSON(text: string): unknown;
  }
}

/** The arguments or the input are invalid; the program exits with status 2. */
export class UsageError extends Error {}

/** The call failed; the program exits with status 1. */
export class CallError extends Error {}

/** The global options. */
export interface Options {
  readonly target: string;
  readonly access: Access;
  /** The timeout of a call, in seconds; calls that read their requests from standard input have none. */
  readonly timeout: number;
  /** Whether to print each message as one line of JSON. */
  readonly json: boolean;
}

/** Calls services and prints their answers according to the options. */
export class Caller {
  readonly options: Options;

  constructor(options: Options) {
    this.options = options;
  }

  /** The options that set the timeout of a call. */
  get callOptions(): CallOptions {
    return { timeoutMs: Math.ceil(this.options.timeout * 1000) };
  }

  /**
   * Runs a function with a client of a service, on a channel that is closed afterwards.
   *
   * @throws {CallError} a call failed, or the channel could not be opened; the message is one line.
   */
  async call<T extends DescService>(service: T, use: (client: Client<T>) => Promise<void>): Promise<void> {
    const { target, access } = this.options;
    try {
      await using channel = await connect(target, access);
      await use(createClient(service, channel.transport));
    } catch (error) {
      if (error instanceof AccessError) {
        throw new CallError(error.message, { cause: error });
      }
      throw error instanceof ConnectError ? new CallError(this.#failure(error), { cause: error }) : error;
    }
  }

  #failure(error: ConnectError): string {
    const { target, access, timeout } = this.options;
    const address = parseAddress(target);
    return describe(error, {
      target,
      timeout,
      audience: requiredAudience(address, access),
      isTls: speaksTls(address, access),
    });
  }

  /** Prints a message as JSON if --json is set, otherwise its text form. */
  show<T extends DescMessage>(schema: T, message: MessageShape<T>, text: string): void {
    process.stdout.write(`${this.options.json ? asJson(schema, message) : text}\n`);
  }
}

/** Returns a message as JSON: 32-bit numbers in their shortest form, and 0 with its sign. */
function asJson<T extends DescMessage>(schema: T, message: MessageShape<T>): string {
  const fields = toJson(schema, message, { alwaysEmitImplicit: true, useProtoFieldName: true }) as JsonObject;
  for (const { name, scalar } of schema.fields) {
    const value = fields[name];
    if (scalar === ScalarType.FLOAT && typeof value === "number") {
      fields[name] = Number(formatNumber32(value));
    }
  }
  return JSON.stringify(fields, (_, value) => (Object.is(value, -0) ? JSON.rawJSON("-0.0") : value));
}

/** Prints an error in one line, and exits with a status. */
export function fail(message: string, status: number): never {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(status);
}
