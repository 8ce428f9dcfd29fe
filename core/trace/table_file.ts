/**
 * One `TABLE.arrow` of a trace on disk, read message by message (Arrow IPC "Encapsulated message
 * format": marker, metadata length, metadata, body), never as a whole.
 * @module
 */
import * as arrow from "apache-arrow";
import { END_OF_STREAM, schemaMessage } from "./arrow_stream.ts";
import { checksum } from "./checksum.ts";
import { TraceError } from "./error.ts";
import type { TableName } from "./schema.ts";

/** A message of the stream: where it lies in the file, and the rows in it when it is a batch. */
export interface MessageSpan {
  at: number;
  bytes: number;
  isSchema: boolean;
  rows: number;
}

const PREFIX_BYTES = 8;
const MARKER = 0xffffffff;
/** Our widest table's metadata takes 6 KiB; anything like this is garbage, not a length. */
const MAX_METADATA_BYTES = 1 << 20;

const DAMAGED = "The file was changed after it was recorded; record it again.";

export class TableFile {
  readonly #file: Deno.FsFile;
  /** Bytes in the file, committed or not. */
  readonly size: number;

  constructor(readonly table: TableName, readonly path: string, readonly committed: number) {
    this.#file = Deno.openSync(path);
    this.size = this.#file.statSync().size;
  }

  close(): void {
    this.#file.close();
  }

  /** Bytes [at, at + length); throws TraceError when the file ends before. */
  read(at: number, length: number, into = new Uint8Array(length)): Uint8Array {
    this.#file.seekSync(at, Deno.SeekMode.Start);
    let done = 0;
    while (done < length) {
      const n = this.#file.readSync(into.subarray(done, length));
      if (n === null) {
        throw new TraceError(`${this.path} ends at byte ${at + done} of ${at + length}`, DAMAGED);
      }
      done += n;
    }
    return into.subarray(0, length);
  }

  /** Messages in [from, end) up to the end-of-stream marker. Throws TraceError on what is none. */
  *messages(from = 0, end = this.committed): Generator<MessageSpan> {
    for (let at = from; at < end;) {
      const message = this.#message(at, end);
      if (message === null) return;
      yield message;
      at += message.bytes;
    }
  }

  /** Record batches that were written whole beyond the committed bytes; what follows is ignored. */
  *uncommitted(): Generator<MessageSpan> {
    const messages = this.messages(this.committed, this.size);
    try {
      for (const message of messages) if (!message.isSchema) yield message;
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
    }
  }

  /**
   * Throws TraceError when the committed bytes are not those that were recorded. Comes before any
   * decoding: a decoder that is fed a wrong length may never come back.
   */
  check(expectedCrc: number): void {
    const buffer = new Uint8Array(1 << 20);
    let crc = 0;
    for (let at = 0; at < this.committed; at += buffer.length) {
      const length = Math.min(buffer.length, this.committed - at);
      crc = checksum(this.read(at, length, buffer), crc);
    }
    if (crc !== expectedCrc) throw new TraceError(`${this.path} has damaged bytes`, DAMAGED);
  }

  /**
   * The committed batches as self-contained streams of at most `sliceBytes` (or one batch), at least
   * one even if it holds no rows.
   */
  *slices(sliceBytes: number): Generator<Uint8Array<ArrayBuffer>> {
    let schema = schemaMessage(this.table);
    let run = { at: 0, bytes: 0 };
    let yielded = false;
    const slice = () => concatenate(schema, this.read(run.at, run.bytes), END_OF_STREAM);
    for (const message of this.messages()) {
      if (message.isSchema) {
        schema = this.read(message.at, message.bytes);
        continue;
      }
      if (run.bytes > 0 && run.bytes + message.bytes > sliceBytes) {
        yield slice();
        yielded = true;
        run = { at: 0, bytes: 0 };
      }
      if (run.bytes === 0) run.at = message.at;
      run.bytes += message.bytes;
    }
    if (run.bytes > 0 || !yielded) yield slice();
  }

  #message(at: number, end: number): MessageSpan | null {
    const damaged = (what: string) =>
      new TraceError(`${this.path}: ${what} at byte ${at}`, DAMAGED);
    if (end - at < PREFIX_BYTES) throw damaged("a message is cut off");
    const prefix = new DataView(this.read(at, PREFIX_BYTES).buffer);
    const metadataBytes = prefix.getUint32(4, true);
    if (prefix.getUint32(0, true) !== MARKER || metadataBytes > MAX_METADATA_BYTES) {
      throw damaged("no Arrow message");
    }
    if (metadataBytes === 0) return null;
    if (at + PREFIX_BYTES + metadataBytes > end) throw damaged("a message is cut off");
    const message = parse(this.read(at + PREFIX_BYTES, metadataBytes));
    if (message === null) throw damaged("no Arrow message");
    const bytes = PREFIX_BYTES + metadataBytes + message.bodyLength;
    if (at + bytes > end) throw damaged("a message is cut off");
    return { at, bytes, isSchema: message.isSchema, rows: message.rows };
  }
}

/** Metadata of a schema or record batch message; null when it is neither. */
function parse(
  metadata: Uint8Array,
): { isSchema: boolean; rows: number; bodyLength: number } | null {
  try {
    const message = arrow.Message.decode(metadata);
    const { bodyLength } = message;
    if (message.isSchema()) return { isSchema: true, rows: 0, bodyLength };
    if (!message.isRecordBatch() || !(bodyLength >= 0)) return null;
    return { isSchema: false, rows: message.header().length, bodyLength };
  } catch {
    return null;
  }
}

/** Rows in the record batch message that `bytes` starts with; 0 for any other message. */
export function rowsInBatch(bytes: Uint8Array): number {
  const metadataBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  return parse(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + metadataBytes))?.rows ?? 0;
}

export function concatenate(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
