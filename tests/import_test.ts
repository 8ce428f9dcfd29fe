/**
 * Traces of hosts: what the samples of fixtures/host_traces/ become, figure by figure; that every line is
 * counted, however it is broken; that imported and recorded traces go together.
 * @module
 */
import assert from "node:assert/strict";
import { runImport } from "../analysis/import/import.ts";
import { openTraces } from "../analysis/open.ts";
import { runCompare } from "../analysis/compare.ts";
import { textOutput } from "../analysis/output.ts";
import { writeSynthetic } from "../analysis/synthetic.ts";
import { TraceReader } from "../core/trace/reader.ts";
import type { Imported } from "../analysis/import/import.ts";
import { Random, SEED, withSeed } from "../core/trace/random_trace.ts";
import { simpletraceSample } from "./import/simpletrace_file.ts";
import { engine, withFolder } from "./with_folder.ts";

const SAMPLES = new URL("../fixtures/host_traces/", import.meta.url);
const TEXTS = [
  "ftrace_arm64.txt",
  "perf_riscv.txt",
  "perf_vmx.txt",
  "qemu_log.txt",
  "qemu_log_timeless.txt",
  "trace_cmd_svm_old.txt",
];

const sample = (name: string): Uint8Array => Deno.readFileSync(new URL(name, SAMPLES));

interface Result {
  readonly code: number;
  readonly text: string;
  readonly imported: Imported["imported"];
}

/** Imports `bytes` as `folder/name.trace`. */
function importBytes(folder: string, name: string, bytes: Uint8Array): Result {
  const file = `${folder}/${name}.input`;
  Deno.writeFileSync(file, bytes);
  const trace = `${folder}/${name}.trace`;
  const output = textOutput();
  const code = runImport({ files: [file], output: trace, version: "test" }, output);
  const { machine } = TraceReader.open(trace).manifest;
  return { code, text: output.text, imported: (machine as Imported).imported };
}

/** Rows of a query on imported samples, as text. */
async function ask(folder: string, names: readonly string[], sql: string): Promise<string[]> {
  const paths = names.map((name) => `${folder}/${name}.trace`);
  const session = await openTraces(paths, textOutput(), { engine });
  try {
    const { rows } = await session.engine.query(sql);
    return rows.map((row) => row.map((value) => value === null ? "-" : String(value)).join(" "));
  } finally {
    session.close();
  }
}

const EXITS = `SELECT time_ns, vcpu, reason, hw_reason, handler, to_hex(gpa), size, write,
  to_hex(value), device, register, duration_ns, to_hex(pc) FROM exit ORDER BY seq`;

Deno.test("import: perf script of an x86 host, every exit worked out by hand", () =>
  withFolder(async (folder) => {
    const { imported, text, code } = importBytes(folder, "vmx", sample("perf_vmx.txt"));
    assert.equal(code, 0);
    assert.deepEqual(
      [imported.lines, imported.understood, imported.not_understood, imported.arch],
      [32, 31, 1, "x86 (VMX)"],
    );
    assert.equal(imported.first_event, "8123.100000000");
    assert.deepEqual(imported.vcpus, [{ vcpu: 0, tid: 12345 }, { vcpu: 1, tid: 12346 }]);
    assert.match(text, /1 × event sched_switch.*\n.*line 32: swapper/);
    assert.deepEqual(await ask(folder, ["vmx"], EXITS), [
      "5000 0 mmio EPT_MISCONFIG kernel FEBF3004 - true - mmio@0xfebf3000 0x004 2000 FFFFFFFF816F2B0A",
      "12000 0 mmio EPT_MISCONFIG user FEBF1013 1 false 1 mmio@0xfebf1000 0x013 20000 FFFFFFFF816F2B30",
      "33000 1 wfi HLT kernel - - - - - - - FFFFFFFF81A0FA1B",
      "40000 0 mmio EPT_MISCONFIG user FEBF1020 4 true DEADBEEF mmio@0xfebf1000 0x020 15000 " +
      "FFFFFFFF816F2B40",
      "60000 0 pio IO_INSTRUCTION user - 1 true 48 pio 0x3f8 10000 FFFFFFFF81452F10",
      "80000 0 system_register MSR_WRITE kernel - - - - - - 2000 FFFFFFFF8106B6C4",
      "83000 0 stage2_fault EPT_VIOLATION kernel 12345678 - - - - - 5000 FFFFFFFF81123456",
      "96000 1 external_interrupt EXTERNAL_INTERRUPT kernel - - - - - - 2500 FFFFFFFF81A0FB00",
    ]);
    assert.deepEqual(
      await ask(
        folder,
        ["vmx"],
        "SELECT time_ns, vcpu, event, line, path, exit_seq FROM irq ORDER BY seq",
      ),
      ["90000 255 raise 24 gsi -", "92000 1 inject 37 apic 3", "96500 1 complete 37 apic 13"],
    );
  }));

