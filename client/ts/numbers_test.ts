// Numbers as people write them.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatNumber, formatNumber32, parseNumber, parseNumber32 } from "./numbers.ts";

test("what is written is read as the very same number", () => {
  fc.assert(fc.property(fc.double(), (number) => assert.ok(Object.is(parseNumber(formatNumber(number)), number))));
});

test("what is written of 32 bit is read as the very same number", () => {
  fc.assert(
    fc.property(fc.float({ noDefaultInfinity: true, noNaN: true }), (number) => {
      assert.ok(Object.is(Math.fround(parseNumber32(formatNumber32(number))), number));
    }),
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
  test(`${text} is written as Python writes it`, () => assert.equal(formatNumber(number), text));
}

for (const text of ["", " ", "two", "0x10", "1_000", "1,5", "--1", "1e", ".", "infinite", "NaN0"]) {
  test(`'${text}' is no number`, () =>
    assert.throws(() => parseNumber(text), new RangeError(`'${text}' is not a number`)));
}

test("what is too large is not made infinite", () => {
  assert.throws(() => parseNumber("1e400"), /'1e400' is out of range: numbers end at 1\.7976931348623157e308/u);
  assert.throws(() => parseNumber32("1e39"), /'1e39' is out of range: 32-bit numbers end at 3\.4028235e38/u);
});
