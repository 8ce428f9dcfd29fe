import { DirectTrace } from "./direct_trace.ts";
import assert from "node:assert/strict";
import * as arrow from "apache-arrow";
import { contentDigest, traceDigests } from "./digest.ts";
import { TraceDirectory } from "./directory.ts";
import { TraceError } from "./error.ts";
import { MANIFEST, TEMPORARY } from "./manifest.ts";
import { inTemp, Random, RandomMachine, SEED, withSeed, type Written } from "./random_trace.ts";
import { TraceReader } from "./reader.ts";
import { CODES, EVENT_TABLES, TABLE_NAMES, type TableName } from "./schema.ts";
import { concatenate } from "./table_file.ts";
import { type CommitState, type TraceEnd } from "./trace.ts";

/** What happened to the disk, in order. */
type Step =
  | { kind: "append"; table: TableName; bytes: Uint8Array; durable: boolean }
  | { kind: "manifest"; text: string };

/** A trace directory that also keeps a journal of what it does to the disk. */
class JournaledDirectory extends TraceDirectory {
  readonly steps: Step[] = [];
  override write(table: TableName, message: readonly Uint8Array[]) {
    super.write(table, message);
    this.steps.push({ kind: "append", table, bytes: concatenate(...message), durable: false });
  }
  override sync(table: TableName) {
    super.sync(table);
    const last = this.steps.at(-1)!;
    if (last.kind === "append") last.durable = true;
  }
  override commit(state: CommitState) {
    super.commit(state);
    this.#manifest();
  }
  override close(end: TraceEnd | null) {
    super.close(end);
    this.#manifest();
  }
  #manifest() {
    this.steps.push({ kind: "manifest", text: Deno.readTextFileSync(`${this.path}/${MANIFEST}`) });
  }
}

const here = "core/trace/reader_test.ts";
const SHARED_NAMES = Object.values(CODES).flat().length;

interface Recorded {
  path: string;
  steps: Step[];
  written: Written;
}

function record(path: string, steps: number, batchRows = 16): Recorded {
  const recording = {
    version: "0.0.0",
    machine: {},
    files: [],
    batch_rows: batchRows,
    event_tables: EVENT_TABLES,
  };
  const directory = new JournaledDirectory(path, recording);
  const trace = new DirectTrace(directory, { batchRows });
  const machine = new RandomMachine(trace, new Random(SEED));
  for (let i = 0; i < steps; i++) machine.step();
  trace.close({ kind: "poweroff", code: 0 });
  return { path, steps: directory.steps, written: machine.written };
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The directory as it is when the process dies `bytes` bytes into step `count`. */
function diskAt(path: string, steps: Step[], count: number, bytes: number): void {
  Deno.mkdirSync(path);
  const parts = new Map<TableName, Uint8Array[]>(TABLE_NAMES.map((t) => [t, []]));
  for (const [i, step] of steps.slice(0, count + 1).entries()) {
    const cut = i === count ? bytes : Infinity;
    if (step.kind === "append") parts.get(step.table)!.push(step.bytes.subarray(0, cut));
    else if (cut === Infinity) Deno.writeTextFileSync(`${path}/${MANIFEST}`, step.text);
    else {
      Deno.writeTextFileSync(`${path}/${TEMPORARY}`, step.text.slice(0, cut));
      // Whole: the old one has gone already, and the new one has not got its name yet.
      if (cut >= step.text.length) removeIfThere(`${path}/${MANIFEST}`);
    }
  }
  for (const [table, chunks] of parts) {
    const file = Deno.openSync(`${path}/${table}.arrow`, { write: true, create: true });
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at));
    }
    file.close();
  }
}

const eventRows = (reader: TraceReader, table: TableName) =>
  [...reader.rows(table)].slice(table === "name" ? SHARED_NAMES : 0);

