// "Many numbers": statistics and a histogram of a column of numbers.

import type { Client } from "@connectrpc/connect";
import type { AggregateResponse, Calculator } from "@proto/calculator/v1/calculator_pb.js";
import { formatNumber, parseNumber } from "../client/ts/numbers.ts";
import { NUMBERS_PER_MESSAGE } from "../client/ts/operations.ts";
import { find, InputProblem, panel } from "./panel.ts";
import { plot } from "./plot.ts";

/** Sets up the form that describes numbers. */
export function aggregating(form: HTMLFormElement, client: Client<typeof Calculator>): void {
  const input = find(form, "textarea", HTMLTextAreaElement);
  const answer = find(form, "[aria-live]", HTMLElement);
  panel(form, input, async (text, signal) => {
    answer.replaceChildren();
    const numbers = column(text);
    const response = await client.aggregate(messages(numbers), { signal });
    answer.replaceChildren(...summary(numbers, response));
  });
}

/**
 * Parses numbers that are separated by white space, semicolons, or commas before white space.
 *
 * @throws {InputProblem} a word is not a number, or there are no words; the message says which.
 */
export function column(text: string): number[] {
  const words = text.split(/(?:[\s;]|,(?=\s|$))+/u).filter(Boolean);
  if (words.length === 0) {
    throw new InputProblem("Paste some numbers first.");
  }
  return words.map((word, place) => {
    try {
      return parseNumber(word);
    } catch (error) {
      const advice = /^[\d.,]+$/u.test(word) ? " Write decimals with a point, and thousands without a comma." : "";
      throw new InputProblem(`Number ${place + 1}: ${(error as RangeError).message}.${advice}`);
    }
  });
}

async function* messages(numbers: readonly number[]): AsyncIterable<{ numbers: number[] }> {
  for (let start = 0; start < numbers.length; start += NUMBERS_PER_MESSAGE) {
    yield { numbers: numbers.slice(start, start + NUMBERS_PER_MESSAGE) };
  }
}

function summary(numbers: readonly number[], response: AggregateResponse): readonly Element[] {
  const { count, sum, mean = 0, variance = 0, minimum = 0, maximum = 0 } = response;
  return [
    list({
      Count: String(count),
      Sum: formatNumber(sum),
      Mean: formatNumber(mean),
      "Standard deviation": formatNumber(Math.sqrt(variance)),
      Range: `${formatNumber(minimum)} to ${formatNumber(maximum)}`,
    }),
    plot(numbers, { least: minimum, greatest: maximum, mean }),
  ];
}

function list(entries: Readonly<Record<string, string>>): HTMLDListElement {
  const made = document.createElement("dl");
  for (const [name, value] of Object.entries(entries)) {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    made.append(term, description);
  }
  return made;
}
