// Tests of the histogram.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { histogram } from "./plot.ts";

test("a histogram includes both ends of its range", () => {
  assert.deepEqual(histogram([0, 1, 2, 3, 4], 0, 4, 2), [2, 3]);
});

test("equal numbers are in one bin", () => {
  assert.deepEqual(histogram([7, 7], 7, 7, 1), [2]);
});

test("every number is counted once, however far apart they are", () => {
  const numbers = fc.array(fc.double({ noDefaultInfinity: true, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(numbers, fc.integer({ max: 40, min: 1 }), (values, bins) => {
      const counts = histogram(values, Math.min(...values), Math.max(...values), bins);
      assert.equal(counts.length, bins);
      assert.equal(
        counts.reduce((sum, count) => sum + count),
        values.length,
      );
    }),
    { seed: 1 },
  );
});
