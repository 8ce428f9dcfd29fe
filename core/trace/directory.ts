/**
 * A trace on disk: the directory `NAME.trace/` with `manifest.json` and an Arrow stream per table.
 *
 * A kill of the process at any byte leaves the prefix that the last manifest describes: tables only
 * grow, and the manifest is replaced after them, by a whole new one under another name. `input` alone is also valid beyond it, up
 * to its last whole record batch, since its rows are synced one by one before they take effect. The
 * other tables are left to the operating system: a loss of power may cost what it had not written yet,
 * which the reader then says, and which a replay of the inputs brings back.
 * @module
 */
import { createHash } from "node:crypto";
import { checksum } from "./checksum.ts";
import { createTrace, explain } from "./create_trace.ts";
import { MANIFEST, type Manifest, type Recording, tableFile, TEMPORARY, TOOL } from "./manifest.ts";
import { SCHEMA_VERSION, TABLE_NAMES, type TableName } from "./schema.ts";
import type { CommitState, TraceEnd, TraceSink } from "./trace.ts";

interface TableWriter {
  path: string;
  file: Deno.FsFile;
  bytes: number;
  crc32: number;
}

/**
 * A write ends at a multiple of this in its file. Linux holds what comes in one write in pieces of memory
 * as large; those beyond this size are seldom ones that were in use before, and in a virtual machine fresh
 * memory costs several times the copy into it.
 */
const WRITE_BYTES = 64 * 1024;

export class TraceDirectory implements TraceSink {
  readonly #tables = new Map<TableName, TableWriter>();
  readonly #fixed: { schema_version: number; tool: string } & Recording;
  /** What is too small for a write of its own. It stays in a cache on its way to the system. */
  readonly #gathered = new Uint8Array(WRITE_BYTES);
  #flushes = 0;
  #digest = "";
  #last: CommitState | null = null;
  /** The first error. What follows it would stand in the wrong place of a file, and is refused. */
  #failure: Error | null = null;

  /**
   * Creates the directory and its files. Throws TraceError when something is there already: `force`
   * replaces a trace, and nothing but a trace.
   */
  constructor(
    readonly path: string,
    recording: Recording,
    o: { force?: boolean; /** `createTrace` was called. */ created?: boolean } = {},
  ) {
    this.#fixed = { schema_version: SCHEMA_VERSION, tool: TOOL, ...recording };
    if (!o.created) createTrace(path, o);
    for (const table of TABLE_NAMES) {
      const file = `${path}/${tableFile(table)}`;
      const handle = this.#guard(file, () => Deno.openSync(file, { write: true }));
      this.#tables.set(table, { path: file, file: handle, bytes: 0, crc32: 0 });
    }
  }

  write(table: TableName, message: readonly Uint8Array[]): void {
    const t = this.#tables.get(table)!;
    this.#guard(t.path, () => {
      const held = message.reduce((held, part) => this.#gather(t, part, held), 0);
      append(t, this.#gathered.subarray(0, held));
    });
  }

  /** Writes `part` as far as it fills up writes; returns what `#gathered` holds then, before `held`. */
  #gather(t: TableWriter, part: Uint8Array, held: number): number {
    for (let done = 0; done < part.length;) {
      const room = WRITE_BYTES - (t.bytes + held) % WRITE_BYTES;
      const piece = part.subarray(done, done + room);
      done += piece.length;
      if (piece.length === WRITE_BYTES) {
        append(t, piece);
        continue;
      }
      this.#gathered.set(piece, held);
      held += piece.length;
      if (piece.length < room) continue;
      append(t, this.#gathered.subarray(0, held));
      held = 0;
    }
    return held;
  }

  sync(table: TableName): void {
    const t = this.#tables.get(table)!;
    this.#guard(t.path, () => t.file.syncDataSync());
  }

  commit(state: CommitState): void {
    this.#last = state;
    this.#flushes++;
    const figures = [...this.#tables].map((
      [name, t],
    ) => [name, state.rows[name], t.bytes, t.crc32]);
    this.#digest = createHash("sha256").update(this.#digest + JSON.stringify(figures)).digest(
      "hex",
    );
    this.#writeManifest(state, false, null);
  }

  close(end: TraceEnd | null): void {
    this.#writeManifest(this.#last!, true, end);
    this.abandon();
  }

  /** Lets go of the files without ending the trace: what is committed stays readable. */
  abandon(): void {
    for (const t of this.#tables.values()) t.file.close();
    this.#tables.clear();
  }

  #writeManifest(state: CommitState, cleanEnd: boolean, end: TraceEnd | null): void {
    const { rows, ...position } = state;
    const manifest: Manifest = {
      ...this.#fixed,
      clean_end: cleanEnd,
      end,
      commit: { flushes: this.#flushes, ...position },
      digest: this.#digest,
      tables: Object.fromEntries(
        [...this.#tables].map(([name, t]) => [
          name,
          { rows: rows[name], bytes: t.bytes, crc32: t.crc32 },
        ]),
      ),
    };
    const temporary = `${this.path}/${TEMPORARY}`;
    this.#guard(temporary, () => {
      const file = Deno.openSync(temporary, { write: true, create: true, truncate: true });
      try {
        writeAll(file, new TextEncoder().encode(JSON.stringify(manifest, null, 2) + "\n"));
      } finally {
        file.close();
      }
      // A rename onto an existing file makes ext4 write the data out first, which takes milliseconds:
      // so the old one goes before. A kill in between leaves the whole new one, which readers take.
      if (this.#flushes > 1 || cleanEnd) Deno.removeSync(`${this.path}/${MANIFEST}`);
      Deno.renameSync(temporary, `${this.path}/${MANIFEST}`);
    });
  }

  #guard<T>(path: string, action: () => T): T {
    if (this.#failure !== null) throw this.#failure;
    try {
      return action();
    } catch (error) {
      throw this.#failure = explain(error as Error, path);
    }
  }
}

function append(t: TableWriter, bytes: Uint8Array): void {
  writeAll(t.file, bytes);
  t.bytes += bytes.length;
  t.crc32 = checksum(bytes, t.crc32);
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}
