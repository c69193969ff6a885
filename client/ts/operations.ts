// The operations of calculator.v1, by the signs that people write, and the lines that they write them in.

import { create } from "@bufbuild/protobuf";
import { type ConverseRequest, ConverseRequestSchema, Operation } from "@proto/calculator/v1/calculator_pb.js";
import { parseNumber } from "./numbers.ts";

/** Of Aggregate. Some 40 kB a message: far fewer messages than numbers, far below the largest message. */
export const NUMBERS_A_MESSAGE = 5000;

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "+": Operation.ADD,
  "-": Operation.SUBTRACT,
  "*": Operation.MULTIPLY,
  "/": Operation.DIVIDE,
  "^": Operation.POWER,
  "%": Operation.REMAINDER,
};

/** Returns the sign of an operation; "?" for one of a newer contract. */
export function signOf(operation: Operation): string {
  return Object.entries(OPERATIONS).find(([, each]) => each === operation)?.[0] ?? "?";
}

const LINE = /^\s*(?<first>\S+\s+)?(?<sign>[-+*/^%])\s+(?<second>\S+)\s*$/u;

/**
 * Returns what a line of a conversation asks for: "3 + 4" starts anew, "* 2" goes on from the last result.
 *
 * @throws {RangeError} it asks for nothing.
 */
export function parseLine(line: string): ConverseRequest {
  const found = LINE.exec(line)?.groups;
  if (!found) {
    throw new RangeError(`'${line}' is no line such as 3 + 4`);
  }
  return create(ConverseRequestSchema, {
    operation: OPERATIONS[found["sign"] ?? ""] ?? Operation.UNSPECIFIED,
    secondOperand: parseNumber(found["second"] ?? ""),
    ...(found["first"] ? { firstOperand: parseNumber(found["first"]) } : {}),
  });
}
