/**
 * Bad input to the command line, as data: what is given, and the one line that must be said of it.
 * @module
 */
import { fileURLToPath } from "node:url";

export const BUDGET = fileURLToPath(new URL("../fixtures/budgets/serial.json", import.meta.url));
export const ELF = fileURLToPath(new URL("../fixtures/guests/serial.elf", import.meta.url));
const INCREMENT_GUEST = fileURLToPath(
  new URL("../fixtures/devices/increment_guest.elf", import.meta.url),
);
const MINE = ["--device", "./mine.ts,addr=0x4010000", "--timeout", "60"];
/** The bundled guest on little work: a recording in a moment. */
export const SMALL = ["record", "--serial", "sifive", "--append", "bytes=64 chunk=16"];

export interface Bad {
  readonly name: string;
  /** Files made before: text, bytes, or a recorded trace. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly args: readonly string[];
  readonly says: RegExp;
  readonly code?: number;
}

/** A device file that does this when its guest writes to it or reads. */
const faultyDevice = (does: string) =>
  `import { bytes, device } from "exitscope/device";
const declared = { doc: "Mine.", source: "mine", size: 0x1000, state: { rx: bytes(4) } };
export default device("mine", declared, (s) => {
  const act = () => { ${does}; };
  return { regs: [{ at: 0, name: "A", set: act }, { at: 8, name: "B", get: () => 0, onRead: act }] };
});
`;

const truncatedElf = () => Deno.readFileSync(ELF).slice(0, 100);
const elfAt = (paddr: bigint) => {
  const elf = Deno.readFileSync(ELF);
  const view = new DataView(elf.buffer);
  const at = Number(view.getBigUint64(32, true));
  const [size, n] = [view.getUint16(54, true), view.getUint16(56, true)];
  for (let i = 0; i < n; i++) view.setBigUint64(at + i * size + 24, paddr, true);
  return elf;
};
const foreignElf = () => {
  const elf = Deno.readFileSync(ELF);
  elf[18] = 62; // e_machine: x86-64.
  return elf;
};

/** Input that a recording must refuse; each leaves the folder as it was. */
export const BAD_RECORDINGS: readonly Bad[] = [
  { name: "a missing kernel", args: ["--kernel", "none.elf"], says: /none\.elf.*Check the path/ },
  { name: "a folder as kernel", args: ["--kernel", "."], says: /kernel/ },
  {
    name: "an empty kernel",
    files: { "a.elf": "" },
    args: ["--kernel", "a.elf"],
    says: /a\.elf is empty/,
  },
  {
    name: "a kernel that is no ELF",
    files: { "a.elf": "#!/bin/sh\n" },
    args: ["--kernel", "a.elf"],
    says: /a\.elf is text.*ELF/,
  },
  {
    name: "a truncated ELF",
    files: { "a.elf": truncatedElf() },
    args: ["--kernel", "a.elf"],
    says: /truncated|ends|beyond/i,
  },
  {
    name: "an ELF for another machine",
    files: { "a.elf": foreignElf() },
    args: ["--kernel", "a.elf"],
    says: /RISC-V/i,
  },
  {
    name: "a kernel outside RAM",
    files: { "a.elf": elfAt(0x9000_0000n) },
    args: ["--kernel", "a.elf"],
    says: /outside.*--memory/i,
  },
  {
    name: "a file placed outside RAM",
    files: { "a.bin": "data" },
    args: ["--kernel", "bundled:serial", "--load", "a.bin@0x1000"],
    says: /a\.bin.*outside RAM.*--memory/,
  },
  {
    name: "an unknown bundled guest",
    args: ["--kernel", "bundled:serail"],
    says: /bundled:serial\?/,
  },
  {
    name: "a guest with another kernel",
    args: ["--guest", "linux", "--kernel", "bundled:serial"],
    says: /--guest linux brings its own kernel.*Leave out --kernel/,
  },
  {
    name: "a folder without the guest's files",
    args: ["--guest-dir", "."],
    says: /lacks a kernel, busybox, virtio_mmio\.ko, virtio_blk\.ko.*put there a riscv64 kernel/i,
  },
  {
    name: "a guest without the firmware it needs",
    args: ["--guest", "linux", "--bios", "none"],
    says: /needs firmware below it.*builtin/,
  },
  {
    name: "a guest with too little memory",
    args: ["--guest", "linux", "-m", "64M"],
    says: /more than 64M of RAM.*--memory 96M/,
  },
  { name: "too little memory", args: ["--memory", "1K"], says: /--memory/ },
  { name: "too many harts", args: ["--harts", "999"], says: /--harts/ },
  {
    name: "an unknown device",
    args: ["--device", "no_such_thing"],
    says: /no_such_thing.*use one of/i,
  },
  {
    name: "a device file that is not there",
    args: ["--device", "./mine.ts"],
    says: /mine\.ts.*Check the path/,
  },
  {
    name: "a device file that declares none",
    files: { "mine.ts": "export const x = 1;\n" },
    args: ["--device", "./mine.ts,addr=0x4010000"],
    says: /mine\.ts.*default export/,
  },
  {
    name: "a device file whose code fails",
    files: { "mine.ts": faultyDevice('throw new Error("no such table")') },
    args: ["--kernel", INCREMENT_GUEST, ...MINE],
    says: /device file \.\/mine\.ts failed in line 4: no such table\. Mend it there/,
  },
  {
    name: "a device that outgrows what it declares",
    files: { "mine.ts": faultyDevice("s.rx.push(1)") },
    args: ["--kernel", INCREMENT_GUEST, ...MINE],
    says: /mine0: state field rx holds 5 entries, declared are 4\. Check before `push`/,
  },
  {
    name: "a file without names",
    files: { "a.map": "nothing\n" },
    args: ["--kernel", "bundled:serial", "--symbols", "a.map"],
    says: /a\.map.*System\.map/,
  },
  {
    name: "a log file that exists",
    files: { "a.log": "mine\n" },
    args: ["--kernel", "bundled:serial", "--log", "irq", "--log-file", "a.log"],
    says: /a\.log exists.*--force/,
  },
  {
    name: "a log file for no log",
    args: ["--kernel", "bundled:serial", "--log-file", "a.log"],
    says: /--log exits,irq/,
  },
  { name: "an unknown cost profile", args: ["--costs", "free"], says: /free.*--costs/ },
  {
    name: "firmware under a hypervisor",
    args: ["--bios", "none", "--hypervisor", "kvm-riscv"],
    says: /M-mode.*--hypervisor none/,
  },
  {
    name: "a name in a file instead of a folder",
    files: { "file": "" },
    args: ["--serial", "sifive", "-o", "file/a.trace"],
    says: /folder/,
  },
];

/** Command lines that mean nothing. */
export const BAD_USAGE: readonly Bad[] = [
  { name: "no command", args: [], says: /Name a command/ },
  { name: "a mistyped command", args: ["recrod"], says: /Did you mean `record`\?/ },
  {
    name: "a mistyped option",
    args: ["record", "--kernal", "x"],
    says: /Did you mean `--kernel`\?/,
  },
  { name: "a size that is none", args: ["record", "--memory", "lots"], says: /such as 64M/ },
  { name: "an address that is none", args: ["record", "--load", "x@y"], says: /FILE@ADDR/ },
  {
    name: "a table that is none",
    args: ["record", "--trace-tables", "exits"],
    says: /exit, access/,
  },
  {
    name: "a log item that is none",
    args: ["record", "--log", "exits,virtoi"],
    says: /"exits,virtoi": expected a list.*exits, access, virtio/,
  },
  {
    name: "a panic that is no pattern",
    args: ["record", "--panic", "("],
    says: /off, or a regular/,
  },
  { name: "a pattern that is none", args: ["record", "--until-output", "("], says: /regular/ },
  { name: "a period that is none", args: ["record", "--period", "0"], says: /1ns to 1ms/ },
  { name: "an answer that is none", args: ["record", "--answer", "a->b"], says: /PATTERN=>TEXT/ },
  { name: "a choice that is none", args: ["record", "--stage2-page", "1g"], says: /4k/ },
  { name: "a value left out", args: ["record", "--memory"], says: /--memory/ },
  { name: "no trace to compare", args: ["compare", "a.trace"], says: /does not exist/ },
  { name: "no budget", args: ["budget", "a.trace"], says: /--file/ },
  {
    name: "a budget that is not there",
    args: ["budget", "a.trace", "--file", "b.json"],
    says: /b\.json: it does not exist\. Check the path after --file/,
  },
  { name: "a folder for a budget", args: ["budget", "a", "--file", "."], says: /it is a folder/ },
  {
    name: "an engine that is none",
    args: ["budget", "a", "-F", "b", "--engine", "x"],
    says: /native/,
  },
  {
    name: "a pattern to export",
    args: ["export", "n*", "--to", "csv", "-o", "x"],
    says: /No trace m/,
  },
  {
    name: "a query that is not there",
    args: ["query", "a", "-F", "q.sql"],
    says: /q\.sql: it does not/,
  },
  { name: "a sweep that is none", args: ["record", "--sweep", "seed"], says: /NAME=1\.\.10/ },
  { name: "a sweep of nothing", args: ["record", "--sweep", "nope=1"], says: /--nope/ },
  { name: "nothing to query", args: ["query"], says: /Name a trace/ },
  { name: "a pattern without traces", args: ["query", "no/*.trace"], says: /No trace matches/ },
  { name: "a parameter that is none", args: ["query", "a", "--param", "7"], says: /NAME=VALUE/ },
  { name: "marks that are none", args: ["query", "a", "--between", "a.."], says: /boot\.\.ready/ },
  {
    name: "a schema as CSV",
    args: ["query", "--explain-schema", "--format", "csv"],
    says: /table, markdown or json/,
  },
];

/** Traces that cannot be read, for each command that reads one. */
export const BAD_TRACES: readonly Omit<Bad, "args">[] = [
  { name: "a missing trace", says: /t\.trace/ },
  { name: "a file instead of a trace", files: { "t.trace": "x" }, says: /t\.trace/ },
  { name: "a folder that is no trace", files: { "t.trace/a": "x" }, says: /manifest|no trace/i },
  { name: "a damaged manifest", files: { "t.trace/manifest.json": "{" }, says: /manifest/i },
  {
    name: "a newer trace",
    files: { "t.trace/manifest.json": '{"tool":"exitscope","schema_version":999,"version":"9"}' },
    says: /newer/,
  },
];
export const READERS: readonly string[][] = [
  ["query", "t.trace", "SELECT 1"],
  ["compare", "t.trace", "t.trace"],
  ["inspect", "t.trace"],
  ["report", "t.trace", "-o", "r.md"],
  ["budget", "t.trace", "-F", BUDGET],
  ["export", "t.trace", "--to", "csv", "-o", "out"],
  ["replay", "t.trace", "--verify"],
];
