// What all commands share: which server they call, how they fail, how they print.

import { createInterface } from "node:readline/promises";
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
  /** What TypeScript does not know of ES2026 yet. */
  interface JSON {
    rawJSON(text: string): unknown;
  }
}

/** What was asked for cannot be; the program ends with status 2. */
export class UsageError extends Error {}

/** The call went wrong; the program ends with status 1. */
export class CallError extends Error {}

/** What the options in front of the command say. */
export interface Options {
  readonly target: string;
  readonly access: Access;
  /** How long a call of one request may take, in seconds; streams that are sent have no deadline. */
  readonly timeout: number;
  /** Whether to print messages as JSON, one a line. */
  readonly json: boolean;
}

/** What the options say, and the channel that they ask for. */
export class Caller {
  readonly options: Options;

  constructor(options: Options) {
    this.options = options;
  }

  /** What gives a call its deadline. */
  get callOptions(): CallOptions {
    return { timeoutMs: Math.ceil(this.options.timeout * 1000) };
  }

  /**
   * Has something call a service, by a channel that lasts as long.
   *
   * @throws {CallError} a call has failed, or there is no way to call; the message is one line about it.
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

  /** Prints a message as JSON if asked to, else the text that says the same to a person. */
  show<T extends DescMessage>(schema: T, message: MessageShape<T>, text: string): void {
    process.stdout.write(`${this.options.json ? asJson(schema, message) : text}\n`);
  }
}

/** Returns a message in JSON: numbers of 32 bit as short as they may be, and 0 with its sign. */
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

/** Ends the program: one line about what was wrong, and the status. */
export function fail(message: string, status: number): never {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(status);
}

/** Gives the lines of standard input that are not empty. */
export async function* inputLines(): AsyncIterable<string> {
  process.stdin.once("error", (error) => fail(`standard input cannot be read: ${error.message}`, 2));
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim()) {
      yield line;
    }
  }
}

/**
 * Gives what each line says; tells of a line that says nothing, and goes on.
 *
 * @param parse gives what a line says, or throws a RangeError.
 * @param expected what a line should have been.
 */
export async function* understood<T>(
  lines: AsyncIterable<string>,
  parse: (line: string) => T,
  expected: string,
): AsyncIterable<T> {
  for await (const line of lines) {
    try {
      yield parse(line);
    } catch (error) {
      if (!(error instanceof RangeError)) {
        throw error;
      }
      process.stderr.write(`Not understood: '${line.trim()}'; write ${expected}\n`);
    }
  }
}
