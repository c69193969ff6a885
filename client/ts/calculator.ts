// calculator.v1: calc, eval, aggregate, converse.

import { create } from "@bufbuild/protobuf";
import {
  type AggregateRequest,
  AggregateRequestSchema,
  type AggregateResponse,
  AggregateResponseSchema,
  CalculateResponseSchema,
  Calculator,
  ConverseResponseSchema,
  type EvaluateResponse,
  EvaluateResponseSchema,
  Operation,
} from "@proto/calculator/v1/calculator_pb.js";
import { type Caller, inputLines, UsageError, understood } from "./commands.ts";
import * as conversation from "./conversation.ts";
import { formatNumber, parseNumber } from "./numbers.ts";
import { NUMBERS_A_MESSAGE, OPERATIONS, parseLine, signOf } from "./operations.ts";

/** Prints the result of one operation. */
export function calc(caller: Caller, firstOperand: number, sign: string, secondOperand: number): Promise<void> {
  const operation = OPERATIONS[sign] ?? Operation.UNSPECIFIED;
  return caller.call(Calculator, async (client) => {
    const answer = await client.calculate({ operation, firstOperand, secondOperand }, caller.callOptions);
    caller.show(CalculateResponseSchema, answer, formatNumber(answer.result));
  });
}

/** Prints how an expression is worked out, and its value last. */
export function evaluate(caller: Caller, expression: string): Promise<void> {
  return caller.call(Calculator, async (client) => {
    for await (const answer of client.evaluate({ expression }, caller.callOptions)) {
      caller.show(EvaluateResponseSchema, answer, progress(answer));
    }
  });
}

function progress({ progress }: EvaluateResponse): string {
  if (progress.case !== "step") {
    return formatNumber(progress.value ?? Number.NaN);
  }
  const { firstOperand, operation, secondOperand, result, remaining } = progress.value;
  const [first, second, value] = [firstOperand, secondOperand, result].map(formatNumber);
  return `${first} ${signOf(operation)} ${second} = ${value}    ${remaining}`;
}

/** Prints count, sum, mean, variance and range of numbers; of those on standard input if they are "-". */
export async function aggregate(caller: Caller, words: string[]): Promise<void> {
  const isInput = words.length === 1 && words[0] === "-";
  // However many numbers there are to read: a deadline would be for that, not for an answer.
  const options = isInput ? {} : caller.callOptions;
  const reader = new NumberReader(isInput ? inputWords() : words);
  await caller.call(Calculator, async (client) => {
    const answer = await client.aggregate(reader.messages(), options);
    reader.check();
    caller.show(AggregateResponseSchema, answer, [...lines(answer)].join("\n"));
  });
}

async function* inputWords(): AsyncIterable<string> {
  for await (const line of inputLines()) {
    yield* line.trim().split(/\s+/u);
  }
}

/** Numbers from words, in messages. A word that is no number ends them, and is told after the call. */
class NumberReader {
  readonly #words: AsyncIterable<string> | Iterable<string>;
  #complaint = "";

  constructor(words: AsyncIterable<string> | Iterable<string>) {
    this.#words = words;
  }

  /** Gives the numbers out in messages. */
  async *messages(): AsyncIterable<AggregateRequest> {
    let numbers: number[] = [];
    let place = 0;
    for await (const word of this.#words) {
      place += 1;
      try {
        numbers.push(parseNumber(word));
      } catch (error) {
        this.#complaint = `number ${place}: ${(error as RangeError).message}`;
        break;
      }
      if (numbers.length === NUMBERS_A_MESSAGE) {
        yield create(AggregateRequestSchema, { numbers });
        numbers = [];
      }
    }
    if (numbers.length > 0) {
      yield create(AggregateRequestSchema, { numbers });
    }
  }

  /** Fails if there was a word that is no number. */
  check(): void {
    if (this.#complaint) {
      throw new UsageError(this.#complaint);
    }
  }
}

function* lines(answer: AggregateResponse): Iterable<string> {
  yield `count     ${answer.count}`;
  yield `sum       ${formatNumber(answer.sum)}`;
  for (const name of ["mean", "variance", "minimum", "maximum"] as const) {
    const value = answer[name];
    if (value !== undefined) {
      yield `${name.padEnd(9)} ${formatNumber(value)}`;
    }
  }
}

/** Calculates line by line: "3 + 4" starts anew, "* 2" goes on from the last result. The end of input ends it. */
export function converse(caller: Caller): Promise<void> {
  return caller.call(Calculator, async (client) => {
    const requests = understood(inputLines(), parseLine, "3 + 4, or * 2 to go on from the last result");
    for await (const answer of conversation.converse(client, requests)) {
      const { outcome } = answer;
      const text =
        outcome.case === "failure"
          ? `${outcome.value.reason}: ${outcome.value.message}`
          : formatNumber(outcome.value ?? Number.NaN);
      caller.show(ConverseResponseSchema, answer, text);
    }
  });
}
