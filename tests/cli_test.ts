/**
 * The command line as its users meet it: the real program in a child process. Bad input gets one
 * line that names the fix, a non-zero code, no stack; what exists is never overwritten.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PAIRS } from "../replay/cli/pairs.ts";
import { assertOneError, cliTest, run } from "./cli.ts";
import {
  type Bad,
  BAD_RECORDINGS,
  BAD_TRACES,
  BAD_USAGE,
  BUDGET,
  READERS,
  SMALL,
} from "./cli_bad_input.ts";

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
    let recorded = "";
    for (const code of [0, 1, 7]) {
      const echo = await run(folder, [...args, `${code}.trace`], {
        input: `hello\nexit ${code}\n`,
      });
      assert.equal(echo.code, code, echo.stderr);
      assert.match(echo.stdout, /hello/);
      recorded = /([\d,]+ rows), /.exec(echo.stderr)![1]!;
    }
    const replayed = await run(folder, ["replay", "7.trace", "--verify"]);
    assert.equal(replayed.code, 0, replayed.stderr);
    const [, reproduced] = /reproduced: ([\d,]+ rows) over/.exec(replayed.stderr)!;
    assert.equal(reproduced, recorded);
  },
);

cliTest(
  "a guest that runs out of time gives 3, one stopped where asked gives 0",
  async (folder) => {
    // More than any host gets done in that time.
    const work = ["--append", "work=1000000"];
    const waits = ["record", "--kernel", "bundled:bench", ...work, "--trace-tables", "exit"];
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
