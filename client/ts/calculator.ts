// The commands of calculator.v1: calc, eval, aggregate, converse.

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
import { type Caller, inputLines, parseLines, UsageError } from "./commands.ts";
import * as conversation from "./conversation.ts";
import { formatNumber, parseNumber } from "./numbers.ts";
import { NUMBERS_PER_MESSAGE, OPERATIONS, parseLine, signOf } from "./operations.ts";

/** Prints the result of one operation. */
export function calc(caller: Caller, firstOperand: number, sign: string, secondOperand: number): Promise<void> {
  const operation = OPERATIONS[sign] ?? Operation.UNSPECIFIED;
  return caller.call(Calculator, async (client) => {
    const answer = await client.calculate({ operation, firstOperand, secondOperand }, caller.callOptions);
    caller.show(CalculateResponseSchema, answer, formatNumber(answer.result));
  });
}

/** Prints the steps of evaluating an expression, and then its value. */
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

/** Prints count, sum, mean, variance and range of numbers; "-" reads them from standard input. */
export async function aggregate(caller: Caller, words: string[]): Promise<void> {
  const isInput = words.length === 1 && words[0] === "-";
  // Reading standard input can take any time, so a deadline would limit the input, not the server.
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

/** A reader that parses words as numbers and batches them. An invalid word ends the input; `check` reports it. */
class NumberReader {
  readonly #words: AsyncIterable<string> | Iterable<string>;
  #problem = "";

  constructor(words: AsyncIterable<string> | Iterable<string>) {
    this.#words = words;
  }

  /** Yields the numbers in messages. */
  async *messages(): AsyncIterable<AggregateRequest> {
    let numbers: number[] = [];
    let place = 0;
    for await (const word of this.#words) {
      place += 1;
      try {
        numbers.push(parseNumber(word));
      } catch (error) {
        this.#problem = `number ${place}: ${(error as RangeError).message}`;
        break;
      }
      if (numbers.length === NUMBERS_PER_MESSAGE) {
        yield create(AggregateRequestSchema, { numbers });
        numbers = [];
      }
    }
    if (numbers.length > 0) {
      yield create(AggregateRequestSchema, { numbers });
    }
  }

  /** Throws a UsageError if a word was not a number. */
  check(): void {
    if (this.#problem) {
      throw new UsageError(this.#problem);
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

/** Evaluates one operation per input line, such as "3 + 4"; "* 2" continues from the last result. */
export function converse(caller: Caller): Promise<void> {
  return caller.call(Calculator, async (client) => {
    const expected = "an operation such as 3 + 4, or * 2 to continue from the last result";
    const requests = parseLines(inputLines(), parseLine, expected);
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
