// Tests of how server addresses are parsed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "./address.ts";

for (const [text, target, isTls] of [
  ["example.com", "example.com:443", true],
  ["https://example.com", "example.com:443", true],
  ["https://example.com/", "example.com:443", true],
  ["https://example.com:8443", "example.com:8443", true],
  ["example.com:443", "example.com:443", true],
  ["example.com:80", "example.com:80", false],
  ["localhost:50051", "localhost:50051", false],
  ["[::1]:50051", "[::1]:50051", false],
] as const) {
  test(`${text} means ${target} with ${isTls ? "TLS" : "plaintext"}`, () => {
    const address = parseAddress(text);
    assert.deepEqual([address.target, address.isTls], [target, isTls]);
  });
}

for (const text of [
  "",
  " ",
  "a b",
  "localhost:0",
  "localhost:65536",
  "http://localhost",
  "https://a/b",
  "::1",
  "a:b",
  "10.0.0.256:1",
  "10.1:1",
  "<host>:1",
  "a?b.run.app",
  "a#.run.app",
]) {
  test(`'${text}' is not a valid address`, () => assert.throws(() => parseAddress(text), RangeError));
}

test("this machine and Cloud Run are recognized by their host names", () => {
  assert.deepEqual(
    ["localhost:1", "127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost.example.com:1"].map(
      (each) => parseAddress(each).isLoopback,
    ),
    [true, true, true, true, false],
  );
  assert.ok(parseAddress("calculator-abc-ew.a.run.app").isCloudRun);
  assert.ok(!parseAddress("run.app.example.com").isCloudRun);
  assert.equal(parseAddress("calculator-abc-ew.a.run.app").audience, "https://calculator-abc-ew.a.run.app");
});