/** The trace holds a prefix of what was written, of all tables together, with every link whole. */
function holdsPrefix(reader: TraceReader, { written }: Recorded): void {
  reader.check();
  const { seq } = reader.manifest.commit;
  const exits = new Set([...reader.rows("exit")].map((row) => row.seq));
  for (const table of TABLE_NAMES) {
    const rows = eventRows(reader, table);
    if (reader.rowCount("name") === 0) assert.equal(rows.length, 0);
    assert.deepEqual(rows, written[table].slice(0, rows.length), table);
    const next = written[table][rows.length];
    if (next && "seq" in next) assert.ok(next.seq >= seq, `${table}: row ${next.seq} is missing`);
    for (const row of rows) {
      if ("exit_seq" in row && row.exit_seq !== null) assert.ok(exits.has(row.exit_seq));
    }
  }
}

Deno.test("reader: a process killed at any byte leaves the prefix of its last flush", () =>
  inTemp((folder) =>
    withSeed(here, () => {
      const recorded = record(`${folder}/whole.trace`, 120);
      const { steps } = recorded;
      const random = new Random(SEED);
      const firstManifest = steps.findIndex((s) => s.kind === "manifest");
      for (let n = 0; n < 300; n++) {
        const count = random.below(steps.length);
        const step = steps[count];
        const size = step.kind === "append" ? step.bytes.length : step.text.length;
        // Cuts at the ends and inside the message's prefix are as likely as cuts within its body.
        const bytes =
          [0, size, random.below(12) % (size + 1), random.below(size + 1)][random.below(4)];
        const path = `${folder}/cut${n}.trace`;
        diskAt(path, steps, count, bytes);
        if (count < firstManifest || (count === firstManifest && bytes < size)) {
          assert.throws(() => TraceReader.open(path), TraceError);
        } else {
          const reader = TraceReader.open(path);
          holdsPrefix(reader, recorded);
          const inputs = steps.slice(0, count).filter((s) =>
            s.kind === "append" && s.durable
          ).length;
          const kept = [...reader.inputs()];
          assert.deepEqual(kept, recorded.written.input.slice(0, kept.length));
          if (!reader.manifest.clean_end) {
            const whole = step.kind === "append" && step.durable && bytes === size ? 1 : 0;
            assert.equal(kept.length, inputs + whole, `cut ${bytes} bytes into step ${count}`);
          }
        }
        Deno.removeSync(path, { recursive: true });
      }
    })
  ));

Deno.test("reader: slices are whole streams, whatever their size", () =>
  inTemp((folder) =>
    withSeed(here, () => {
      const { path } = record(`${folder}/a.trace`, 400);
      const reader = TraceReader.open(path);
      const digests = traceDigests(reader);
      for (const sliceBytes of [1, 5000, 1 << 24]) {
        for (const table of TABLE_NAMES) {
          const slices = [...reader.slices(table, sliceBytes)];
          const batches = slices.flatMap((s) => arrow.tableFromIPC(s).batches);
          const filled = batches.filter((b) => b.numRows > 0);
          assert.equal(contentDigest(table, filled), digests[table]);
          if (sliceBytes === 1) assert.equal(slices.length, Math.max(1, filled.length));
          if (sliceBytes === 1 << 24) assert.equal(slices.length, 1);
        }
      }
      assert.deepEqual(reader.names("reason"), CODES.reason.map((c) => c.name));
    })
  ));

Deno.test("reader: a table that the trace is too old to have is empty", () =>
  inTemp((folder) => {
    const { path } = record(`${folder}/a.trace`, 20);
    const manifest = JSON.parse(Deno.readTextFileSync(`${path}/${MANIFEST}`));
    delete manifest.tables.cost;
    Deno.writeTextFileSync(`${path}/${MANIFEST}`, JSON.stringify(manifest));
    Deno.removeSync(`${path}/cost.arrow`);
    const reader = TraceReader.open(path);
    assert.deepEqual([...reader.rows("cost")], []);
    assert.equal([...reader.slices("cost")].length, 1);
  }));

