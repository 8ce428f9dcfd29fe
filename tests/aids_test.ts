/**
 * Debugging aids on whole recordings: what is logged is what is recorded, panics and trap loops end a
 * run at one place, names are in the trace, and a replay says the same.
 * @module
 */
import assert from "node:assert/strict";
import { TraceReader } from "../core/trace/reader.ts";
import { EVENT_TABLES, type EventTable } from "../core/trace/schema.ts";
import { EventLog } from "../replay/event_log.ts";
import { readInput } from "../replay/files.ts";
import { LOG_ITEMS } from "../replay/log_items.ts";
import { replay } from "../replay/replay.ts";
import { fileDigests, recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const kernel = (name: string) => readInput(`bundled:${name}`, "kernel").ref;

function logOf(items: readonly EventTable[]) {
  const lines: string[] = [];
  const log = new EventLog(items, (text) => lines.push(...text.trimEnd().split("\n")));
  return { log, lines };
}

/** The kind of event of a line: its third word. */
const kindOf = (line: string) => line.trim().split(/ +/)[2];

for (const serial of ["sifive", "virtio"] as const) {
  for (const harts of [1, 2]) {
    Deno.test(`log: ${serial}, ${harts} harts: a line for each row, no byte of the trace changes, a replay logs the same`, () =>
      withFolder(async (folder) => {
        const spec = serialSpec({ serial, harts, append: "bytes=512 chunk=64" });
        const plain = await recordInto(folder, spec);
        const { log, lines } = logOf(EVENT_TABLES);
        const logged = await recordInto(folder, spec, { log });
        assert.deepEqual(fileDigests(logged.directory), fileDigests(plain.directory));
        const reader = TraceReader.open(logged.directory);
        for (const table of EVENT_TABLES) {
          const seen = lines.filter((line) => kindOf(line) === table).length;
          assert.equal(seen, reader.rowCount(table), table);
        }
        assert.deepEqual(lines.filter((line) => line.includes("?")), []);
        const again = logOf(EVENT_TABLES);
        assert.ok((await replay(logged.directory, { verify: true, log: again.log })).ok);
        assert.deepEqual(again.lines, lines);
      }));
  }
}

Deno.test("log: items choose what is shown, with names of devices, registers and functions", () =>
  withFolder(async (folder) => {
    assert.equal(LOG_ITEMS.get("virtio"), "vring");
    const { log, lines } = logOf([LOG_ITEMS.get("exits")!, LOG_ITEMS.get("irq")!]);
    await recordInto(folder, serialSpec({ append: "bytes=64 chunk=16" }), { log });
    assert.deepEqual([...new Set(lines.map(kindOf))].sort(), ["exit", "irq"]);
    const line = lines.find((l) => l.includes("uart0.txdata"))!;
    assert.match(
      line,
      /^ +\d+ 0 exit +mmio write uart0\.txdata 4 bytes = 0x[\da-f]+ \| STORE_GUEST_PAGE_FAULT user \| S 0x80[\da-f]+ \w+\+0x[\da-f]+$/,
    );
  }));

Deno.test("symbols: an ELF guest's functions are in the trace, and every exit of its kernel has one", () =>
  withFolder(async (folder) => {
    const { directory } = await recordInto(folder, serialSpec({ append: "bytes=64" }));
    const reader = TraceReader.open(directory);
    const symbols = [...reader.rows("symbol")].sort((a, b) => a.address < b.address ? -1 : 1);
    assert.ok(symbols.some((s) => s.name === "tty_write"));
    for (const { pc, cpu_mode } of reader.rows("exit")) {
      if (cpu_mode === 0) continue;
      const found = symbols.findLast((s) => s.address <= pc!);
      assert.ok(found && pc! - found.address < BigInt(found.size), pc!.toString(16));
    }
  }));

/** Ways to give up, and where the run ends. */
const PANICS = {
  linux: { line: /not syncing: no guest to run$/, prints: /\]---\n$/, after: 200_000 },
  spin: { line: /^panic: /, prints: /to run\n$/, after: 5_000_000 },
  sleep: { line: /^panic: /, prints: /to run\n$/, after: 0 },
  poweroff: { line: /^panic: /, prints: /to run\n$/, after: 0 },
} as const;

for (const [how, expected] of Object.entries(PANICS)) {
  Deno.test(`panic: a guest that then ${how}s ends with 3 at one place, its words complete, replayed alike`, () =>
    withFolder(async (folder) => {
      const spec = serialSpec({ kernel: kernel("panic"), append: `how=${how}`, harts: 2 });
      const first = await recordInto(folder, spec);
      const { result, text, directory } = first;
      assert.deepEqual(result.end, { kind: "panic", code: 3 });
      assert.equal(result.exitCode, 3);
      assert.match(text, expected.prints);
      assert.match(result.aftermath!.cause, expected.line);
      assert.ok(result.aftermath!.events.length > 5 && result.aftermath!.events.length <= 20);
      assert.match(result.aftermath!.registers, /^pc is in {2}\w+/m);
      assert.ok(result.icount > expected.after && result.icount < expected.after + 2_000_000);
      const second = await recordInto(folder, spec, { sliceInsns: 70_001 });
      assert.deepEqual(fileDigests(second.directory), fileDigests(directory));
      assert.ok((await replay(directory, { verify: true })).ok);
    }));
}

Deno.test("panic: with nobody looking, the run goes on; what was asked for comes first", () =>
  withFolder(async (folder) => {
    const spec = serialSpec({ kernel: kernel("panic"), append: "how=poweroff" });
    const off = await recordInto(folder, spec, { panic: null });
    assert.equal(off.result.end.kind, "poweroff");
    assert.equal(off.result.aftermath, null);
    const until = await recordInto(folder, spec, { untilOutput: /panic: / });
    assert.deepEqual(until.result.end, { kind: "until-output", code: 0 });
  }));

Deno.test("trap loop: a guest made for M-mode that is started in S-mode is told so, at one place", () =>
  withFolder(async (folder) => {
    const spec = serialSpec({ kernel: kernel("mmode"), append: "" });
    const { result, directory } = await recordInto(folder, spec);
    assert.deepEqual(result.end, { kind: "trap-loop", code: 3 });
    assert.match(result.aftermath!.cause, /hart 0 traps at its own trap vector.*--bios none/);
    const again = await recordInto(folder, spec, { sliceInsns: 333_333 });
    assert.deepEqual(fileDigests(again.directory), fileDigests(directory));
    assert.ok((await replay(directory, { verify: true })).ok);
  }));
