// Numbers as people write them: read strictly, and printed as the Python client prints them.

/** The largest finite number of 32 bit, as people are told of it. */
const LARGEST_32 = "3.4028235e38";
const LARGEST_64 = "1.7976931348623157e308";

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/iu;
const SPECIAL = /^([+-]?)(inf|infinity|nan)$/iu;

/**
 * Returns the 64-bit number that a text says: decimal, `inf` or `nan`.
 *
 * @throws {RangeError} it says none; the message tells why.
 */
export function parseNumber(text: string): number {
  const special = SPECIAL.exec(text.trim());
  if (special) {
    const [, sign, name = ""] = special;
    return name.toLowerCase() === "nan" ? Number.NaN : Number(`${sign}Infinity`);
  }
  if (!DECIMAL.test(text.trim())) {
    throw new RangeError(`'${text}' is not a number`);
  }
  const number = Number(text);
  if (!Number.isFinite(number)) {
    throw new RangeError(`'${text}' is out of range: numbers end at ${LARGEST_64}`);
  }
  return number;
}

/**
 * Returns a number that 32 bit can hold, if not exactly.
 *
 * @throws {RangeError} it is none, or is too large.
 */
export function parseNumber32(text: string): number {
  const number = parseNumber(text);
  if (Number.isFinite(number) && !Number.isFinite(Math.fround(number))) {
    throw new RangeError(`'${text}' is out of range: 32-bit numbers end at ${LARGEST_32}`);
  }
  return number;
}

/** Writes a number with as few digits as tell it from its neighbours of 64 bit: 0.1, 1e+20, inf. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? "nan" : `${value < 0 ? "-" : ""}inf`;
  }
  if (Object.is(value, -0)) {
    return "-0";
  }
  const [digits = "", exponent = ""] = value.toExponential().split("e");
  const power = Number(exponent);
  if (value === 0 || (power >= -4 && power < 16)) {
    return String(value);
  }
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** Writes a 32-bit number with as few digits as tell it from its neighbours, six at least where it has so many. */
export function formatNumber32(value: number): string {
  if (!Number.isFinite(value)) {
    return String(value);
  }
  if (value === 0) {
    return formatNumber(value); // toPrecision would forget its sign
  }
  const enough = [6, 7, 8]
    .map((digits) => Number(value.toPrecision(digits)))
    .find((short) => Math.fround(short) === value);
  return formatNumber(enough ?? Number(value.toPrecision(9)));
}
