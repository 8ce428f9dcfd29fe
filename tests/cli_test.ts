/**
 * The command line as its users meet it: the real program in a child process. Bad input gets one
 * line that names the fix, a non-zero code, no stack; what exists is never overwritten.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PAIRS } from "../replay/cli/pairs.ts";
import { assertOneError, cliTest, run } from "./cli.ts";

/** Names of everything in `folder`, folders with a slash, in order. */
function tree(folder: string): string[] {
  const names: string[] = [];
  const walk = (at: string) => {
    for (const entry of Deno.readDirSync(join(folder, at))) {
      names.push(at + entry.name + (entry.isDirectory ? "/" : ""));
      if (entry.isDirectory) walk(`${at}${entry.name}/`);
    }
  };
  walk("");
  return names.sort();
}

const BUDGET = fileURLToPath(new URL("../fixtures/budgets/serial.json", import.meta.url));
const ELF = fileURLToPath(new URL("../fixtures/guests/serial.elf", import.meta.url));
/** The bundled guest on little work: a recording in a moment. */
const SMALL = ["record", "--serial", "sifive", "--append", "bytes=64 chunk=16"];

interface Bad {
  readonly name: string;
  /** Files made before: text, bytes, or a recorded trace. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly args: readonly string[];
  readonly says: RegExp;
  readonly code?: number;
}

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
const BAD_RECORDINGS: readonly Bad[] = [
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
const BAD_USAGE: readonly Bad[] = [
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
  { name: "one trace to compare", args: ["compare", "a.trace"], says: /two traces/ },
  { name: "no budget", args: ["budget", "a.trace"], says: /--file/ },
  {
    name: "a budget that is not there",
    args: ["budget", "a.trace", "--file", "b.json"],
    says: /b\.json.*--file/,
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
const BAD_TRACES: readonly Omit<Bad, "args">[] = [
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
const READERS: readonly string[][] = [
  ["query", "t.trace", "SELECT 1"],
  ["compare", "t.trace", "t.trace"],
  ["inspect", "t.trace"],
  ["replay", "t.trace", "--verify"],
];

function write(folder: string, files: Bad["files"] = {}): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    if (name.includes("/")) Deno.mkdirSync(join(path, ".."), { recursive: true });
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
  }
}

async function refuses(folder: string, bad: Bad, args: readonly string[]): Promise<void> {
  write(folder, bad.files);
  const before = tree(folder);
  assertOneError(await run(folder, args), bad.says, bad.code);
  assert.deepEqual(tree(folder), before);
}

for (const bad of BAD_RECORDINGS) {
  cliTest(`record refuses ${bad.name}`, (folder) => refuses(folder, bad, ["record", ...bad.args]));
}
for (const bad of BAD_USAGE) {
  cliTest(`usage: ${bad.name}`, (folder) => refuses(folder, bad, bad.args));
}
for (const bad of BAD_TRACES) {
  for (const args of READERS) {
    cliTest(`${args[0]} refuses ${bad.name}`, (folder) => refuses(folder, { ...bad, args }, args));
  }
}

cliTest(
  "what exists is not overwritten; --force replaces a trace, a failure puts it back",
  async (folder) => {
    assert.equal((await run(folder, [...SMALL, "-o", "a.trace"])).code, 0);
    const manifest = () => Deno.readTextFileSync(join(folder, "a.trace/manifest.json"));
    const first = manifest();
    assertOneError(await run(folder, [...SMALL, "-o", "a.trace"]), /a\.trace exists.*--force/);
    const other = ["--rtc", "2030-01-01", "-o", "a.trace", "--force"];
    assertOneError(await run(folder, [...SMALL, ...other, "--kernel", "x"]), /x/);
    assertOneError(await run(folder, [...SMALL, ...other, "--memory", "1K"]), /--memory/);
    assert.equal(manifest(), first);
    assert.equal((await run(folder, [...SMALL, ...other])).code, 0);
    assert.notEqual(manifest(), first);
    assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name), ["a.trace"]);
  },
);

cliTest("default names take a number", async (folder) => {
  for (let i = 0; i < 2; i++) assert.equal((await run(folder, SMALL)).code, 0);
  const names = [...Deno.readDirSync(join(folder, "traces"))].map((e) => e.name).sort();
  assert.deepEqual(names, ["serial-sifive-2.trace", "serial-sifive.trace"]);
});

cliTest(
  "the guest's console is standard output, and its exit code is passed on",
  async (folder) => {
    const args = ["record", "--serial", "virtio", "--append", "mode=echo", "-o"];
    for (const code of [0, 1, 7]) {
      const echo = await run(folder, [...args, `${code}.trace`], {
        input: `hello\nexit ${code}\n`,
      });
      assert.equal(echo.code, code, echo.stderr);
      assert.match(echo.stdout, /hello/);
    }
    const replayed = await run(folder, ["replay", "7.trace", "--verify"]);
    assert.equal(replayed.code, 0, replayed.stderr);
    assert.match(replayed.stderr, /reproduced/);
  },
);

cliTest(
  "a guest that runs out of time gives 3, one stopped where asked gives 0",
  async (folder) => {
    const waits = ["record", "--kernel", "bundled:bench", "--trace-tables", "exit"];
    const late = await run(folder, [...waits, "--timeout", "0.2", "-o", "late.trace"]);
    assert.equal(late.code, 3, late.stderr);
    assert.match(late.stderr, /ran out of time/);
    const stopped = await run(folder, [...waits, "--until-icount", "100K", "-o", "stop.trace"]);
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.match(stopped.stderr, /after 100,000 instructions/);
    const output = ["--until-output", "exitscope", "-o", "output.trace"];
    assert.equal((await run(folder, [...SMALL, ...output])).code, 0);
  },
);

cliTest("a panic gives 3, its words, the last events and the registers", async (folder) => {
  const args = ["record", "--kernel", "bundled:panic", "--append", "how=linux", "-o", "p.trace"];
  const { code, stdout, stderr } = await run(folder, [
    ...args,
    "--log",
    "irq",
    "--log-file",
    "log",
  ]);
  assert.equal(code, 3, stderr);
  assert.match(stdout, /---\[ end Kernel panic/);
  assert.match(
    stderr,
    /^exitscope: \[ {4}0\.000123\] Kernel panic - not syncing: no guest to run$/m,
  );
  assert.match(stderr, /^ +\d+ 0 exit +mmio .* \w+\+0x[\da-f]+/m);
  assert.match(stderr, /^pc is in {2}main\+0x/m);
  assert.match(stderr, /the guest panicked after/);
  assert.match(
    Deno.readTextFileSync(join(folder, "log")),
    /^ +\d+ 0 irq +raise uart0 line 10 wire$/m,
  );
  const replayed = await run(folder, ["replay", "p.trace", "--verify", "--log", "irq"]);
  assert.equal(replayed.code, 0, replayed.stderr);
  assert.match(replayed.stderr, /^ +\d+ 0 irq +raise uart0 line 10 wire$/m);
});

cliTest("raw bytes start 2 MiB into RAM, and that is said", async (folder) => {
  // auipc a0, 0; j .: a0 shows where the guest runs.
  const code = Uint8Array.of(0x17, 0x05, 0, 0, 0x6f, 0, 0, 0);
  Deno.writeFileSync(join(folder, "raw.bin"), code);
  const raw = ["record", "--kernel", "raw.bin", "--until-icount", "10"];
  const ran = await run(folder, [...raw, "-o", "raw.trace"]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /raw\.bin is neither .*raw bytes, which start at 0x80200000/);
  const pcs = "SELECT DISTINCT hex(pc) AS pc FROM exit";
  const asked = await run(folder, ["query", "raw.trace", pcs, "--format", "csv"]);
  assert.equal(asked.stdout, "pc\n0x80200000\n");
  const bare = await run(folder, [...raw, "--bios", "none", "-o", "bare.trace"]);
  assert.match(bare.stderr, /start at 0x80000000/);
  assert.equal((await run(folder, ["replay", "--verify", "raw.trace"])).code, 0);
});

cliTest(
  "what --answer types comes at the byte that it answers, alike each time",
  async (folder) => {
    const echo = ["record", "--kernel", "bundled:serial", "--append", "mode=echo"];
    const answers = ["--answer", "ech(o)$=>hello\\n", "--answer", " hello=>exit 5\\n"];
    for (const name of ["a.trace", "b.trace"]) {
      const { code, stdout, stderr } = await run(folder, [...echo, ...answers, "-o", name]);
      assert.equal(code, 5, stderr);
      assert.match(stdout, /^echo 5 3610a686 hello$/m);
    }
    const [a, b] = ["a", "b"].map((t) => Deno.readFileSync(join(folder, `${t}.trace/input.arrow`)));
    assert.deepEqual(a, b);
    assert.equal((await run(folder, ["replay", "--verify", "a.trace"])).code, 0);
    const wrong = ["--answer", "no such prompt=>x", "--until-icount", "1M", "-o", "c.trace"];
    assert.match((await run(folder, [...echo, ...wrong])).stderr, /never matched no such prompt/);
  },
);

cliTest(
  "record without options records every pair and says what made the difference",
  async (folder) => {
    const { code, stdout, stderr } = await run(folder, ["record"]);
    assert.equal(code, 0, stderr);
    const sides = PAIRS.flatMap((pair) => pair.sides);
    assert.deepEqual(
      tree(folder).filter((name) => name.endsWith(".trace/")),
      sides.map(({ name }) => `traces/${name}.trace/`).sort(),
    );
    for (const { title } of sides) assert.ok(stdout.includes(title), title);
    for (const { name } of PAIRS) assert.match(stdout, new RegExp(`^${name}: `, "m"));
    assert.match(stderr, /SiFive UART: done[\s\S]*virtio-console: done/);
    assert.match(stdout, /fewer exits for the same 64 KiB because/);
    assert.match(stdout, /65,536 bytes unchanged/);
    const held = await run(folder, ["budget", "traces", "--file", BUDGET]);
    assert.equal(held.code, 0, held.stderr + held.stdout);
    assert.equal(held.stdout.match(/ holds$/gm)?.length, 4, held.stdout);
  },
);

cliTest("answers come as table, CSV, JSON and Arrow; a view's name is a query", async (folder) => {
  await run(folder, [...SMALL, "-o", "a.trace"]);
  const sql = "SELECT 1 AS one, 'x' AS letter";
  const ask = (format: string) => run(folder, ["query", "a.trace", sql, "--format", format]);
  assert.equal((await ask("csv")).stdout, "one,letter\n1,x\n");
  assert.deepEqual(JSON.parse((await ask("json")).stdout), [{ one: 1, letter: "x" }]);
  assert.match((await ask("table")).stdout, /one +letter\n.*\n +1 +x/);
  assert.equal((await ask("arrow")).code, 0);
  assert.match((await run(folder, ["query", "a.trace", "exits_by_reason"])).stdout, /stage2_fault/);
  Deno.writeTextFileSync(join(folder, "q.sql"), sql);
  const fromFile = await run(folder, ["query", "a.trace", "--file", "q.sql", "--format", "csv"]);
  assert.equal(fromFile.stdout, "one,letter\n1,x\n");
});

cliTest("a sweep records every combination, and compare tells median and range", async (folder) => {
  const args = ["record", "--serial", "virtio,latency={latency}", "--append", "bytes={n} chunk=16"];
  const sweep = ["--sweep", "latency=1000,4000,n=64..65", "-o", "sweep"];
  const { code, stderr, stdout } = await run(folder, [...args, ...sweep]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /^4\/4 .*sweep\/latency=4000,n=65\.trace/m);
  assert.equal(tree(folder).filter((name) => name.endsWith(".trace/")).length, 4);
  const compared = await run(folder, ["compare", "sweep", "--by", "latency"]);
  assert.equal(compared.code, 0, compared.stderr);
  assert.match(compared.stdout, /exits at work +28\.?.* +28/);
  assertOneError(await run(folder, [...args, ...sweep]), /exists.*--force/);
});

cliTest("statements from standard input, parameters, marks, patterns of traces", async (folder) => {
  for (const name of ["a", "b"]) await run(folder, [...SMALL, "-o", `t/${name}.trace`]);
  const input = ".format csv\nSELECT run,\n 1 AS one FROM exit\nGROUP BY run ORDER BY run;\n";
  const piped = await run(folder, ["query", "-i", "t/*.trace"], { input });
  assert.deepEqual([piped.code, piped.stdout], [0, "run,one\na,1\nb,1\n"]);
  const failed = await run(folder, ["query", "-i", "t"], { input: "FROM nothing;\nSELECT 1;\n" });
  assert.equal(failed.code, 2);
  assert.match(failed.stderr, /nothing does not exist/);
  const limited = await run(folder, [
    ...["query", "t/a.trace", "--between", "write-16", "--param", "what=txdata", "--format", "csv"],
    "SELECT count(*) AS n FROM exit WHERE register = $what",
  ]);
  assert.equal(limited.stdout, "n\n64\n");
  const schema = await run(folder, ["query", "--explain-schema", "--format", "json"]);
  assert.ok(JSON.parse(schema.stdout).views.length > 20);
});

cliTest("bad SQL points at the place, without a stack", async (folder) => {
  await run(folder, [...SMALL, "-o", "a.trace"]);
  const { code, stderr } = await run(folder, ["query", "a.trace", "SELECT nothing FROM exit"]);
  assert.equal(code, 2);
  assert.match(stderr, /^exitscope: .*nothing[\s\S]*LINE 1: SELECT nothing[\s\S]*\^\n/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

cliTest(
  "a trace cut short is read up to its last commit, or refused in one line",
  async (folder) => {
    await run(folder, [...SMALL, "-o", "a.trace"]);
    const file = join(folder, "a.trace/exit.arrow");
    Deno.truncateSync(file, Math.floor(Deno.statSync(file).size / 2));
    assertOneError(await run(folder, ["query", "a.trace", "SELECT 1"]), /exit/);
  },
);

cliTest("--help, --version and completion answer without loading the machine", async (folder) => {
  const help = await run(folder, ["--help"]);
  assert.equal(help.code, 0);
  for (const word of ["record", "query", "compare", "budget", "inspect", "replay", "completion"]) {
    assert.match(help.stdout, new RegExp(`^  ${word} `, "m"));
    const own = await run(folder, [word, "--help"]);
    assert.equal(own.code, 0);
    assert.match(own.stdout, new RegExp(`exitscope ${word}`));
  }
  assert.match((await run(folder, ["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await run(folder, ["completion", shell]);
    assert.equal(script.code, 0);
    assert.match(script.stdout, /exitscope/);
  }
  const offered = await run(folder, ["completion", "bash", "record", "--ser"]);
  assert.match(offered.stdout, /--serial/);
});

cliTest(
  "a guest that cannot be fetched: what to put where, and nothing is left",
  async (folder) => {
    Deno.mkdirSync(join(folder, "empty"));
    const env = { PATH: join(folder, "empty"), EXITSCOPE_CACHE: join(folder, "cache") };
    const { code, stderr } = await run(folder, ["record", "--guest", "linux"], { env });
    assert.equal(code, 2, stderr);
    assert.match(
      stderr.trim().split("\n").at(-1)!,
      /^exitscope: cannot fetch .*no apt-get on this machine.*--guest-dir DIR .*kernel.*busybox.*\.ko/,
    );
    assert.deepEqual(tree(folder), ["cache/", "cache/linux/", "empty/"]);
  },
);

cliTest("--dump-dtb writes the tree and records nothing", async (folder) => {
  const { code, stderr } = await run(folder, ["record", "--dump-dtb", "virt.dtb"]);
  assert.equal(code, 0, stderr);
  assert.deepEqual([...Deno.readFileSync(join(folder, "virt.dtb")).slice(0, 4)], [
    0xd0,
    0x0d,
    0xfe,
    0xed,
  ]);
  assertOneError(await run(folder, ["record", "--dump-dtb", "virt.dtb"]), /exists.*--force/);
  assert.equal(existsSync(join(folder, "traces")), false);
});

cliTest(
  "EXITSCOPE_DEBUG=1 shows where an error arose; the caller's folder is where names count",
  async (folder) => {
    const debug = await run(folder, ["record", "--kernel", "x"], { env: { EXITSCOPE_DEBUG: "1" } });
    assert.match(debug.stderr, /\n\s+at /);
    Deno.mkdirSync(join(folder, "sub"));
    const elsewhere = { env: { EXITSCOPE_CWD: join(folder, "sub") } };
    assert.equal((await run(folder, [...SMALL, "-o", "a.trace"], elsewhere)).code, 0);
    assert.ok(existsSync(join(folder, "sub/a.trace/manifest.json")));
  },
);
