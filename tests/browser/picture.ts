// PNG files that carry the text they show, so that a test can compare it: https://www.w3.org/TR/png/#11iTXt.

import { crc32 } from "node:zlib";

const SIGNATURE_BYTES = 8;
const KEYWORD = "Description";

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

function* chunks(png: Buffer): Generator<Chunk> {
  // A chunk is its length (4 bytes), its type (4 bytes), its data, and a checksum (4 bytes).
  for (let offset = SIGNATURE_BYTES; offset < png.length; ) {
    const data = offset + 8;
    const end = data + png.readUInt32BE(offset);
    yield { type: png.toString("latin1", offset + 4, data), data: png.subarray(data, end) };
    offset = end + 4;
  }
}

function encoded(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/** Returns a PNG file with a text in addition to its pixels. */
export function withText(png: Buffer, text: string): Buffer {
  // Keyword, no compression, no language, no translated keyword.
  const data = Buffer.concat([Buffer.from(`${KEYWORD}\0\0\0\0\0`, "latin1"), Buffer.from(text, "utf8")]);
  const end = png.length - encoded("IEND", Buffer.alloc(0)).length;
  return Buffer.concat([png.subarray(0, end), encoded("iTXt", data), png.subarray(end)]);
}

/** Returns the size in pixels and the text of a PNG file that `withText` has made. */
export function described(png: Buffer): { width: number; height: number; text: string } {
  const found = { width: 0, height: 0, text: "" };
  for (const { type, data } of chunks(png)) {
    if (type === "IHDR") {
      found.width = data.readUInt32BE(0);
      found.height = data.readUInt32BE(4);
    } else if (type === "iTXt") {
      found.text = data.toString("utf8", KEYWORD.length + 5);
    }
  }
  return found;
}
