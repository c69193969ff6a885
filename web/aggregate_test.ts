// Tests of how a column of numbers is parsed.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { column } from "./aggregate.ts";
import { InputProblem } from "./panel.ts";

test("numbers are separated by white space, semicolons, and commas before white space", () => {
  assert.deepEqual(column("1\n2.5\t-3 ; 4,\n5, 6 \n"), [1, 2.5, -3, 4, 5, 6]);
});

test("all finite numbers are parsed exactly with every separator", () => {
  const separators = fc.constantFrom(" ", "\n", "\r\n", "\t", ";", ", ", " ; ");
  fc.assert(
    fc.property(
      fc.array(fc.double({ noDefaultInfinity: true, noNaN: true }), { minLength: 1 }),
      separators,
      (numbers, by) => {
        assert.deepEqual(
          column(numbers.map((number) => (Object.is(number, -0) ? "-0" : String(number))).join(by)),
          numbers,
        );
      },
    ),
    { seed: 1 },
  );
});

for (const [text, message] of [
  ["", "Paste some numbers first."],
  [" \n;", "Paste some numbers first."],
  ["1 2 three", "Number 3: 'three' is not a number."],
  ["1,5", "Number 1: '1,5' is not a number. Write decimals with a point, and thousands without a comma."],
] as const) {
  test(`the message for '${text.trim()}' says what is wrong`, () => {
    assert.throws(() => column(text), new InputProblem(message));
  });
}
