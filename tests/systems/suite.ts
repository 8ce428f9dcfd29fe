/**
 * `deno task systems`: whole systems of other people, built by their own makefiles in the folder that
 * EXITSCOPE_SYSTEMS names. None is part of this repository, and `deno task test` runs none of them.
 * `README.md` says what must lie where.
 * @module
 */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { DEFAULT_SPEC, type MachineSpec } from "../../core/board/spec.ts";
import type { Answer } from "../../replay/answers.ts";
import { driveOf } from "../../replay/cli/drive.ts";
import { parseDrive } from "../../replay/cli/values.ts";
import { readInput } from "../../replay/files.ts";
import { record, type RecordHost } from "../../replay/record.ts";
import { filesOf } from "../recorder.ts";

const FOLDER_VARIABLE = "EXITSCOPE_SYSTEMS";
const given = Deno.env.get(FOLDER_VARIABLE);
const folder = given === undefined ? null : resolve(Deno.env.get("EXITSCOPE_CWD") || ".", given);

/** A system: its files, the machine that they make, what is typed, and what it must have said. */
interface System {
  readonly files: Readonly<Record<string, string>>;
  readonly machine: (path: Readonly<Record<string, string>>) => Partial<MachineSpec>;
  readonly answers: readonly Answer[];
  readonly until: RegExp;
  readonly says: readonly RegExp[];
  readonly neverSays: RegExp;
}

const ref = (path: string) => readInput(path, "file").ref;
const drive = (words: string) => [driveOf(parseDrive(words)!, 0)];

const XV6 = {
  files: { kernel: "xv6-riscv/kernel/kernel", disk: "xv6-riscv/fs.img" },
  machine: (path: Readonly<Record<string, string>>): Partial<MachineSpec> => ({
    bios: "none",
    kernel: ref(path.kernel),
    harts: 3,
    hypervisor: "none",
    drives: drive(`${path.disk},slot=0`),
  }),
  neverSays: /^panic|FAILED/m,
};
const XV6_PROMPT = /^\$ $/;

const RCORE_TARGET = "target/riscv64gc-unknown-none-elf/release";
const RCORE = {
  files: {
    kernel: `rCore-Tutorial-v3/os/${RCORE_TARGET}/os.bin`,
    disk: `rCore-Tutorial-v3/user/${RCORE_TARGET}/fs.img`,
    bios: "rCore-Tutorial-v3/bootloader/rustsbi-qemu.bin",
  },
  machine: (path: Readonly<Record<string, string>>): Partial<MachineSpec> => ({
    bios: ref(path.bios),
    kernel: ref(path.kernel),
    hypervisor: "none",
    drives: drive(`${path.disk},slot=0,legacy=on`),
  }),
  neverSays: /Panicked at/,
};
const RCORE_PROMPT = /^>> $/;

const SYSTEMS: Record<string, System> = {
  "xv6-riscv: a shell, files and processes": {
    ...XV6,
    answers: [
      { after: XV6_PROMPT, type: "ls\n" },
      { after: XV6_PROMPT, type: "grep RISC README | wc\n" },
      { after: XV6_PROMPT, type: "forktest\n" },
      { after: XV6_PROMPT, type: "echo the end\n" },
    ],
    until: /^the end/,
    says: [/^README +2 2 \d+$/m, /^fork test OK$/m],
  },
  "xv6-riscv: usertests -q pass": {
    ...XV6,
    // Its idle harts spin until the next tick: a slower machine has less to spin.
    machine: (path) => ({ ...XV6.machine(path), nsPerInsn: 10 }),
    answers: [{ after: XV6_PROMPT, type: "usertests -q\n" }],
    until: /ALL TESTS PASSED|SOME TESTS FAILED|panic:/,
    says: [/^ALL TESTS PASSED/m],
  },
  "rCore-Tutorial: programs from its easy-fs disk, over RustSBI": {
    ...RCORE,
    answers: [
      { after: RCORE_PROMPT, type: "hello_world\r" },
      { after: RCORE_PROMPT, type: "filetest_simple\r" },
      { after: RCORE_PROMPT, type: "cat_filea\r" },
    ],
    until: /^Hello, world!/,
    says: [/^Hello world from user mode program!$/m, /^file_test passed!/m],
  },
};

/** Keeps what was printed and shows it as it comes. */
class Screen implements RecordHost {
  text = "";
  readonly interactive = false;
  out(_device: string, bytes: Uint8Array): void {
    this.text += new TextDecoder("latin1").decode(bytes);
    Deno.stdout.writeSync(bytes);
  }
  pollInput = () => null;
  inputEnded = () => true;
  waitInput = () => Promise.resolve();
  quit = () => false;
}

/** Host seconds after which a system is given up; usertests take minutes. */
const TIMEOUT_SECONDS = 3600;

async function boot(system: System, path: Record<string, string>): Promise<void> {
  const spec: MachineSpec = { ...DEFAULT_SPEC, ...system.machine(path) };
  const screen = new Screen();
  const result = await record({
    spec,
    files: filesOf(spec),
    directory: null,
    force: false,
    answers: system.answers,
    untilOutput: new RegExp(`${system.until.source}|${system.neverSays.source}`),
    timeoutSeconds: TIMEOUT_SECONDS,
  }, screen);
  console.log(
    `\n${result.icount.toLocaleString("en-US")} instructions, ${
      (result.timeNs / 1e9).toFixed(1)
    } s ` +
      `of virtual time, ${result.exits.toLocaleString("en-US")} exits, ` +
      `${(result.hostMs / 1e3).toFixed(0)} s`,
  );
  const text = screen.text.replaceAll("\r", "");
  assert.deepEqual(result.unanswered, []);
  assert.equal(result.end.kind, "until-output");
  assert.doesNotMatch(text, system.neverSays);
  for (const pattern of system.says) assert.match(text, pattern);
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

if (folder === null) {
  Deno.test("systems", () => {
    throw `set ${FOLDER_VARIABLE} to the folder that tests/systems/README.md describes`;
  });
}
for (const [name, system] of folder === null ? [] : Object.entries(SYSTEMS)) {
  const files = Object.entries(system.files);
  const missing = files.map(([, file]) => file).filter((file) => !isThere(`${folder}/${file}`));
  const paths = Object.fromEntries(files.map(([key, file]) => [key, `${folder}/${file}`]));
  const ignore = missing.length > 0;
  Deno.test({
    name: ignore ? `${name} (not in ${given}: ${missing.join(", ")})` : name,
    ignore,
    fn: () => boot(system, paths),
  });
}
