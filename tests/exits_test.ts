/**
 * What is an exit under which hypervisor, seen in recordings of the bundled guests: the table of the
 * design, row by row.
 * @module
 */
import assert from "node:assert/strict";
import { buildBoard } from "../core/board/build.ts";
import type { MachineSpec } from "../core/board/spec.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { codeOf } from "../core/trace/schema.ts";
import { Trace } from "../core/trace/trace.ts";
import { readInput } from "../replay/files.ts";
import { filesOf, recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

interface Exit {
  readonly reason: string;
  readonly hw: string | null;
  readonly handler: string;
  readonly transitions: number;
  readonly mode: string;
  readonly gpa: number | null;
  readonly write: boolean | null;
  readonly value: bigint | null;
  readonly device: string | null;
  readonly vcpu: number;
}

function exits(directory: string): Exit[] {
  const reader = TraceReader.open(directory);
  const names = (kind: "reason" | "hw_reason" | "handler" | "cpu_mode" | "device") =>
    reader.names(kind);
  const [reason, hw, handler, mode, device] = [
    names("reason"),
    names("hw_reason"),
    names("handler"),
    names("cpu_mode"),
    names("device"),
  ];
  return [...reader.rows("exit")].map((e) => ({
    reason: reason[e.reason],
    hw: e.hw_reason === null ? null : hw[e.hw_reason],
    handler: handler[e.handler],
    transitions: e.transitions,
    mode: mode[e.cpu_mode],
    gpa: e.gpa,
    write: e.write,
    value: e.value,
    device: e.device === null ? null : device[e.device],
    vcpu: e.vcpu,
  }));
}

const bundled = (name: string) => readInput(`bundled:${name}`, "kernel").ref;

/** Records `change` of the serial guest's machine and hands its exits to `check`. */
function exitsOf(
  name: string,
  change: Partial<MachineSpec>,
  check: (all: Exit[], text: string) => void,
): void {
  Deno.test(name, async () => {
    await withFolder(async (folder) => {
      const { directory, text } = await recordInto(folder, serialSpec(change));
      check(exits(directory), text);
    });
  });
}

const count = (all: Exit[], is: (e: Exit) => boolean) => all.filter(is).length;

exitsOf("kvm-riscv: accesses are guest page faults by direction, served in user space", {
  serial: "sifive",
}, (all) => {
  const mmio = all.filter((e) => e.reason === "mmio");
  assert.ok(mmio.length > 1000);
  for (const e of mmio) {
    assert.equal(e.hw, e.write ? "STORE_GUEST_PAGE_FAULT" : "LOAD_GUEST_PAGE_FAULT");
    assert.deepEqual([e.handler, e.transitions, e.mode], ["user", 4, "S"]);
    assert.notEqual(e.device, null);
  }
});

for (const [page, bytes] of [["4k", 4096], ["2m", 2 * 1024 * 1024]] as const) {
  exitsOf(`stage 2 in pages of ${page}: each is faulted in once, at its first touch`, {
    stage2Page: page,
  }, (all) => {
    const faults = all.filter((e) => e.reason === "stage2_fault");
    const pages = faults.map((e) => Math.floor(e.gpa! / bytes));
    assert.equal(new Set(pages).size, pages.length);
    assert.ok(page === "4k" ? pages.length > 20 : pages.length <= 4, `${pages.length} faults`);
    for (const e of faults) {
      assert.match(e.hw!, /^(INST|LOAD|STORE)_GUEST_PAGE_FAULT$/);
      assert.deepEqual([e.handler, e.transitions], ["kernel", 2]);
    }
    assert.equal(faults[0].hw, "INST_GUEST_PAGE_FAULT");
  });
}

exitsOf("kvm-x86: a page of registers violates once, then it is misconfigured", {
  hypervisor: "kvm-x86",
}, (all) => {
  const seen = new Set<number>();
  for (const e of all.filter((e) => e.reason === "mmio")) {
    const page = Math.floor(e.gpa! / 4096);
    assert.equal(e.hw, seen.has(page) ? "EPT_MISCONFIG" : "EPT_VIOLATION");
    seen.add(page);
  }
  assert.ok(seen.size >= 3);
  const faults = all.filter((e) => e.reason === "stage2_fault");
  assert.ok(faults.length > 0 && faults.every((e) => e.hw === "EPT_VIOLATION"));
});

exitsOf("virtio: waiting is a wfi exit; a completion that finds the guest running interrupts it", {
  serial: "virtio",
  serialProps: { latency: "300" },
  append: "bytes=65536 chunk=4096",
}, (all) => {
  assert.ok(count(all, (e) => e.reason === "external_interrupt" && e.hw === "S_EXT") > 0);
});

exitsOf("virtio: a guest that waits is woken without another exit", {
  serial: "virtio",
  serialProps: { latency: "1000000" },
  append: "bytes=4096 chunk=16",
}, (all) => {
  const wfi = count(all, (e) => e.reason === "wfi" && e.hw === "VIRTUAL_INST_FAULT");
  assert.ok(wfi > 100, `${wfi} wfi exits`);
  const interrupted = count(all, (e) => e.reason === "external_interrupt");
  assert.ok(interrupted < wfi / 10, `${interrupted} of ${wfi}`);
});

for (const harts of [1, 4]) {
  exitsOf(`${harts} harts: SBI calls are hypercalls with their extension, by who serves them`, {
    harts,
    kernel: bundled("trap"),
    serial: "16550",
  }, (all, text) => {
    assert.match(text, /, 0 failed/);
    const calls = all.filter((e) => e.reason === "hypercall");
    const handlers = new Map(calls.map((e) => [e.value, e.handler]));
    assert.equal(handlers.get(0x10n), "kernel"); // BASE
    assert.equal(handlers.get(0x54494d45n), "kernel"); // TIME
    assert.equal(handlers.get(0x4442434en), "user"); // DBCN
    assert.equal(handlers.get(0x53525354n), "user"); // SRST
    assert.ok(calls.every((e) => e.hw === "SUPERVISOR_SYSCALL" && e.mode === "S"));
    assert.equal(new Set(all.map((e) => e.vcpu)).size, harts);
  });
}

exitsOf("kvm-x86: a timer that expires while the guest runs interrupts the host first", {
  kernel: bundled("trap"),
  serial: "16550",
  hypervisor: "kvm-x86",
}, (all) => {
  assert.ok(count(all, (e) => e.hw === "EXTERNAL_INTERRUPT") > 0);
});

exitsOf("kvm-riscv: Sstc delivers timers without an exit", {
  kernel: bundled("trap"),
  serial: "16550",
}, (all) => {
  assert.equal(count(all, (e) => e.hw === "S_TIMER"), 0);
});

exitsOf("no hypervisor: device accesses are neutral, and nothing else exits", {
  bios: "none",
  hypervisor: "none",
  kernel: bundled("mmode"),
  serial: "16550",
}, (all, text) => {
  assert.match(text, /, 0 failed/);
  assert.ok(all.length > 100);
  for (const e of all) {
    assert.deepEqual([e.reason, e.hw, e.transitions], ["mmio", null, 0]);
  }
});

/** lui t0,page; lw t1,0(t0); sw t1,0(t0); then SBI SRST: power off. */
const touch = (page: number) => [
  (page << 12 | 0x2b7) >>> 0,
  0x0002a303,
  0x0062a023,
  0x535258b7,
  0x3548889b,
  0x00000813,
  0x00000513,
  0x00000593,
  0x00000073,
];

/** Records a guest that reads a page's first word and writes it back. */
async function touching(page: number, change: Partial<MachineSpec>, check: (all: Exit[]) => void) {
  await withFolder(async (folder) => {
    const path = `${folder}/touch.bin`;
    Deno.writeFileSync(path, new Uint8Array(Uint32Array.from(touch(page)).buffer));
    const { ref } = readInput(path, "file");
    const spec = serialSpec({ kernel: null, loads: [{ file: ref, addr: 0x8020_0000 }], ...change });
    const { directory, result } = await recordInto(folder, spec);
    assert.deepEqual(result.end, { kind: "poweroff", code: 0 });
    check(exits(directory));
  });
}

Deno.test("kvm-riscv: an address without a device reads as 0 and stands in the trace", async () => {
  await touching(0x5000, {}, (all) => {
    const stray = all.filter((e) => e.device === "unassigned");
    assert.deepEqual(stray.map((e) => [e.gpa, e.write, e.value]), [
      [0x500_0000, false, 0n],
      [0x500_0000, true, 0n],
    ]);
  });
});

const PORT_READ = {
  "kvm-riscv": "LOAD_GUEST_PAGE_FAULT",
  "kvm-x86": "IO_INSTRUCTION",
  none: null,
} as const;
for (const [hypervisor, hw] of Object.entries(PORT_READ)) {
  Deno.test(`${hypervisor}: an access in the PCI I/O window is a pio exit, of every page alike`, async () => {
    const name = hypervisor as keyof typeof PORT_READ;
    await touching(0x3000, { hypervisor: name }, (all) => {
      const pio = all.filter((e) => e.reason === "pio");
      assert.deepEqual(pio.map((e) => [e.gpa, e.write, e.value, e.device]), [
        [0x300_0000, false, 0xffff_ffffn, "pcie"],
        [0x300_0000, true, 0xffff_ffffn, "pcie"],
      ]);
      assert.equal(pio[0].hw, hw);
      if (name === "kvm-x86") assert.equal(pio[1].hw, hw, "no page of ports is marked");
    });
  });
}

Deno.test("kvm-x86: configuration space is memory: a page for each function", async () => {
  await touching(0x3000_8, { hypervisor: "kvm-x86" }, (all) => {
    const config = all.filter((e) => e.device === "pcie");
    assert.deepEqual(config.map((e) => [e.reason, e.hw]), [
      ["mmio", "EPT_VIOLATION"],
      ["mmio", "EPT_MISCONFIG"],
    ]);
  });
});

Deno.test("an interrupt that is pending already does not reach the hart once more", () => {
  const spec = serialSpec({ harts: 2 });
  const board = buildBoard(spec, filesOf(spec), new Map(), new Trace(null), { out: () => {} });
  const { machine, exits: unit } = board;
  const arrived = () => unit.counts[codeOf("reason", "external_interrupt")];
  machine.run({ executed: 1000, idle: "return" });
  const SEIP = 9;
  machine.hartIrq(0, SEIP, true);
  assert.equal(arrived(), 1);
  // The controller tells every hart's level after each access, another hart's too.
  machine.hartIrq(0, SEIP, true);
  assert.equal(arrived(), 1);
  machine.hartIrq(0, SEIP, false);
  machine.hartIrq(0, SEIP, true);
  assert.equal(arrived(), 2);
});
