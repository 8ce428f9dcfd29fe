/**
 * A file as it is read once, from front to back, in pieces: its digest on the way, its lines, its bytes.
 * @module
 */
import { createHash } from "node:crypto";
import type { FileDigest } from "../../core/trace/manifest.ts";
import { AnalysisError } from "../errors.ts";

const PIECE_BYTES = 4 << 20;
/** A line that is longer is no line of a trace; what it holds is passed over in one piece. */
export const LONGEST_LINE = 1 << 20;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

export class Source {
  readonly sizeBytes: number;
  bytesRead = 0;
  readonly #file: Deno.FsFile;
  readonly #hash = createHash("sha256");

  constructor(readonly path: string) {
    try {
      this.#file = Deno.openSync(path);
      const { size, isFile } = this.#file.statSync();
      if (!isFile) throw new Error("is no file");
      this.sizeBytes = size;
    } catch (error) {
      const why = error instanceof Deno.errors.NotFound
        ? "does not exist"
        : (error as Error).message;
      throw new AnalysisError(`${path}: ${why}.`, "Check the path.");
    }
  }

  /** The first bytes, without reading on. */
  peek(bytes: number): Uint8Array {
    const head = new Uint8Array(bytes);
    let length = 0;
    for (let n: number | null = 0; n !== null && length < bytes; length += n ?? 0) {
      n = this.#file.readSync(head.subarray(length));
    }
    this.#file.seekSync(0, Deno.SeekMode.Start);
    return head.subarray(0, length);
  }

  /** Fills `into` as far as there is something; the number of bytes read, 0 at the end. */
  read(into: Uint8Array): number {
    let length = 0;
    while (length < into.length) {
      const n = this.#file.readSync(into.subarray(length));
      if (n === null) break;
      length += n;
    }
    this.#hash.update(into.subarray(0, length));
    this.bytesRead += length;
    return length;
  }

  /** Digest of what was read, which is all once the end was met. Closes the file. */
  close(): FileDigest {
    this.#file.close();
    return { path: this.path, sha256: this.#hash.digest("hex"), bytes: this.bytesRead };
  }

  abandon(): void {
    try {
      this.#file.close();
    } catch {
      // It was closed already.
    }
  }
}

/** Calls `line` for each line without its end; `piece` between pieces. */
export function eachLine(
  source: Source,
  line: (bytes: Uint8Array, from: number, to: number) => void,
  piece: () => void,
): void {
  const buffer = new Uint8Array(PIECE_BYTES + LONGEST_LINE);
  let kept = 0;
  for (;;) {
    const read = source.read(buffer.subarray(kept, kept + PIECE_BYTES));
    const end = kept + read;
    const filled = buffer.subarray(0, end);
    let from = 0;
    for (;;) {
      const at = filled.indexOf(NEWLINE, from);
      if (at < 0) break;
      line(buffer, from, at > from && buffer[at - 1] === RETURN ? at - 1 : at);
      from = at + 1;
    }
    if (read === 0) {
      if (end > from) line(buffer, from, end);
      return;
    }
    if (end - from >= LONGEST_LINE) {
      line(buffer, from, end);
      from = end;
    }
    buffer.copyWithin(0, from, end);
    kept = end - from;
    piece();
  }
}
