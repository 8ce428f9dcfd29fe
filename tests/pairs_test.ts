/**
 * The pairs end to end: the command records and compares each, the data arrive, and what each operation
 * took is exactly what is written down here.
 * @module
 */
import assert from "node:assert/strict";
import { type OperationFigures, readPair } from "../analysis/pairs.ts";
import { textOutput } from "../analysis/output.ts";
import { TraceReader } from "../core/trace/reader.ts";
import type { PairName } from "../replay/cli/pair_names.ts";
import { LINUX_PAIRS, onLinux, type Pair, PAIRS } from "../replay/cli/pairs.ts";
import { assertOneError, cliTest, run } from "./cli.ts";
import { linux } from "./linux/guest.ts";
import { engine, withFolder } from "./with_folder.ts";

/**
 * What an operation took: how often it was done, then in all, not on the average: exits for the device's own
 * registers, for others, without access; instructions, operands, descriptors and DMA of the device.
 */
type Totals = readonly [
  times: number,
  own: number,
  others: number,
  plain: number,
  insns: number,
  fetches: number,
  descriptors: number,
  dma: number,
];

function totals(f: OperationFigures): Totals {
  const all = (each: number) => Math.round(each * f.operations);
  return [
    f.operations,
    ...[f.device, f.others, f.plain].map(all),
    ...[f.instructions, f.fetches, f.descriptors, f.dma].map(all),
  ] as unknown as Totals;
}

type Golden = Readonly<Record<string, readonly Totals[]>>;

/** A kick, an interrupt at the PLIC (two claims, one completion), a wait: of `n` requests over virtio. */
const virtio = (
  n: number,
  own: number,
  descriptors = 4 * n,
  dma = 3 * n,
): Totals => [n, own * n, 3 * n, n, 0, 0, descriptors, dma];
/** The same over the LSI 53C895A: SIGP, ISTAT, INTF, ISTAT. */
const lsi = (
  n: number,
  insns: number,
  fetches: number,
): Totals => [n, 4 * n, 3 * n, n, insns, fetches, 0, fetches];
/** Writes end with a flush: a request without data, which has a descriptor and an access less. */
const DISK = (own: number): readonly Totals[] => [
  virtio(129, own, 4 * 129 - 1, 3 * 129 - 1),
  virtio(128, own),
  virtio(9, own, 4 * 9 - 1, 3 * 9 - 1),
  virtio(8, own),
];
/** Our SCRIPTS: 30 instructions for a write, 51 for a read, whose target disconnects, 41 for a flush. */
const LSI: readonly Totals[] = [
  lsi(129, 30 * 128 + 41, 6 * 128 + 7),
  lsi(128, 51 * 128, 9 * 128),
  lsi(9, 30 * 8 + 41, 6 * 8 + 7),
  lsi(8, 51 * 8, 9 * 8),
];
/** Of `n` jobs of edu: accesses for each, whether the PLIC has a part in it, and DMA. */
const edu = (
  n: number,
  own: number,
  plic: boolean,
  dma: number,
): Totals => [n, own * n, plic ? 3 * n : 0, plic ? n : 0, 0, 0, 0, dma * n];

const GOLDEN: Readonly<Record<PairName, Golden>> = {
  serial: {
    // A byte is an exit, and eight of them an interrupt.
    "serial-sifive": [[2048, 40961, 10240, 0, 0, 0, 0, 0], [8, 36881, 8200, 0, 0, 0, 0, 0]],
    // A table and its four pieces of 1 KiB.
    "serial-virtio": [virtio(2048, 3, 2048, 2048), virtio(8, 3, 5 * 8, 4 * 8)],
  },
  block: {
    "block-lsi": LSI,
    "block-virtio": DISK(3),
    "block-virtio-pci": DISK(2),
  },
  scsi: { "scsi-lsi": LSI, "scsi-virtio": DISK(2) },
  edu: {
    // 20 µs of work are five reads of a register at kvm-riscv's price of an exit.
    "edu-poll": [edu(256, 6, false, 0), edu(128, 9, false, 1)],
    "edu-irq": [edu(256, 3, true, 0), edu(128, 6, true, 1)],
    // The message is a DMA of its own.
    "edu-message": [edu(256, 3, false, 1), edu(128, 6, false, 2)],
  },
};

