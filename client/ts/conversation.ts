// Conversations with the calculator that continue after a stream ends.
//
// Cloud Run ends a stream at its request timeout and expects the client to reconnect, possibly to another instance:
// https://cloud.google.com/run/docs/configuring/request-timeout. Therefore each request is kept until it is answered,
// and a new stream starts by sending the last result, which the new instance does not know.

import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type Calculator,
  type ConverseRequest,
  ConverseRequestSchema,
  type ConverseResponse,
  Operation,
} from "@proto/calculator/v1/calculator_pb.js";
import { ATTEMPTS, backoff, isRetryable } from "./retries.ts";
import { errorOf, isStreamReset } from "./status.ts";

/** Requests by their number, read on demand and kept until they are answered. */
class Requests {
  readonly #source: AsyncIterator<ConverseRequest>;
  readonly #unanswered = new Map<number, Promise<IteratorResult<ConverseRequest>>>();
  #count = 0;
  #sent = 0;

  constructor(source: AsyncIterable<ConverseRequest>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Waits for a request and returns it; undefined if there are no more requests, or if it has been answered. */
  async get(number: number): Promise<ConverseRequest | undefined> {
    if (number === this.#count) {
      this.#unanswered.set(number, this.#source.next());
      this.#count += 1;
    }
    const request = await this.#unanswered.get(number);
    return request?.done ? undefined : request?.value;
  }

  /** Yields a reminder, if there is one, and then all requests from a number on. */
  async *since(number: number, reminder: ConverseRequest | undefined): AsyncIterable<ConverseRequest> {
    if (reminder) {
      yield reminder;
    }
    for (let next = number, request = await this.get(next); request; next++, request = await this.get(next)) {
      this.#sent = Math.max(this.#sent, next + 1);
      yield request;
    }
  }

  /**
   * Forgets a request that has been answered.
   *
   * @throws {ConnectError} no such request has been sent.
   */
  forget(number: number): void {
    if (number >= this.#sent) {
      throw new ConnectError("the server sent more answers than there were requests", Code.Internal);
    }
    this.#unanswered.delete(number);
  }
}

/**
 * Yields the answer to each request in order, over as many streams as necessary.
 *
 * @throws {ConnectError} a stream failed with a permanent error, or five streams in a row ended without an answer.
 */
export async function* converse(
  client: Client<typeof Calculator>,
  source: AsyncIterable<ConverseRequest>,
): AsyncIterable<ConverseResponse> {
  const requests = new Requests(source);
  let [answered, failedAttempts] = [0, 0];
  // The first request of a new stream sets the server's last result, which stays valid if the next request fails.
  let reminder: ConverseRequest | undefined;
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
          reminder = reminderOf(response.outcome.value);
        }
        yield response;
      }
      if (failedAttempts === ATTEMPTS) {
        throw new ConnectError("the server ended the stream without an answer", Code.Internal);
      }
    } catch (thrown) {
      const error = errorOf(thrown);
      if (failedAttempts === ATTEMPTS || !isTransient(error)) {
        throw error;
      }
    }
    await backoff(failedAttempts);
  }
}

/** Returns a request whose result is the number, so that the server knows it as the last result. */
export function reminderOf(number: number): ConverseRequest {
  return create(ConverseRequestSchema, {
    operation: Operation.MULTIPLY,
    firstOperand: number,
    secondOperand: 1,
  });
}

/** Returns whether another stream may succeed. A front end that cuts a stream off between answers resets it. */
function isTransient(error: ConnectError): boolean {
  return isStreamReset(error) || error.code === Code.DeadlineExceeded || isRetryable(error);
}
