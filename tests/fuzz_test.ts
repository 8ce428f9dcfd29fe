/**
 * The device fuzzer: a bounded run of it, proof that it finds what is wrong, and scripts of qtest commands
 * with inputs that broke well-known implementations. `deno task fuzz --seconds 3600` runs for longer.
 * @module
 */
import assert from "node:assert/strict";
import { device, type DeviceType, u32 } from "../core/mmio/device.ts";
import { Random, seeds } from "../core/mmio/test_random.ts";
import { fuzz, summary } from "./fuzz.ts";
import { noCounts, runScript, scriptOf, shrink } from "./fuzz/case.ts";
import { parseScript, type Script, textOf } from "./fuzz/script.ts";

/** Some ten seconds. */
const CASES = 80;
const SCRIPTS = new URL("./fuzz/scripts/", import.meta.url);

Deno.test("fuzz: a hostile guest on whole boards breaks no law", () => {
  const [seed] = seeds(1);
  const options = { cases: CASES, seed };
  const failures: string[] = [];
  const all = fuzz(options, (text) => failures.push(text));
  console.log(summary(options, all));
  assert.equal(failures.join("\n"), "");
  assert.equal(all.cases, CASES);
});

const DOC = { doc: "Wrong on purpose.", source: "this test", size: 0x1000 };
/** Devices that are wrong in one thing, and what is told of them. */
const PLANTED: Readonly<Record<string, { type: DeviceType; told: RegExp }>> = {
  "a variable beside its state": {
    type: device("planted", { ...DOC, state: { v: u32() } }, (s) => {
      let hidden = 0;
      return {
        regs: [
          { at: 0, name: "A", get: () => hidden, set: (v) => hidden = v },
          { at: 4, name: "B", get: () => s.v, set: (v) => s.v = v },
        ],
      };
    }),
    told: /a restored machine answers something else/,
  },
  "an event that asks for itself at once": {
    type: device("planted", { ...DOC, state: { v: u32() } }, (s, port) => ({
      regs: [{ at: 0, name: "A", get: () => s.v, set: () => port.timer("again", port.now()) }],
      events: { again: () => port.timer("again", port.now()) },
    })),
    told: /pieces of work: no bound/,
  },
  "a read of memory that does not ask first": {
    type: device("planted", { ...DOC, state: { v: u32() } }, (s, port) => ({
      regs: [{ at: 0, name: "A", get: () => s.v, set: (v) => s.v = port.mem.u32(v) }],
    })),
    told: /are not in RAM: check ok\(\)/,
  },
};

function planted(seed: number): Script {
  const rng = new Random(seed);
  const at = 0x0401_0000;
  const lines = Array.from({ length: 200 }, () => {
    const dice = rng.below(4);
    const addr = `0x${(at + 4 * rng.below(2)).toString(16)}`;
    if (dice === 0) return `writel ${addr} 0x${rng.u32().toString(16)}`;
    return dice === 1 ? `readl ${addr}` : dice === 2 ? "restore" : "clock_step 100";
  });
  return parseScript(`# machine --device planted\n${lines.join("\n")}`);
}

for (const [what, { type, told }] of Object.entries(PLANTED)) {
  Deno.test(`fuzz: finds ${what}, and shows it in a few lines`, () => {
    const script = planted(seeds(1)[0]);
    const failure = runScript(script, noCounts(), undefined, [type]);
    assert.match(failure?.message ?? "nothing was found", told);
    const small = shrink(script, failure!, [type]);
    assert.ok(small.ops.length <= 3, textOf(small));
    assert.match(runScript(small, noCounts(), undefined, [type])!.message, told);
  });
}

Deno.test("fuzz: a script that is written down is the same script", () => {
  for (const seed of [1, 2, 3]) {
    const script = scriptOf(seed, null);
    assert.deepEqual(parseScript(textOf(script)), { ...script, ops: script.ops.map(plain) });
    assert.deepEqual(scriptOf(seed, null), script, "one seed, two scripts");
  }
});

/** A narrow write names no more bits than it has. */
function plain(o: Script["ops"][number]): Script["ops"][number] {
  if (o.op === "read") return { ...o, expect: o.expect };
  if (o.op !== "write") return o;
  const lo = o.size < 4 ? o.lo & 2 ** (8 * o.size) - 1 : o.lo;
  return { ...o, lo, hi: o.size === 8 ? o.hi : 0 };
}

Deno.test("fuzz: each command of qtest means what QEMU's does", () => {
  const { ops } = parseScript([
    "outl 0xcf8 0x80000810",
    "outl 0xcfc 0xe0000000",
    "outw 0xcfe 0x1",
    "inb 0x1004",
    "writeq 0x80000000 0xfedcba9876543210 # written",
    "readq 0x80000000 # = 0xfedcba9876543210",
    "memset 0x80000010 0x4 0xaa",
    "write 0x80000020 0x3 0x010203",
    "b64write 0x80000030 0x3 AQID",
    "read 0x80000020 0x3",
    "clock_step",
    "clock_step 20",
    "irq_intercept_in ioapic",
  ].join("\n"));
  const write = (addr: number, size: number, lo: number, hi = 0) => ({
    ...{ op: "write", addr, size, lo, hi },
  });
  const fill = (addr: number, ...bytes: number[]) => ({
    ...{ op: "fill", addr, bytes: Uint8Array.from(bytes) },
  });
  assert.deepEqual(ops, [
    write(0x3000_8010, 4, 0xe000_0000),
    write(0x3000_8012, 2, 1),
    { op: "read", addr: 0x0300_1004, size: 1, expect: undefined },
    write(0x8000_0000, 8, 0x7654_3210, 0xfedc_ba98),
    { op: "read", addr: 0x8000_0000, size: 8, expect: 0xfedc_ba98_7654_3210n },
    fill(0x8000_0010, 0xaa, 0xaa, 0xaa, 0xaa),
    fill(0x8000_0020, 1, 2, 3),
    fill(0x8000_0030, 1, 2, 3),
    { op: "dump", addr: 0x8000_0020, count: 3 },
    { op: "step", ns: 1_000_000 },
    { op: "step", ns: 20 },
  ]);
  assert.throws(() => parseScript("readl 0x0\nwritel 0x10"), /line 2: nothing where a number/);
  assert.throws(() => parseScript("qom-set x"), /line 1: qom-set is no command/);
});

Deno.test("hostile guests: each input of the table in tests/README.md has its test", () => {
  const root = new URL("../", import.meta.url);
  const text = Deno.readTextFileSync(new URL("tests/README.md", root));
  const table = text.split("## Hostile guests")[1].split("\n## ")[0];
  const rows = [...table.matchAll(/\| `([^`]+)`: (.+?) +\|$/gm)];
  assert.equal(rows.length, table.split("\n").filter((l) => l.startsWith("|")).length - 2);
  for (const [, file, words] of rows) {
    const found = Deno.readTextFileSync(new URL(file, root)).includes(words);
    assert.ok(found, `${file} has no "${words}"`);
  }
});

for (const { name } of [...Deno.readDirSync(SCRIPTS)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  Deno.test(`qtest script: ${name.replace(/\.qtest$/, "").replaceAll("_", " ")}`, () => {
    const script = parseScript(Deno.readTextFileSync(new URL(name, SCRIPTS)));
    assert.ok(script.ops.some((o) => o.op === "read" && o.expect !== undefined), "expects nothing");
    const failure = runScript(script, noCounts());
    assert.equal(failure, null, `operation ${failure?.step}: ${failure?.message}`);
  });
}
