// The operations of calculator.v1 by their signs, and the parser of lines such as "3 + 4".

import { create } from "@bufbuild/protobuf";
import { type ConverseRequest, ConverseRequestSchema, Operation } from "@proto/calculator/v1/calculator_pb.js";
import { parseNumber } from "./numbers.ts";

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

/** Returns the sign of an operation; "?" for an operation of a newer API. */
export function signOf(operation: Operation): string {
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
