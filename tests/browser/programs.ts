// The programs that a test talks to, as real processes.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const TEST_SECONDS = Number(process.env["TEST_TIMEOUT"]);
assert(TEST_SECONDS > 0, "TEST_TIMEOUT has to be the seconds after which Bazel ends the test; run the test by Bazel");

/**
 * How long a test waits for an event, in milliseconds: the upper limit of testing/timeouts.py. Bazel starts this test itself, so
 * no Python program can measure the speed of the machine for it.
 */
export const TIMEOUT_MS = (TEST_SECONDS * 1000) / 4;

/** A server that runs. `await using` stops it, if it still does. */
export class Program implements AsyncDisposable {
  readonly #process: ChildProcess;
  /** Where it listens. */
  readonly port: number;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /**
   * Starts a program that a variable of the environment names, and waits until it says where it listens.
   *
   * @throws {Error} it ended, or took too long.
   */
  static async start(variable: string, ...flags: string[]): Promise<Program> {
    const child = spawn(process.env[variable] as string, flags, {
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const lines: string[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timeout = setTimeout(() => reject(new Error(`it did not listen within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    createInterface({ input: child.stderr as NonNullable<typeof child.stderr> })
      .on("line", (line) => {
        lines.push(line);
        const port = /Listening on .*:(\d+)/u.exec(line)?.[1];
        if (port) {
          resolve(Number(port));
        }
      })
      .on("close", () => reject(new Error("it has ended")));
    try {
      return new Program(child, await promise);
    } catch (error) {
      child.kill("SIGKILL");
      throw new Error(`${variable} does not listen, but said:\n${lines.join("\n")}`, { cause: error });
    } finally {
      clearTimeout(timeout);
    }
  }

  /**
   * Stops it as Ctrl+C does, or as another signal, and waits for its end.
   *
   * @throws {Error} it did not end in time.
   */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill(signal);
      await once(this.#process, "exit", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
