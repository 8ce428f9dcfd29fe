/**
 * Disk images of the host: read in granules by offset, never whole. What a recording reads is an
 * input of the run: at the first read of each granule its digest is recorded (or, with `embed`, its
 * bytes), and a replay holds the image to that. An image that another program changes while it is
 * recorded is found out when the piece is read again.
 * @module
 */
import type { DriveSpec } from "../core/board/spec.ts";
import { GRANULE_BYTES, type Medium } from "../core/mmio/medium.ts";
import type { TraceReader } from "../core/trace/reader.ts";
import { InputError } from "./files.ts";
import { INPUT } from "./run.ts";
import { sha256 } from "./sha256.ts";

/** Images up to this size are named in the manifest with a digest of the whole. */
export const SMALL_BYTES = 16 << 20;
/** Granules kept at hand: 16 MiB. */
const CACHED = 1024;

/** Told of every first read of a granule: where it begins, and its digest or its bytes. */
export type OnFirstRead = (at: number, data: Uint8Array) => void;

/** Opens the images of a machine. */
export interface Images {
  open(drive: DriveSpec, onFirstRead: OnFirstRead): Medium;
  close(): void;
}

const hex = (digest: Uint8Array) => digest.toHex().slice(0, 12);
const nameOf = (d: DriveSpec) => `drive ${d.id}: ${d.path}`;

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}

/** Opens an image, whose size was taken before. */
function openFile(d: DriveSpec, write: boolean): Deno.FsFile {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(d.path!, { read: true, write });
  } catch (e) {
    const why = e instanceof Deno.errors.NotFound ? "there is no such file" : (e as Error).message;
    throw new InputError(`${nameOf(d)} cannot be opened: ${why}`, "check the path");
  }
  const { size } = file.statSync();
  if (size === d.sizeBytes) return file;
  file.close();
  throw new InputError(
    `${nameOf(d)} has ${size} bytes, the recording's had ${d.sizeBytes}`,
    "put the recorded version back, or record again",
  );
}

/** Keeps what was read last at hand. */
class Cache {
  readonly #granules = new Map<number, Uint8Array>();

  constructor(private readonly load: (granule: number) => Uint8Array) {}

  get(granule: number): Uint8Array {
    let bytes = this.#granules.get(granule);
    if (bytes !== undefined) {
      this.#granules.delete(granule);
    } else {
      bytes = this.load(granule);
      if (this.#granules.size >= CACHED) {
        this.#granules.delete(this.#granules.keys().next().value!);
      }
    }
    this.#granules.set(granule, bytes);
    return bytes;
  }
}

/** What a file of the host is to a medium: read in granules that `load` brings. */
function granuleMedium(
  sizeBytes: number,
  load: (granule: number, length: number) => Uint8Array,
  writes: Pick<Medium, "write" | "zero" | "flush"> | null,
): Medium {
  const lengthOf = (granule: number) =>
    Math.min(GRANULE_BYTES, sizeBytes - granule * GRANULE_BYTES);
  const cache = new Cache((granule) => load(granule, lengthOf(granule)));
  const refuse = () => {
    throw new Error("an image was written that is not to be changed");
  };
  return {
    sizeBytes,
    readOnly: writes === null,
    read(at, into) {
      for (let done = 0; done < into.length;) {
        const bytes = cache.get(Math.floor((at + done) / GRANULE_BYTES));
        const within = (at + done) % GRANULE_BYTES;
        const part = bytes.subarray(within, within + into.length - done);
        into.set(part, done);
        done += part.length;
      }
    },
    write: writes?.write ?? refuse,
    zero: writes?.zero ?? refuse,
    discard: () => {},
    flush: writes?.flush ?? (() => {}),
  };
}

/** Reads from an image; each granule must be what it was before, or what `expected` says. */
class ImageFile {
  readonly #digests = new Map<number, Uint8Array>();

