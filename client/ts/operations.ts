// The operations of calculator.v1, by the signs that people write.

import { Operation } from "@proto/calculator/v1/calculator_pb.js";

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
