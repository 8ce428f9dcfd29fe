/**
 * A recording whose process is killed at a random byte of what it writes: the trace is then a consistent
 * prefix of the whole one, and replays, with what it had read of a disk image, too.
 * `KILLS=500 SEED=7 deno test -A tests/kill_test.ts` does more.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { codeOf, TABLE_NAMES, type TableName } from "../core/trace/schema.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { TraceError } from "../core/trace/error.ts";
import { GRANULE_BYTES } from "../core/mmio/medium.ts";
import { noise } from "../core/mmio/noise.ts";
import { replay } from "../replay/replay.ts";
import { RECORDINGS } from "./kill_child.ts";
import { withFolder } from "./with_folder.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 6);
const SEED = Number(Deno.env.get("SEED") ?? 1);
const CHILD = fileURLToPath(new URL("./kill_child.ts", import.meta.url));

/** xorshift32: enough to choose a byte. */
function random(seed: number): () => number {
  let x = seed >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

function rows(directory: string): Record<TableName, string[]> {
  const reader = TraceReader.open(directory);
  reader.check();
  const text = (row: unknown) =>
    JSON.stringify(row, (_k, v) => typeof v === "bigint" ? v.toString() : v);
  return Object.fromEntries(TABLE_NAMES.map((t) => [t, [...reader.rows(t)].map(text)])) as Record<
    TableName,
    string[]
  >;
}

/** Runs the child; true when it was killed. */
async function child(directory: string, bytes: number, recording: string): Promise<boolean> {
  const run = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CHILD, directory, String(bytes), recording],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (run.signal === "SIGKILL" || run.code === 137) return true;
  assert.equal(run.code, 0, new TextDecoder().decode(run.stderr));
  return false;
}

/** Of a whole recording: requests that write, and pieces that were read from the image. */
function usesImage({ request, input }: Record<TableName, string[]>): boolean {
  const kinds = request.map((row) => JSON.parse(row).kind);
  return kinds.includes(codeOf("request_kind", "disk_write")) &&
    kinds.includes(codeOf("request_kind", "disk_read")) &&
    input.some((row) => JSON.parse(row).kind === codeOf("input_kind", "medium"));
}

const IMAGE = new Uint8Array(8 * GRANULE_BYTES);
noise(3, 0, IMAGE);

for (const name of Object.keys(RECORDINGS)) {
  Deno.test(`${name}: killed at ${KILLS} random bytes, a trace is a prefix that replays`, async () => {
    await withFolder(async (folder) => {
      const image = `${folder}/disk.img`;
      const record = async (directory: string, bytes: number) => {
        Deno.writeFileSync(image, IMAGE);
        return await child(directory, bytes, name);
      };
      const whole = `${folder}/whole.trace`;
      assert.equal(await record(whole, Number.MAX_SAFE_INTEGER), false);
      const all = rows(whole);
      const drives = RECORDINGS[name].spec(image).drives ?? [];
      if (drives.length > 0) assert.ok(usesImage(all));
      const size = TABLE_NAMES.reduce((n, t) => n + Deno.statSync(`${whole}/${t}.arrow`).size, 0);
      const next = random(SEED);
      for (let i = 0; i < KILLS; i++) {
        const bytes = Math.floor(next() * size);
        const repeat = `killed after ${bytes} bytes; to repeat: SEED=${SEED} deno test -A ${
          import.meta.url.split("/").slice(-2).join("/")
        }`;
        const cut = `${folder}/cut${i}.trace`;
        assert.equal(await record(cut, bytes), true, repeat);
        if (drives.some((d) => d.write)) Deno.removeSync(image); // Whatever it holds now.
        await checkPrefix(cut, all, repeat);
        if (drives.some((d) => !d.write)) assert.deepEqual(Deno.readFileSync(image), IMAGE, repeat);
      }
    });
  });
}

async function checkPrefix(
  cut: string,
  all: Record<TableName, string[]>,
  repeat: string,
): Promise<void> {
  let kept: Record<TableName, string[]>;
  try {
    kept = rows(cut);
  } catch (e) {
    // Killed before the first commit: there is no trace yet, and the error says so.
    assert.ok(e instanceof TraceError && /manifest\.json/.test(e.message), `${e} ${repeat}`);
    return;
  }
  let seq = 0;
  for (const table of TABLE_NAMES) {
    assert.deepEqual(kept[table], all[table].slice(0, kept[table].length), `${table}: ${repeat}`);
    seq += kept[table].length;
  }
  const result = await replay(cut, { verify: true });
  assert.equal(result.ok, true, `${JSON.stringify(result.firstDifference)} ${repeat}`);
  assert.equal(result.cleanEnd, false, repeat);
  assert.ok(seq > 0, repeat);
}
