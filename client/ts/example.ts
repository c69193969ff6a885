// The example program in docs/guides/languages.md; a test compares the two, and runs this file.

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
