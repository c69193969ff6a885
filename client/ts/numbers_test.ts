// Tests of how numbers are parsed and formatted.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatNumber, formatNumber32, parseNumber, parseNumber32 } from "./numbers.ts";

test("a formatted number parses to the same number", () => {
  fc.assert(
    fc.property(fc.double(), (number) => assert.ok(Object.is(parseNumber(formatNumber(number)), number))),
    { seed: 1 },
  );
});

test("a formatted 32-bit number parses to the same number", () => {
  fc.assert(
    fc.property(fc.float({ noDefaultInfinity: true, noNaN: true }), (number) => {
      assert.ok(Object.is(Math.fround(parseNumber32(formatNumber32(number))), number));
    }),
    { seed: 1 },
  );
});

for (const [number, text] of [
  [0, "0"],
  [-0, "-0"],
  [0.1, "0.1"],
  [98, "98"],
  [1e15, "1000000000000000"],
  [1e16, "1e+16"],
  [1.5e300, "1.5e+300"],
  [0.0001, "0.0001"],
  [0.00001, "1e-05"],
  [5e-324, "5e-324"],
  [Number.POSITIVE_INFINITY, "inf"],
  [Number.NEGATIVE_INFINITY, "-inf"],
  [Number.NaN, "nan"],
] as const) {
  test(`${text} is formatted like in Python`, () => assert.equal(formatNumber(number), text));
}

for (const text of [
  "",
  " ",
  "two",
  "0x10",
  "1_000",
  "1,5",
  "--1",
  "1e",
  ".",
  "infinite",
  "NaN0",
  "\ufeff1",
  "1\u00a0",
]) {
  test(`'${text}' is rejected`, () =>
    assert.throws(() => parseNumber(text), new RangeError(`'${text}' is not a number`)));
}

test("a number that is too large is rejected, not rounded to infinity", () => {
  assert.throws(() => parseNumber("1e400"), /'1e400' is out of range: the largest number is 1\.7976931348623157e308/u);
  assert.throws(() => parseNumber32("1e39"), /'1e39' is out of range: the largest 32-bit number is 3\.4028235e38/u);
});
