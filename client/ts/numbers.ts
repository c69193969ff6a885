// Numbers as text: parsed strictly, and printed like the Python client does.

/** The largest finite 32-bit number, as error messages show it. */
const LARGEST_32 = "3.4028235e38";
const LARGEST_64 = "1.7976931348623157e308";

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/iu;
/** Unlike trim(), only ASCII, as in the other clients. */
const SPACE = /^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/gu;
const SPECIAL = /^([+-]?)(inf|infinity|nan)$/iu;

/**
 * Parses a 64-bit number: decimal, `inf` or `nan`.
 *
 * @throws {RangeError} the text is not a number, or is too large; the message says which.
 */
export function parseNumber(text: string): number {
  const stripped = text.replace(SPACE, "");
  const special = SPECIAL.exec(stripped);
  if (special) {
    const [, sign, name = ""] = special;
    return name.toLowerCase() === "nan" ? Number.NaN : Number(`${sign}Infinity`);
  }
  if (!DECIMAL.test(stripped)) {
    throw new RangeError(`'${text}' is not a number`);
  }
  const number = Number(stripped);
  if (!Number.isFinite(number)) {
    throw new RangeError(`'${text}' is out of range: the largest number is ${LARGEST_64}`);
  }
  return number;
}

/**
 * Parses a number in the range of a 32-bit float, which may round it.
 *
 * @throws {RangeError} the text is not a number, or is too large.
 */
export function parseNumber32(text: string): number {
  const number = parseNumber(text);
  if (Number.isFinite(number) && !Number.isFinite(Math.fround(number))) {
    throw new RangeError(`'${text}' is out of range: the largest 32-bit number is ${LARGEST_32}`);
  }
  return number;
}

/** Formats a 64-bit number with the fewest digits that identify it: 0.1, 1e+20, inf. */
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

/** Formats a 32-bit number with the fewest digits that identify it, but rounds to at least six digits. */
export function formatNumber32(value: number): string {
  if (!Number.isFinite(value)) {
    return String(value);
  }
  if (value === 0) {
    return formatNumber(value); // toPrecision drops the sign of -0
  }
  const enough = [6, 7, 8]
    .map((digits) => Number(value.toPrecision(digits)))
    .find((short) => Math.fround(short) === value);
  return formatNumber(enough ?? Number(value.toPrecision(9)));
}
