// What ts_proto_library makes of a contract that imports others.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CalculateResponseSchema } from "@proto/calculator/v1/calculator_pb.js";
import { TimedSchema } from "@proto/importing/v1/importing_pb.js";

test("a message of another target is the one that everybody else imports", () => {
  assert.equal(TimedSchema.field.response.message, CalculateResponseSchema);
});

test("messages of both are read as they were written", () => {
  const timed = create(TimedSchema, { duration: { seconds: 3n }, response: { result: 5 } });
  assert.deepEqual(fromBinary(TimedSchema, toBinary(TimedSchema, timed)), timed);
});
