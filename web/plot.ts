// A small histogram.

const WIDTH = 600;
const HEIGHT = 120;
const TEXT_HEIGHT = 18;
const MOST_BARS = 40;

/** Counts how many numbers there are in each of so many parts of a range, the upper end included. */
export function histogram(numbers: readonly number[], least: number, greatest: number, bars: number): number[] {
  const counts = new Array<number>(bars).fill(0);
  // Halves, since the whole range may be beyond the largest number.
  const range = greatest / 2 - least / 2;
  for (const number of numbers) {
    const place = range > 0 ? Math.floor(((number / 2 - least / 2) / range) * bars) : 0;
    const bar = Math.min(place, bars - 1);
    counts[bar] = (counts[bar] ?? 0) + 1;
  }
  return counts;
}

/**
 * Draws how numbers are distributed, with a line at their mean.
 *
 * @param description what it shows, for who cannot see it.
 */
export function plot(
  numbers: readonly number[],
  range: { readonly least: number; readonly greatest: number; readonly mean: number },
  labels: { readonly least: string; readonly greatest: string; readonly description: string },
): SVGSVGElement {
  const { least, greatest, mean } = range;
  const bars = least === greatest ? 1 : Math.min(MOST_BARS, Math.ceil(Math.sqrt(numbers.length)) + 1);
  const counts = histogram(numbers, least, greatest, bars);
  const highest = Math.max(...counts);
  const width = WIDTH / bars;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + TEXT_HEIGHT}`, role: "img" });
  svg.setAttribute("aria-label", labels.description);
  for (const [place, count] of counts.entries()) {
    const height = (count / highest) * HEIGHT;
    svg.append(element("rect", { x: place * width + 1, y: HEIGHT - height, width: width - 2, height }));
  }
  const middle = least === greatest ? WIDTH / 2 : ((mean / 2 - least / 2) / (greatest / 2 - least / 2)) * WIDTH;
  svg.append(element("line", { x1: middle, x2: middle, y1: 0, y2: HEIGHT }));
  svg.append(text(labels.least, 0, "start"), text(labels.greatest, WIDTH, "end"));
  return svg;
}

function text(content: string, x: number, anchor: string): SVGElement {
  const label = element("text", { x, y: HEIGHT + TEXT_HEIGHT - 4, "text-anchor": anchor });
  label.textContent = content;
  return label;
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
