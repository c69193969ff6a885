// The operations of calculator.v1 by their signs: the parser of lines such as "3 + 4", and the text of steps.

import { create } from "@bufbuild/protobuf";
import {
  type ConverseRequest,
  ConverseRequestSchema,
  type EvaluateResponse_Step,
  Operation,
} from "@proto/calculator/v1/calculator_pb.js";
import { formatNumber, parseNumber } from "./numbers.ts";

/** The batch size of Aggregate. About 40 kB per message: few messages, and far below the message size limit. */
export const NUMBERS_PER_MESSAGE = 5000;

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "+": Operation.ADD,
  "-": Operation.SUBTRACT,
  "*": Operation.MULTIPLY,
  "/": Operation.DIVIDE,
  "^": Operation.POWER,
  "%": Operation.REMAINDER,
};

/** Returns what a step computed, and the result, such as "3 + 4 = 7", "sqrt(9) = 3" or "pi = 3.141592653589793". */
export function describeStep(step: EvaluateResponse_Step): string {
  return `${taken(step)} = ${formatNumber(step.result)}`;
}

function taken({
  arguments: args,
  firstOperand,
  function: name,
  operation,
  secondOperand,
}: EvaluateResponse_Step): string {
  if (name) {
    return args.length > 0 ? `${name}(${args.map(formatNumber).join(", ")})` : name;
  }
  return `${formatNumber(firstOperand)} ${signOf(operation)} ${formatNumber(secondOperand)}`;
}

/** Returns the sign of an operation; "?" for an operation of a newer API. */
function signOf(operation: Operation): string {
  return Object.entries(OPERATIONS).find(([, each]) => each === operation)?.[0] ?? "?";
}

const LINE = /^\s*(?<first>\S+\s+)?(?<sign>[-+*/^%])\s+(?<second>\S+)\s*$/u;

/**
 * Parses a line of a conversation, such as "3 + 4"; "* 2" continues from the last result.
 *
 * @throws {RangeError} the line is not an operation.
 */
export function parseLine(line: string): ConverseRequest {
  const found = LINE.exec(line)?.groups;
  if (!found) {
    throw new RangeError("must be an operation such as 3 + 4, or * 2 to continue from the last result");
  }
  return create(ConverseRequestSchema, {
    operation: OPERATIONS[found["sign"] ?? ""] ?? Operation.UNSPECIFIED,
    secondOperand: parseNumber(found["second"] ?? ""),
    ...(found["first"] ? { firstOperand: parseNumber(found["first"]) } : {}),
  });
}
