/**
 * A recording whose process is killed at a random byte of what it writes: the trace is then a consistent
 * prefix of the whole one, and replays. `KILLS=500 SEED=7 deno test -A tests/kill_test.ts` does more.
 * @module
 */
import assert from "node:assert/strict";
import { TABLE_NAMES, type TableName } from "../core/trace/schema.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { TraceError } from "../core/trace/error.ts";
import { replay } from "../replay/replay.ts";
import { withFolder } from "./with_folder.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 12);
const SEED = Number(Deno.env.get("SEED") ?? 1);
const CHILD = new URL("./kill_child.ts", import.meta.url).pathname;

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
async function child(directory: string, bytes: number, serial: string): Promise<boolean> {
  const run = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CHILD, directory, String(bytes), serial],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (run.signal === "SIGKILL" || run.code === 137) return true;
  assert.equal(run.code, 0, new TextDecoder().decode(run.stderr));
  return false;
}

for (const serial of ["sifive", "virtio"]) {
  Deno.test(`${serial}: killed at ${KILLS} random bytes, a trace is a prefix that replays`, async () => {
    await withFolder(async (folder) => {
      const whole = `${folder}/whole.trace`;
      assert.equal(await child(whole, Number.MAX_SAFE_INTEGER, serial), false);
      const all = rows(whole);
      const size = TABLE_NAMES.reduce((n, t) => n + Deno.statSync(`${whole}/${t}.arrow`).size, 0);
      const next = random(SEED);
      for (let i = 0; i < KILLS; i++) {
        const bytes = Math.floor(next() * size);
        const repeat = `killed after ${bytes} bytes; to repeat: SEED=${SEED} deno test -A ${
          import.meta.url.split("/").slice(-2).join("/")
        }`;
        const cut = `${folder}/cut${i}.trace`;
        assert.equal(await child(cut, bytes, serial), true, repeat);
        await checkPrefix(cut, all, repeat);
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
