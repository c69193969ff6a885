// A conversation with the calculator that outlives its streams.
//
// Cloud Run ends a stream when its time is over, and has clients begin another, which may reach another instance:
// https://cloud.google.com/run/docs/configuring/request-timeout. So a request is kept until it has its answer, and a new
// stream begins with the last result, which its server cannot know.

import { create } from "@bufbuild/protobuf";
import { type Client, Code, type ConnectError } from "@connectrpc/connect";
import {
  type Calculator,
  type ConverseRequest,
  ConverseRequestSchema,
  type ConverseResponse,
  Operation,
} from "@proto/calculator/v1/calculator_pb.js";
import { ATTEMPTS, backoff, isRetryable } from "./retries.ts";
import { errorOf, isStreamReset } from "./status.ts";

/** Requests by number, each read when it is asked for, and kept until it is answered. */
class Requests {
  readonly #source: AsyncIterator<ConverseRequest>;
  readonly #unanswered = new Map<number, Promise<IteratorResult<ConverseRequest>>>();
  #count = 0;

  constructor(source: AsyncIterable<ConverseRequest>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Returns a request, once it is there; nothing if there are no more, or it has been answered. */
  async get(number: number): Promise<ConverseRequest | undefined> {
    if (number === this.#count) {
      this.#unanswered.set(number, this.#source.next());
      this.#count += 1;
    }
    const request = await this.#unanswered.get(number);
    return request?.done ? undefined : request?.value;
  }

  /** Gives all from a number on, after a reminder if there is one. */
  async *since(number: number, reminder: ConverseRequest | undefined): AsyncIterable<ConverseRequest> {
    if (reminder) {
      yield reminder;
    }
    for (let next = number, request = await this.get(next); request; next++, request = await this.get(next)) {
      yield request;
    }
  }

  /** Forgets one: it has its answer. */
  forget(number: number): void {
    this.#unanswered.delete(number);
  }
}

/**
 * Gives the answer to each request in its turn, over as many streams as it takes.
 *
 * @throws {ConnectError} a stream has ended for a reason that does not pass, or five in a row without an answer.
 */
export async function* converse(
  client: Client<typeof Calculator>,
  source: AsyncIterable<ConverseRequest>,
): AsyncIterable<ConverseResponse> {
  const requests = new Requests(source);
  let [answered, failedAttempts] = [0, 0];
  let reminder: ConverseRequest | undefined; // what has a server know the last result, even if the next request fails
  while (await requests.get(answered)) {
    let isReminder = reminder !== undefined;
    failedAttempts += 1;
    try {
      for await (const response of client.converse(requests.since(answered, reminder))) {
        if (isReminder) {
          isReminder = false;
          continue;
        }
        requests.forget(answered);
        [answered, failedAttempts] = [answered + 1, 0];
        if (response.outcome.case === "result") {
          reminder = itself(response.outcome.value);
        }
        yield response;
      }
      return;
    } catch (thrown) {
      const error = errorOf(thrown);
      if (failedAttempts === ATTEMPTS || !canGoOn(error)) {
        throw error;
      }
      await backoff(failedAttempts);
    }
  }
}

/** Returns a request whose result is a number: it has a server know it for the last. */
export function itself(number: number): ConverseRequest {
  return create(ConverseRequestSchema, {
    operation: Operation.MULTIPLY,
    firstOperand: number,
    secondOperand: 1,
  });
}

/** Returns whether another stream may do better. A front that cuts one off amid answers has no better status. */
function canGoOn(error: ConnectError): boolean {
  return isStreamReset(error) || [Code.Aborted, Code.DeadlineExceeded].includes(error.code) || isRetryable(error);
}
