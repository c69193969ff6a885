// What docs/languages.md shows of a program that calls the server: a test compares them, and runs it.

import { createClient } from "@connectrpc/connect";
import { Calculator, Operation } from "@proto/calculator/v1/calculator_pb.js";
import { connect } from "./channel.ts";

async function main(): Promise<void> {
  await using channel = await connect("localhost:50051");
  const client = createClient(Calculator, channel.transport);
  const { result } = await client.calculate({ operation: Operation.MULTIPLY, firstOperand: 6, secondOperand: 7 });
  console.log(result);
}

void main();