function refuses(path: string, message: RegExp, fix: RegExp): void {
  assert.throws(() => TraceReader.open(path).check(), (error) => {
    assert.ok(error instanceof TraceError, String(error));
    assert.match(error.message, message);
    assert.match(error.fix, fix);
    return true;
  });
}

/** Every way in which a trace can be bad: what is done to it, the error, and the fix it names. */
const BAD: Record<string, [(path: string) => void, RegExp, RegExp]> = {
  "no directory": [(p) => Deno.renameSync(p, `${p}.gone`), /does not exist/, /record/],
  "a file": [
    (p) => {
      Deno.removeSync(p, { recursive: true });
      Deno.writeTextFileSync(p, "");
    },
    /is no trace/,
    /directory/,
  ],
  "no manifest": [(p) => Deno.removeSync(`${p}/${MANIFEST}`), /has no manifest/, /record/],
  "a cut manifest": [(p) => Deno.truncateSync(`${p}/${MANIFEST}`, 200), /damaged/, /again/],
  "an empty manifest": [(p) => Deno.truncateSync(`${p}/${MANIFEST}`, 0), /damaged/, /again/],
  "a foreign manifest": [
    (p) => Deno.writeTextFileSync(`${p}/${MANIFEST}`, `{"name":"a web app"}`),
    /not of an Exitscope trace/,
    /record/,
  ],
  "a newer trace": [
    (p) => edit(p, (m) => m.schema_version = 99),
    /schema version 99 is newer/,
    /0\.0\.0.*or a later one/,
  ],
  "a manifest without tables": [(p) => edit(p, (m) => delete m.tables), /no tables/, /again/],
  "a negative size": [(p) => edit(p, (m) => m.tables.exit.bytes = -1), /table exit/, /again/],
  "a missing table": [(p) => Deno.removeSync(`${p}/vring.arrow`), /vring.* missing/, /whole/],
  "a cut table": [(p) => Deno.truncateSync(`${p}/irq.arrow`, 999), /irq.*cut off: 999/, /whole/],
  "an empty table": [(p) => Deno.truncateSync(`${p}/exit.arrow`, 0), /cut off: 0/, /whole/],
  "a wrong row count": [(p) => edit(p, (m) => m.tables.exit.rows++), /exit holds/, /again/],
  "a commit in mid-message": [
    (p) => edit(p, (m) => m.tables.exit.bytes -= 9),
    /exit.*damaged bytes/,
    /again/,
  ],
};

// deno-lint-ignore no-explicit-any -- a manifest that is about to be wrong has no type.
function edit(path: string, change: (manifest: any) => unknown): void {
  const manifest = JSON.parse(Deno.readTextFileSync(`${path}/${MANIFEST}`));
  change(manifest);
  Deno.writeTextFileSync(`${path}/${MANIFEST}`, JSON.stringify(manifest));
}

for (const [what, [spoil, message, fix]] of Object.entries(BAD)) {
  Deno.test(`reader: ${what} is one clear error`, () =>
    inTemp((folder) => {
      const { path } = record(`${folder}/a.trace`, 50);
      spoil(path);
      refuses(path, message, fix);
    }));
}

Deno.test("reader: any damaged byte of a table is noticed, and only ever as a TraceError", () =>
  inTemp((folder) =>
    withSeed(here, () => {
      const { path } = record(`${folder}/a.trace`, 50);
      const random = new Random(SEED);
      for (let n = 0; n < 150; n++) {
        const file = `${path}/${TABLE_NAMES[random.below(TABLE_NAMES.length)]}.arrow`;
        const good = Deno.readFileSync(file);
        const bad = good.slice();
        const at = random.below(random.below(2) ? good.length : Math.min(300, good.length));
        bad[at] ^= 1 + random.below(255);
        Deno.writeFileSync(file, bad);
        refuses(path, /./, /./);
        Deno.writeFileSync(file, good);
      }
      TraceReader.open(path).check();
    })
  ));
