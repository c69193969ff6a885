// The commands of calculator.v1: calc, eval, aggregate, converse.

import { create } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
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
import { type Caller, UsageError } from "./commands.ts";
import * as conversation from "./conversation.ts";
import { StandardInput } from "./input.ts";
import { formatNumber, parseNumber } from "./numbers.ts";
import { describeStep, NUMBERS_PER_MESSAGE, OPERATIONS, parseLine } from "./operations.ts";

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
  return `${describeStep(progress.value)}    ${progress.value.remaining}`;
}

/** Prints count, sum, mean, variance and range of numbers; "-" reads them from standard input. */
export async function aggregate(caller: Caller, words: string[]): Promise<void> {
  if (words.length !== 1 || words[0] !== "-") {
    return send(caller, words.map(numbered), caller.callOptions);
  }
  const input = new StandardInput();
  // Reading standard input can take any time, so a deadline would limit the input, not the server.
  return send(caller, input.words(parseNumber), {}, () => input.check());
}

/** Parses a number of the command line. */
function numbered(word: string, index: number): number {
  try {
    return parseNumber(word);
  } catch (error) {
    throw new UsageError(`number ${index + 1}: ${(error as RangeError).message}`, { cause: error });
  }
}

async function send(
  caller: Caller,
  numbers: AsyncIterable<number> | Iterable<number>,
  options: CallOptions,
  check: () => void = () => undefined,
): Promise<void> {
  await caller.call(Calculator, async (client) => {
    const answer = await client.aggregate(batches(numbers), options);
    check();
    caller.show(AggregateResponseSchema, answer, [...lines(answer)].join("\n"));
  });
}

async function* batches(numbers: AsyncIterable<number> | Iterable<number>): AsyncIterable<AggregateRequest> {
  let batch: number[] = [];
  for await (const number of numbers) {
    batch.push(number);
    if (batch.length === NUMBERS_PER_MESSAGE) {
      yield create(AggregateRequestSchema, { numbers: batch });
      batch = [];
    }
  }
  if (batch.length > 0) {
    yield create(AggregateRequestSchema, { numbers: batch });
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
    const input = new StandardInput();
    for await (const answer of conversation.converse(client, input.lines(parseLine))) {
      const { outcome } = answer;
      const text =
        outcome.case === "failure"
          ? `${outcome.value.reason}: ${outcome.value.message}`
          : formatNumber(outcome.value ?? Number.NaN);
      caller.show(ConverseResponseSchema, answer, text);
    }
    input.check();
  });
}
