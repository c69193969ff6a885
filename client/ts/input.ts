// Standard input of the commands, as words or as lines, in any amount.

import { UsageError } from "./commands.ts";

const MAX_WORD_BYTES = 1000;
const MAX_LINE_BYTES = 1_000_000;
const BYTE_ORDER_MARK = Buffer.from("\ufeff");
const [LINE_FEED, CARRIAGE_RETURN] = [0x0a, 0x0d];
/** Tab, line feed, vertical tab, form feed, carriage return, space. */
const WORD_ENDS = new Set([0x09, LINE_FEED, 0x0b, 0x0c, CARRIAGE_RETURN, 0x20]);

/**
 * A reader that keeps the first problem instead of throwing it: an error of the requests would hide the status of the call. A
 * problem ends the input, and `check` throws it after the call.
 */
export class StandardInput {
  #problem = "";

  /**
   * Yields the parsed words, which whitespace separates; a word that is invalid ends the input.
   *
   * @param parse parses a word, or throws a RangeError with the reason.
   */
  async *words<T>(parse: (word: string) => T): AsyncIterable<T> {
    let place = 0;
    for await (const word of this.#split((byte) => WORD_ENDS.has(byte), MAX_WORD_BYTES)) {
      if (word.length === 0) {
        continue;
      }
      place += 1;
      try {
        yield parse(decode(word, MAX_WORD_BYTES));
      } catch (error) {
        this.#problem = `number ${place}: ${messageOf(error)}`;
        return;
      }
    }
  }

  /**
   * Yields the parsed lines that are not empty; reports an invalid line on standard error, and continues. A line that is not UTF-8
   * ends the input, since the rest of a file in another encoding would not be right either.
   *
   * @param parse parses a line, or throws a RangeError with the reason.
   */
  async *lines<T>(parse: (line: string) => T): AsyncIterable<T> {
    let place = 0;
    for await (const line of this.#split((byte) => byte === LINE_FEED, MAX_LINE_BYTES)) {
      for (const part of splitLines(line)) {
        place += 1;
        let text: string;
        try {
          text = decode(part, MAX_LINE_BYTES).trim();
        } catch (error) {
          this.#problem = `line ${place}: ${messageOf(error)}`;
          return;
        }
        try {
          if (text) {
            yield parse(text);
          }
        } catch (error) {
          process.stderr.write(`Invalid line '${text}': ${messageOf(error)}\n`);
        }
      }
    }
  }

  /** Throws a UsageError if the input was invalid; the message says which number or line. */
  check(): void {
    if (this.#problem) {
      throw new UsageError(this.#problem);
    }
  }

  /** Yields pieces of the input. If a piece that is not complete yet is too long, yields its beginning, and stops. */
  async *#split(isEnd: (byte: number) => boolean, maxBytes: number): AsyncIterable<Buffer> {
    let rest = Buffer.alloc(0);
    let isFirst = true;
    try {
      for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
        const startsWithMark = isFirst && chunk.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
        const data = Buffer.concat([rest, startsWithMark ? chunk.subarray(BYTE_ORDER_MARK.length) : chunk]);
        let begin = 0;
        for (let index = rest.length; index < data.length; index++) {
          if (isEnd(data[index] as number)) {
            yield data.subarray(begin, index);
            begin = index + 1;
          }
        }
        rest = data.subarray(begin);
        isFirst = false;
        if (rest.length > maxBytes) {
          break;
        }
      }
    } catch (error) {
      this.#problem = `standard input cannot be read: ${(error as Error).message}`;
      return;
    }
    if (rest.length > 0) {
      yield rest;
    }
  }
}

/** Splits a line at carriage returns; the one in front of the line feed is not part of the line. */
function splitLines(line: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let begin = 0;
  for (let index = line.indexOf(CARRIAGE_RETURN); index >= 0; index = line.indexOf(CARRIAGE_RETURN, begin)) {
    parts.push(line.subarray(begin, index));
    begin = index + 1;
  }
  return begin < line.length || parts.length === 0 ? [...parts, line.subarray(begin)] : parts;
}

function decode(bytes: Buffer, maxBytes: number): string {
  if (bytes.length > maxBytes) {
    throw new RangeError(`longer than ${maxBytes} bytes`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new RangeError("not UTF-8", { cause: error });
  }
}

/** Returns the message of a RangeError; other errors are bugs. */
function messageOf(error: unknown): string {
  if (error instanceof RangeError) {
    return error.message;
  }
  throw error;
}
