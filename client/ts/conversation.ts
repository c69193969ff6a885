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
import { errorOf, isCutOff } from "./failures.ts";
import { ATTEMPTS, backoff, passes } from "./retries.ts";

/** Requests in their order, each read when it is asked for, and kept until it is answered. */
class Requests {
  readonly #unanswered: Promise<IteratorResult<ConverseRequest>>[] = [];
  readonly #source: AsyncIterator<ConverseRequest>;

  constructor(source: AsyncIterable<ConverseRequest>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Returns the request at a place among those without an answer, once it is there. */
  get(place: number): Promise<IteratorResult<ConverseRequest>> {
    while (this.#unanswered.length <= place) {
      this.#unanswered.push(this.#source.next());
    }
    return this.#unanswered[place] as Promise<IteratorResult<ConverseRequest>>;
  }

  /** Forgets the first: it has its answer. */
  answered(): void {
    this.#unanswered.shift();
    this.#onAnswer();
  }

  /** Gives a reminder, if there is one, and then all requests that have no answer. */
  async *from(reminder: ConverseRequest | undefined): AsyncIterable<ConverseRequest> {
    if (reminder) {
      yield reminder;
    }
    let place = 0;
    this.#onAnswer = () => {
      place -= 1;
    };
    for (let request = await this.get(place); !request.done; request = await this.get(place)) {
      place += 1;
      yield request.value;
    }
  }

  #onAnswer: () => void = () => undefined;
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
  let reminder: ConverseRequest | undefined; // what has a server know the last result, even if the next request fails
  let inVain = 0;
  while (!(await requests.get(0)).done) {
    let isReminder = reminder !== undefined;
    inVain += 1;
    try {
      for await (const response of client.converse(requests.from(reminder))) {
        if (isReminder) {
          isReminder = false;
          continue;
        }
        requests.answered();
        inVain = 0;
        if (response.outcome.case === "result") {
          reminder = itself(response.outcome.value);
        }
        yield response;
      }
      return;
    } catch (thrown) {
      const error = errorOf(thrown);
      if (inVain === ATTEMPTS || !canGoOn(error)) {
        throw error;
      }
      await backoff(inVain);
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
  return isCutOff(error) || [Code.Aborted, Code.DeadlineExceeded].includes(error.code) || passes(error);
}
