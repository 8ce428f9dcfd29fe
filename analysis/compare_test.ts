import { strict as assert } from "node:assert";
import { TraceDirectory } from "../core/trace/directory.ts";
import { DirectTrace } from "../core/trace/direct_trace.ts";
import { runCompare } from "./compare.ts";
import type { Comparison, ExitKind, RunFigures } from "./comparison.ts";
import { openEngine } from "./engine.ts";
import { explain } from "./explain.ts";
import { runInspect } from "./inspect.ts";
import { checkTraces } from "./laws.ts";
import { textOutput } from "./output.ts";
import { writeSynthetic } from "./synthetic.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

async function withTraces(
  test: (sifive: string, virtio: string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    for (const serial of ["sifive", "virtio"] as const) {
      const regions = [
        { label: "write-16", bytes: 4096, chunk: 16 },
        { label: "write-4096", bytes: 4096, chunk: 4096 },
      ];
      const machine = { board: "virt", serial, harts: 1 };
      writeSynthetic(`${directory}/${serial}.trace`, { serial, regions }, machine);
    }
    await test(`${directory}/sifive.trace`, `${directory}/virtio.trace`);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("compare: two devices on the same work, in every format", () =>
  withTraces(async (sifive, virtio) => {
    assert.deepEqual(await checkTraces([sifive, virtio], { engine }), []);
    const table = textOutput(80);
    assert.equal(await runCompare({ traces: [sifive, virtio], engine }, table), 0);
    const sentence =
      "virtio-console0 took 8.0 × fewer exits for the same 8 KiB because it passes 16 bytes to 4 KiB " +
      "per QueueNotify write, where uart0 needs a txdata write for every byte.";
    assert.equal(table.text.split("\n\n").at(-1)!.replace(/\s+/g, " ").trim(), sentence);
    assert(table.text.split("\n").every((line) => line.length <= 80), table.text);
    assert.match(table.text, /serial +sifive +virtio/);
    assert.match(table.text, /exits per KiB +1,536 +193 +8\.0 ×/);
    assert.match(table.text, /uart0\.txdata write +8,192 +1,024 +—/);
    assert.match(table.text, /What explains the difference of sifive to virtio, exits per KiB/);
    assert.match(table.text, /uart0\.txdata write +1,024 +32\.1 +992 +74 % +74 %/);
    assert.match(table.text, /virtio-console0 console_write: p99 +— +\d/);
    assert.match(table.text, /kvm-x86 +mmio by user +3\.00 µs +assumed +\[1\]/);
    assert.match(table.text, /\n {2}\[1\] synthetic\n/);
    const inside = textOutput(80);
    const between = { from: "write-4096 begin", to: "write-4096 end", text: "write-4096" };
    await runCompare({ traces: [sifive, virtio], between, engine }, inside);
    assert.match(inside.text, /payload moved +4 KiB +4 KiB\n/);
    assert.doesNotMatch(inside.text, /write-16/);
    const markdown = textOutput();
    await runCompare({ traces: [virtio, sifive], format: "markdown", engine }, markdown);
    assert(markdown.text.includes("| uart0.txdata write | — |  | 8,192 | 1,024 |"), markdown.text);
    assert(markdown.text.endsWith(`**${sentence}**\n`));
    const three = textOutput(80);
    await runCompare({ traces: [sifive, virtio, virtio], engine }, three);
    assert(three.text.startsWith("A = sifive\nB = virtio\nC = virtio#2\n\n"), three.text);
    assert.match(three.text, /A +B +C +A ÷ B +A ÷ C\n/);
    assert(three.text.split("\n").every((line) => line.length <= 80), three.text);
    const json = textOutput();
    await runCompare({ traces: [sifive, virtio, virtio], format: "json", engine }, json);
    const parsed = JSON.parse(json.text);
    assert.deepEqual(parsed.runs.map((run: RunFigures) => run.run), [
      "sifive",
      "virtio",
      "virtio#2",
    ]);
    assert.equal(parsed.sentence, sentence);
  }));

Deno.test("compare: tables that were not recorded and work that is not known are said, not made up", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    const regions = [{ label: "w", bytes: 64, chunk: 16 }];
    writeSynthetic(`${directory}/all.trace`, { serial: "virtio", regions });
    const recording = { version: "0", machine: {}, files: [], batch_rows: 64 };
    const few = new DirectTrace(
      new TraceDirectory(`${directory}/few.trace`, { ...recording, event_tables: ["exit"] }),
      { tables: ["exit"] },
    );
    few.close({ kind: "poweroff", code: 0 });
    const output = textOutput(100);
    const traces = [`${directory}/all.trace`, `${directory}/few.trace`];
    await runCompare({ traces, engine }, output);
    assert.match(output.text, /few was recorded without access, vring, .* mark/);
    assert.match(output.text, /few: its work is not known/);
    assert.match(output.text, /interrupts handled +4 +—/);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("compare: a single trace is refused with a fix, and so is what is none", () =>
  withTraces(async (sifive) => {
    await assert.rejects(
      runCompare({ traces: [sifive] }, textOutput()),
      (error: Error & { fix?: string }) => error.fix === "Name two traces or more.",
    );
    await assert.rejects(runCompare({ traces: ["no/sweep"] }, textOutput()), /does not exist/);
  }));

Deno.test("inspect: says how a trace ended, its machine, tables and bytes per event", () =>
  withTraces(async (sifive) => {
    const output = textOutput(80);
    assert.equal(await runInspect({ trace: sifive }, output), 0);
    assert.match(output.text, /ended +cleanly: poweroff, code 0/);
    assert.match(output.text, /serial +sifive/);
    assert.match(output.text, /exit +[\d,]+ +[\d,]+ +\d/);
    assert.match(output.text, /bytes per event/);
    assert(output.text.split("\n").every((line) => line.length <= 80), output.text);
  }));

const exits = (device: string | null, register: string | null, exits: number): ExitKind => ({
  label: null,
  reason: device === null ? "external_interrupt" : "mmio",
  device,
  register,
  direction: device === null ? null : "write",
  exits,
});

function run(name: string, device: string, register: string, kinds: ExitKind[]): RunFigures {
  return {
    run: name,
    bytes: 1024,
    basis: "devices",
    exits: 0,
    kinds,
    regions: [],
    interrupts: [],
    workNs: 0,
    totalNs: 0,
    icount: null,
    device,
    handover: { register, direction: "write" },
    costs: [],
    latencies: [],
    prices: [],
    requests: 0,
    missing: [],
  };
}

const compared = (...runs: RunFigures[]): Comparison => ({ runs, setup: [] });

Deno.test("explain: where handing over is alike, it names what was spared instead", () => {
  const eager = run("eager", "disk0", "DOORBELL", [
    exits("disk0", "DOORBELL", 10),
    exits(null, null, 100),
    exits("disk0", "ISR", 100),
  ]);
  const lazy = run("lazy", "disk0", "DOORBELL", [
    exits("disk0", "DOORBELL", 10),
    exits(null, null, 5),
  ]);
  assert.equal(
    explain(compared(eager, lazy)),
    "lazy took 14 × fewer exits for the same 1 KiB, mostly because of fewer exits for disk0.ISR write (none against 100 " +
      "per KiB) and external_interrupt (5.00 against 100 per KiB).",
  );
});

Deno.test("explain: what two devices only name differently is no cause", () => {
  const sifive = run("sifive", "uart0", "txdata", [
    exits("uart0", "txdata", 1000),
    exits("uart0", "ip", 130),
    exits("plic", "claim_complete", 160),
  ]);
  const ns16550 = run("16550", "uart0", "THR", [
    exits("uart0", "THR", 1000),
    exits("uart0", "IIR", 80),
    exits("uart0", "LSR", 30),
    exits("plic", "claim_complete", 60),
  ]);
  assert.equal(
    explain(compared(sifive, ns16550)),
    "16550 took 1.1 × fewer exits for the same 1 KiB, mostly because of fewer exits for " +
      "plic.claim_complete write (60.0 against 160 per KiB) and other registers of uart0 (110 " +
      "against 130 per KiB).",
  );
});

Deno.test("explain: equal runs are called equal, unknown work is not made up", () => {
  const one = run("a", "uart0", "THR", [exits("uart0", "THR", 64)]);
  assert.equal(
    explain(compared(one, { ...one, run: "b" })),
    "b and a took the same number of exits for the same 1 KiB: 64.0 per KiB.",
  );
  const unknown = { ...one, bytes: 0, basis: "nothing" };
  assert.equal(
    explain(compared(unknown, { ...unknown, run: "b", kinds: [exits("uart0", "THR", 32)] })),
    "b took 2.0 × fewer exits, mostly because of fewer exits for uart0.THR write (32.0 against 64.0).",
  );
  assert.equal(
    explain(compared({ ...one, kinds: [] }, { ...one, kinds: [] })),
    "None of these runs took an exit.",
  );
  assert.equal(
    explain(compared(one, { ...one, run: "b", kinds: [], missing: ["exit"] })),
    "b was recorded without the table exit: how many exits it took is not known.",
  );
});