/** Runs the command, which checks the data, and hands over the figures of what it recorded. */
async function compared(folder: string, pair: Pair, args: readonly string[] = []) {
  const outcome = await run(folder, ["record", "--compare", pair.name, ...args]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const sides = pair.sides.map((s) => ({
    trace: `${folder}/traces/${s.name}.trace`,
    title: s.title,
  }));
  const figures = await readPair(sides, engine, textOutput());
  return { ...outcome, sides, figures };
}

/** Laws of every pair, whatever is counted. */
function assertEqualWork(sides: readonly { trace: string }[]): void {
  const work = sides.map(({ trace }) => {
    const reader = TraceReader.open(trace);
    const statuses = reader.names("request_status");
    const marks = [...reader.rows("mark")].map((m) => `${m.label} ${m.number}`);
    const inside = [...reader.rows("mark")][0].seq;
    const requests = [...reader.rows("request")].filter((r) => r.seq > inside);
    assert.ok(requests.every((r) => statuses[r.status] === "ok"), trace);
    return { marks, bytes: requests.reduce((sum, r) => sum + r.bytes, 0) };
  });
  for (const other of work) assert.deepEqual(other.marks, work[0].marks);
  const moved = work.map((w) => w.bytes).filter((bytes) => bytes > 0);
  assert.deepEqual(moved, moved.map(() => moved[0]));
}

for (const pair of PAIRS) {
  Deno.test(`pairs: ${pair.name}: equal work, its data arrive, and exits are these`, () =>
    withFolder(async (folder) => {
      const { stdout, figures, sides } = await compared(folder, pair);
      assertEqualWork(sides);
      const found = Object.fromEntries(
        pair.sides.map((s, i) => [s.name, figures.operations.map((o) => totals(o.sides[i]))]),
      );
      assert.deepEqual(found, GOLDEN[pair.name]);
      for (const f of figures.operations.flatMap((o) => o.sides)) {
        assert.ok(Math.abs(f.exits - f.device - f.others - f.plain) < 1e-9);
      }
      for (const { title } of pair.sides) assert.ok(stdout.includes(title), title);
      assert.match(stdout, /unchanged|disks hold it|got back what they copied/);
      assert.ok(stdout.split("\n").every((l) => l.length <= 100 || /deno task/.test(l)), stdout);
      // What lies in the folder itself is held to the laws.
      for (const { name } of pair.sides) {
        Deno.renameSync(`${folder}/traces/${name}.trace`, `${folder}/${name}.trace`);
      }
    }));
}

/** Stock drivers, counted under QEMU: register accesses of a request, by side; at the PLIC it is 4. */
const OWN: Readonly<Record<string, number>> = {
  "LSI 53C895A": 4,
  "virtio-blk (MMIO)": 3,
  "virtio-blk (PCI)": 2,
  "virtio-scsi (PCI)": 2,
};
/** SCRIPTS instructions of sym53c8xx for a request of 4 KiB. */
const SCRIPTS: Readonly<Record<string, number>> = { "write-4096": 67, "read-4096": 129 };

for (const pair of PAIRS.filter(({ name }) => LINUX_PAIRS.includes(name)).map(onLinux)) {
  linux().test(
    `pairs: ${pair.name} on stock Linux: QEMU's register accesses, at two sizes`,
    () =>
      withFolder(async (folder) => {
        const { figures, sides } = await compared(folder, pair, ["--guest", "linux"]);
        assertEqualWork(sides);
        const labels = ["write-4096", "read-4096", "write-65536", "read-65536"];
        assert.deepEqual(figures.operations.map((o) => o.label), labels);
        for (const { label, sides } of figures.operations) {
          for (const [i, f] of sides.entries()) {
            const title = figures.titles[i];
            assert.equal(f.operations, label.endsWith("-4096") ? 256 : 16, `${title}, ${label}`);
            assert.equal(f.device, OWN[title], `${title}, ${label}`);
            assert.equal(f.others, 4, `${title}, ${label}`);
            if (label in SCRIPTS && title.startsWith("LSI")) {
              assert.equal(f.instructions, SCRIPTS[label], label);
            }
          }
        }
      }),
  );
}

const REFUSED: readonly [string, readonly string[], RegExp][] = [
  ["its own kernel", ["block", "--kernel", "bundled:serial"], /chooses --kernel itself/],
  ["a disk", ["block", "--drive", "size=1M"], /chooses --drive itself/],
  ["a name", ["edu", "-o", "a.trace"], /chooses --output itself.*use compare/],
  ["a console of the pair", ["serial", "--serial", "virtio"], /chooses --serial itself/],
  ["Linux on what it has no part in", ["edu", "--guest", "linux"], /Use --compare block or scsi/],
  ["an unknown pair", ["disks"], /disks/],
];
for (const [name, args, says] of REFUSED) {
  cliTest(`a pair refuses ${name}`, async (folder) => {
    assertOneError(await run(folder, ["record", "--compare", ...args]), says);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  });
}

cliTest("a pair's guest that is given other work says what fails", async (folder) => {
  const args = ["record", "--compare", "edu", "--append", "bytes=9999"];
  const { code, stderr } = await run(folder, args);
  assert.notEqual(code, 0);
  assert.match(stderr, /the guest panicked|failed/);
});
