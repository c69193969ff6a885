// A small histogram.

import { formatNumber } from "../client/ts/numbers.ts";

const WIDTH = 600;
const HEIGHT = 120;
const MOST_BINS = 40;

/** Counts the numbers in each of `bins` equal parts of a range, which includes its upper end. */
export function histogram(numbers: readonly number[], least: number, greatest: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  // Halve the numbers, since the difference may exceed the largest number.
  const range = greatest / 2 - least / 2;
  for (const number of numbers) {
    const place = range > 0 ? Math.floor(((number / 2 - least / 2) / range) * bins) : 0;
    const bin = Math.min(place, bins - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

/** The least and the greatest number of a plot, and the mean. */
export interface Range {
  readonly least: number;
  readonly greatest: number;
  readonly mean: number;
}

/** Draws the distribution of numbers, with a line at their mean. */
export function plot(numbers: readonly number[], range: Range): HTMLElement {
  const { least, greatest, mean } = range;
  const [first, last, middle] = [least, greatest, mean].map(formatNumber);
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  for (const text of [first, `mean ${middle}`, last]) {
    const label = document.createElement("span");
    label.textContent = text ?? "";
    caption.append(label);
  }
  const svg = bars(numbers, range);
  const description = `from ${first} to ${last}, with a line at their mean, ${middle}`;
  svg.setAttribute("aria-label", `A histogram of ${numbers.length} numbers ${description}.`);
  figure.append(svg, caption);
  return figure;
}

function bars(numbers: readonly number[], { least, greatest, mean }: Range): SVGSVGElement {
  // The usual choice, the square root of the count, and at least two bins, unless all numbers are equal.
  const bins = least === greatest ? 1 : Math.min(MOST_BINS, Math.ceil(Math.sqrt(numbers.length)) + 1);
  const counts = histogram(numbers, least, greatest, bins);
  const highest = Math.max(...counts);
  const width = WIDTH / bins;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  for (const [place, count] of counts.entries()) {
    const height = (count / highest) * HEIGHT;
    svg.append(element("rect", { x: place * width + 1, y: HEIGHT - height, width: width - 2, height }));
  }
  const middle = least === greatest ? WIDTH / 2 : ((mean / 2 - least / 2) / (greatest / 2 - least / 2)) * WIDTH;
  svg.append(element("line", { x1: middle, x2: middle, y1: 0, y2: HEIGHT }));
  return svg;
}

function element<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string | number>>,
): SVGElementTagNameMap[K] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  return made;
}