Deno.test("import: kvm_stat_report is what perf kvm stat would say of the sample", () =>
  withFolder(async (folder) => {
    importBytes(folder, "vmx", sample("perf_vmx.txt"));
    const sql = `SELECT event, event_name, samples, samples_percent, time_ns, time_percent,
      max_time_ns, min_time_ns, mean_time_ns FROM kvm_stat_report`;
    // vCPU 1's HLT comes before the thread's first entry, so perf does not know of it.
    assert.deepEqual(await ask(folder, ["vmx"], sql), [
      "vmexit EPT_MISCONFIG 3 42.86 37000 65.49 20000 2000 12333.333333333334",
      "vmexit IO_INSTRUCTION 1 14.29 10000 17.7 10000 10000 10000",
      "vmexit EPT_VIOLATION 1 14.29 5000 8.85 5000 5000 5000",
      "vmexit EXTERNAL_INTERRUPT 1 14.29 2500 4.42 2500 2500 2500",
      "vmexit MSR_WRITE 1 14.29 2000 3.54 2000 2000 2000",
      "ioport 0x3f8:POUT 1 100 9000 100 9000 9000 9000",
      "mmio 0xfebf1013:R 1 50 18000 56.25 18000 18000 18000",
      "mmio 0xfebf1020:W 1 50 14000 43.75 14000 14000 14000",
      "msr 0x6e0:W 1 100 1500 100 1500 1500 1500",
    ]);
  }));

Deno.test("import: old forms, SVM, arm64 and riscv64", () =>
  withFolder(async (folder) => {
    const sql = `SELECT time_ns, vcpu, reason, hw_reason, handler, to_hex(gpa), device, register,
      duration_ns FROM exit ORDER BY seq`;
    const old = importBytes(folder, "old", sample("trace_cmd_svm_old.txt"));
    assert.deepEqual([old.imported.understood, old.imported.arch], [20, "x86 (SVM)"]);
    assert.match(old.text, /events that the tracer lost/);
    assert.deepEqual(await ask(folder, ["old"], sql), [
      "0 2 system_register msr kernel - - - -",
      "9000 2 pio io user - pio 0x70 15000",
      "29000 2 mmio npf kernel FEE000B0 mmio@0xfee00000 0x0b0 6000",
      "39000 2 exception UD excp kernel - - - 3000",
      "59000 2 wfi hlt kernel - - - -",
    ]);
    const arm = importBytes(folder, "arm", sample("ftrace_arm64.txt"));
    assert.deepEqual([arm.imported.not_understood, arm.imported.arch], [0, "arm64"]);
    assert.deepEqual(await ask(folder, ["arm"], sql), [
      "10000 0 mmio DABT_LOW user 9000000 mmio@0x9000000 0x000 20000",
      "40000 0 external_interrupt IRQ kernel - - - 5000",
      "50000 0 wfi WFx kernel - - - 40000",
      "95000 0 stage2_fault IABT_LOW kernel 45600000 - - 4000",
    ]);
    const riscv = importBytes(folder, "riscv", sample("perf_riscv.txt"));
    assert.deepEqual([riscv.imported.not_understood, riscv.imported.arch], [0, "riscv64"]);
    assert.deepEqual(await ask(folder, ["riscv"], sql), [
      "5000 0 mmio STORE_GUEST_PAGE_FAULT user 10001003 mmio@0x10001000 0x003 15000",
      "30000 0 hypercall EXC_SUPERVISOR_SYSCALL kernel - - - 2000",
      "40000 0 external_interrupt S_TIMER kernel - - - 2000",
      "50000 0 stage2_fault LOAD_GUEST_PAGE_FAULT kernel 80200000 - - 5000",
    ]);
  }));

const QEMU = "SELECT time_ns, vcpu, space, device, register, size, write FROM access ORDER BY seq";
const VRING = "SELECT time_ns, event, device, queue, length, request FROM vring ORDER BY seq";

Deno.test("import: QEMU's log of all three generations", () =>
  withFolder(async (folder) => {
    const { imported } = importBytes(folder, "log", sample("qemu_log.txt"));
    assert.deepEqual([imported.lines, imported.not_understood], [18, 2]);
    assert.deepEqual(await ask(folder, ["log"], QEMU), [
      "0 0 unknown region@0x55f2a3b4c5d0 0x3cc 1 false",
      "13000 0 mmio virtio-pci-notify-virtio-blk 0xfebf3000 2 true",
      "215000 0 pio serial 0x3f8 1 true",
      "242000 255 unknown vga 0x3cc 1 false",
    ]);
    assert.deepEqual(await ask(folder, ["log"], VRING), [
      "15000 kick virtio@0x55f2a4c0de10 0 - -",
      "20000 pop virtio@0x55f2a4c0de10 0 - 1",
      "165000 push virtio@0x55f2a4c0de10 0 1 1",
      "168000 interrupt virtio@0x55f2a4c0de10 0 - -",
    ]);
    const requests = "SELECT id, kind, bytes, submit_ns, complete_ns, status FROM request";
    assert.deepEqual(await ask(folder, ["log"], requests), ["1 disk_write 4096 22000 164000 ok"]);
    const timeless = importBytes(folder, "timeless", sample("qemu_log_timeless.txt"));
    assert.deepEqual([timeless.imported.lines, timeless.imported.first_event], [4, null]);
    assert.deepEqual(await ask(folder, ["timeless"], QEMU), [
      "0 0 unknown vga 0x3cc 1 false",
      "0 1 unknown serial 0x3f8 1 true",
    ]);
  }));

