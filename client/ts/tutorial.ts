// The commands of the tutorial's 32-bit calculator: add and subtract.

import { CalculationResultSchema, Calculator, Operation } from "@proto/calculator_pb.js";
import type { Caller } from "./commands.ts";
import { formatNumber32 } from "./numbers.ts";

/** Prints the sum of two 32-bit numbers. */
export function add(caller: Caller, first: number, second: number): Promise<void> {
  return calculate(caller, Operation.ADD, first, second);
}

/** Prints the difference of two 32-bit numbers. */
export function subtract(caller: Caller, first: number, second: number): Promise<void> {
  return calculate(caller, Operation.SUBTRACT, first, second);
}

function calculate(caller: Caller, operation: Operation, firstOperand: number, secondOperand: number): Promise<void> {
  return caller.call(Calculator, async (client) => {
    const answer = await client.calculate({ firstOperand, secondOperand, operation }, caller.callOptions);
    caller.show(CalculationResultSchema, answer, formatNumber32(answer.result));
  });
}