  constructor(
    readonly drive: DriveSpec,
    readonly file: Deno.FsFile,
    private readonly onFirstRead: OnFirstRead,
    private readonly expected: (at: number) => Uint8Array | null,
  ) {}

  load(granule: number, length: number): Uint8Array {
    const at = granule * GRANULE_BYTES;
    const bytes = this.#read(at, length);
    const digest = sha256(bytes);
    const before = this.#digests.get(granule);
    if (before !== undefined) {
      if (!equal(before, digest)) throw this.#changed(at, "changed while the machine ran");
      return bytes;
    }
    const recorded = this.expected(at);
    if (recorded !== null && !equal(recorded, digest)) {
      throw this.#changed(
        at,
        `is not what was recorded: sha256 is ${hex(digest)}…, the trace has ${hex(recorded)}…`,
      );
    }
    this.#digests.set(granule, digest);
    this.onFirstRead(at, this.drive.embed ? bytes : digest);
    return bytes;
  }

  #changed(at: number, how: string): InputError {
    return new InputError(
      `${nameOf(this.drive)} at offset ${at} ${how}`,
      "put the recorded version back, or record again",
    );
  }

  #read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < length;) {
      const got = this.file.readSync(bytes.subarray(done));
      if (got === null) throw this.#changed(at + done, "has become shorter");
      done += got;
    }
    return bytes;
  }

  write(at: number, bytes: Uint8Array): void {
    this.file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += this.file.writeSync(bytes.subarray(done));
  }

  zero(at: number, sizeBytes: number): void {
    const zeros = new Uint8Array(Math.min(sizeBytes, 1 << 20));
    for (let done = 0; done < sizeBytes; done += zeros.length) {
      this.write(at + done, zeros.subarray(0, sizeBytes - done));
    }
  }
}

class OpenFiles {
  readonly #files: Deno.FsFile[] = [];

  open(d: DriveSpec, write: boolean): Deno.FsFile {
    const file = openFile(d, write);
    this.#files.push(file);
    return file;
  }

  close(): void {
    for (const file of this.#files.splice(0)) file.close();
  }
}

/** The images that a recording works on. */
export class HostImages implements Images {
  readonly #files = new OpenFiles();

  open(d: DriveSpec, onFirstRead: OnFirstRead): Medium {
    const file = this.#files.open(d, d.write);
    const image = new ImageFile(d, file, onFirstRead, () => null);
    return granuleMedium(
      d.sizeBytes,
      (granule, length) => image.load(granule, length),
      d.write
        ? {
          write: (at, bytes) => image.write(at, bytes),
          zero: (at, bytes) => image.zero(at, bytes),
          flush: () => file.syncDataSync(),
        }
        : null,
    );
  }

  close(): void {
    this.#files.close();
  }
}

/** The images as a recording found them: held to its digests, or taken from the trace. */
export class RecordedImages implements Images {
  readonly #files = new OpenFiles();
  readonly #found = new Map<string, Uint8Array>();

  constructor(reader: TraceReader) {
    for (const row of reader.inputs()) {
      if (row.kind === INPUT.medium) this.#found.set(`${row.device} ${row.channel}`, row.data);
    }
  }

  open(d: DriveSpec, onFirstRead: OnFirstRead): Medium {
    const found = (at: number) => this.#found.get(`${d.id} ${at}`) ?? null;
    if (d.embed) {
      const known = new Set<number>();
      return granuleMedium(d.sizeBytes, (granule, length) => {
        const at = granule * GRANULE_BYTES;
        // Beyond the end of a killed recording there is nothing, and nothing to compare.
        const bytes = found(at) ?? new Uint8Array(length);
        if (!known.has(granule)) onFirstRead(at, bytes);
        known.add(granule);
        return bytes;
      }, null);
    }
    const image = new ImageFile(d, this.#files.open(d, false), onFirstRead, found);
    return granuleMedium(d.sizeBytes, (granule, length) => image.load(granule, length), null);
  }

  close(): void {
    this.#files.close();
  }
}