for (const little of [true, false]) {
  const order = little ? "little" : "big";
  Deno.test(`import: simpletrace of a ${order}-endian host`, () =>
    withFolder(async (folder) => {
      const { imported, text } = importBytes(folder, "simple", simpletraceSample(little));
      assert.deepEqual(
        [imported.format, imported.lines, imported.understood, imported.not_understood],
        ["simpletrace", 16, 15, 1],
      );
      assert.match(text, /object_dynamic_cast_assert, an event that is not known/);
      assert.match(text, /events that QEMU dropped/);
      assert.deepEqual(await ask(folder, ["simple"], QEMU), [
        "0 0 unknown vga 0x3cc 1 false",
        "500 1 unknown notify 0xfebf3000 2 true",
        "3000 255 unknown vga 0x3cc 1 false",
      ]);
      assert.deepEqual(await ask(folder, ["simple"], VRING), [
        "1000 kick virtio@0x55f2a4c0de10 0 - -",
        "1500 pop virtio@0x55f2a4c0de10 0 - 1",
        "2000 push virtio@0x55f2a4c0de10 0 513 1",
        "2500 interrupt virtio@0x55f2a4c0de10 0 - -",
      ]);
    }));
}

Deno.test("import: a host's trace and a recorded one are compared and queried together", () =>
  withFolder(async (folder) => {
    importBytes(folder, "host", sample("perf_riscv.txt"));
    writeSynthetic(`${folder}/ours.trace`, {
      serial: "virtio",
      regions: [{ label: "echo", bytes: 256, chunk: 64 }],
    });
    const output = textOutput(120);
    const traces = [`${folder}/host.trace`, `${folder}/ours.trace`];
    assert.equal(await runCompare({ traces }, output), 0);
    assert.match(output.text, /imported\.arch +riscv64/);
    assert.match(output.text, /mmio@0x10001000\.0x003 write/);
    const shared = await ask(
      folder,
      ["host", "ours"],
      `SELECT hw_reason, count(DISTINCT run) FROM exit_rates
       WHERE reason = 'mmio' OR hw_reason = 'STORE_GUEST_PAGE_FAULT' GROUP BY 1 ORDER BY 1`,
    );
    assert.deepEqual(shared, ["LOAD_GUEST_PAGE_FAULT 1", "STORE_GUEST_PAGE_FAULT 2"]);
  }));

/** Bytes with a few of them changed, cut out, doubled or cut off. */
function broken(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = [...bytes];
  for (let n = 1 + random.below(12); n > 0 && copy.length > 1; n--) {
    const at = random.below(copy.length);
    const length = 1 + random.below(40);
    switch (random.below(5)) {
      case 0:
        copy[at] = random.below(256);
        break;
      case 1:
        copy.splice(at, length);
        break;
      case 2:
        copy.splice(at, 0, ...copy.slice(at, at + length));
        break;
      case 3:
        copy.splice(at, 0, ...random.bytes(40));
        break;
      default:
        if (random.below(4) === 0) copy.length = at + 1;
    }
  }
  return Uint8Array.from(copy);
}

const ROUNDS = 12;
/** Rounds whose traces are left for the laws, which take their time. */
const JUDGED = 2;

Deno.test("import: however a file is broken, every line is counted, and the laws hold", () =>
  withFolder((folder) => {
    withSeed("tests/import_test.ts", () => {
      const random = new Random(SEED);
      const whole = [...TEXTS.map(sample), simpletraceSample(), simpletraceSample(false)];
      for (const [i, bytes] of whole.entries()) {
        for (let round = 0; round < ROUNDS; round++) {
          const name = `broken-${i}-${round}`;
          const file = `${folder}/${name}`;
          const mangled = broken(random, bytes);
          Deno.writeFileSync(file, mangled);
          const tally = importBroken(file, `${file}.trace`);
          if (tally === null) continue;
          if (round >= JUDGED) Deno.removeSync(`${file}.trace`, { recursive: true });
          assert.equal(tally.understood + tally.not_understood, tally.lines, name);
          if (tally.format !== "simpletrace") {
            const lines = mangled.filter((b) => b === 0x0a).length;
            assert.equal(tally.lines, lines + (mangled.at(-1) === 0x0a ? 0 : 1), name);
          }
        }
      }
    });
    return Promise.resolve();
  }));

/** Null when the file is refused as a whole, which is an answer too. */
function importBroken(file: string, output: string): Imported["imported"] | null {
  try {
    runImport({ files: [file], output, version: "test" }, textOutput());
  } catch (error) {
    assert.equal((error as Error).name, "AnalysisError", String((error as Error).stack));
    return null;
  }
  return (TraceReader.open(output).manifest.machine as Imported).imported;
}
