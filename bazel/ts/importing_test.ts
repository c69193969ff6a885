// Tests of the stubs that ts_proto_library generates for a proto that imports others.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CalculateResponseSchema } from "@proto/calculator/v1/calculator_pb.js";
import { TimedSchema } from "@proto/importing/v1/importing_pb.js";

test("an imported message is the same object as in the stub of its own target", () => {
  assert.equal(TimedSchema.field.response.message, CalculateResponseSchema);
});

test("a message with fields from both imports survives a round trip", () => {
  const timed = create(TimedSchema, { duration: { seconds: 3n }, response: { result: 5 } });
  assert.deepEqual(fromBinary(TimedSchema, toBinary(TimedSchema, timed)), timed);
});
