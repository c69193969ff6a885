// Runs the programs that a test needs, as real processes.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const TEST_SECONDS = Number(process.env["TEST_TIMEOUT"]);
assert(TEST_SECONDS > 0, "TEST_TIMEOUT must be the seconds after which Bazel kills the test; run the test with Bazel");

/**
 * The timeout of each event that a test waits for, in milliseconds: the upper limit of testing/timeouts.py. Bazel
 * starts this test directly, so no Python program can measure the speed of the machine for it.
 */
export const TIMEOUT_MS = (TEST_SECONDS * 1000) / 4;

/** A running server. `await using` stops it, unless it has already ended. */
export class Program implements AsyncDisposable {
  readonly #process: ChildProcess;
  /** The port on which it listens. */
  readonly port: number;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /**
   * Starts a program whose path is in an environment variable, and waits until it listens.
   *
   * @throws {Error} the program ended, or did not listen in time. The message contains its log.
   */
  static async start(variable: string, ...flags: string[]): Promise<Program> {
    const child = spawn(process.env[variable] as string, flags, {
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const lines: string[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timeout = setTimeout(() => reject(new Error(`no port in the log within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    createInterface({ input: child.stderr as NonNullable<typeof child.stderr> })
      .on("line", (line) => {
        lines.push(line);
        const port = /Listening on .*:(\d+)/u.exec(line)?.[1];
        if (port) {
          resolve(Number(port));
        }
      })
      .on("close", () => reject(new Error("the program has ended")));
    try {
      return new Program(child, await promise);
    } catch (error) {
      child.kill("SIGKILL");
      throw new Error(`${variable} does not listen; its log:\n${lines.join("\n")}`, { cause: error });
    } finally {
      clearTimeout(timeout);
    }
  }

  /**
   * Stops the program with a signal, by default that of Ctrl+C, and waits until it ends.
   *
   * @throws {Error} the program did not end in time.
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
