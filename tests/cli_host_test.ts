/**
 * The command line against the host: a real terminal, signals, a full disk, a reader that goes away.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CHILD_ENV, cliTest, DENO_RUN, inFolder, run } from "./cli.ts";
import { needs, needsThat } from "./needs.ts";

const shellWord = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
const COMMAND = [Deno.execPath(), ...DENO_RUN].map(shellWord).join(" ");
const ECHO = "record --serial 16550 --append mode=echo -o t.trace";

/** No conversation takes so long, however busy the machine is. */
const STALLED_MS = 300_000;

/** What the user does once `after` has appeared: types a text, or something else. */
interface Reaction {
  readonly after: string;
  readonly act: string | ((seen: string) => void);
}

/** Runs `argv`; returns what it printed. Reactions happen in their order. */
async function shell(cwd: string, argv: string[], reactions: Reaction[] = []): Promise<string> {
  const child = new Deno.Command(argv[0], {
    args: argv.slice(1),
    cwd,
    // Whatever the terminal that the tests run on, if any: a line editor asks what it can do.
    env: { ...CHILD_ENV, TERM: "xterm" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  // A conversation that stalls fails its test instead of holding up the others.
  const stalled = setTimeout(() => child.kill("SIGKILL"), STALLED_MS);
  const decoder = new TextDecoder();
  const writer = child.stdin.getWriter();
  const waiting = [...reactions];
  let seen = "";
  for await (const bytes of child.stdout) {
    seen += decoder.decode(bytes, { stream: true });
    while (waiting.length > 0 && seen.includes(waiting[0].after)) {
      const { act } = waiting.shift()!;
      if (typeof act === "string") await writer.write(new TextEncoder().encode(act));
      else act(seen);
    }
  }
  await writer.close().catch(() => {});
  await child.status;
  clearTimeout(stalled);
  return seen.replaceAll("\r\n", "\n");
}

const terminal = needs(["script", "stty"], { apt: "bsdutils coreutils" });

/** Runs `record` on a terminal that says its settings, and the command's process id, beforehand. */
const onTerminal = (folder: string, reactions: Reaction[]) => {
  const command = `sh -c ${shellWord(`echo "pid $$ "; exec ${COMMAND} ${ECHO}`)}`;
  const script = `stty -g; ${command}; echo "code $?"; stty -g`;
  return shell(folder, ["script", "-qec", script, "/dev/null"], reactions);
};

/** The terminal's settings, printed first and last, are the same. */
function assertRestored(seen: string): void {
  const settings = seen.split("\n").filter((line) => /^[0-9a-f]+(:[0-9a-f]+){5,}$/.test(line));
  assert.equal(settings.length, 2, seen);
  assert.equal(settings[0], settings[1]);
}

terminal.test("cli: query's prompt on a terminal completes names and keeps its history", () =>
  inFolder(async (folder) => {
    await run(folder, ["record", "--serial", "sifive", "--append", "bytes=64", "-o", "t.trace"]);
    const script = `XDG_STATE_HOME=${
      shellWord(folder)
    } ${COMMAND} query -i t.trace; echo "code $?"`;
    const seen = await shell(folder, ["script", "-qec", script, "/dev/null"], [
      { after: "exitscope> ", act: "exits_by_ha\t" },
      { after: "exits_by_handler", act: "\r" },
      { after: "kernel", act: "SELECT 6 *\r7 AS answer;\r" },
      { after: "42", act: "\x04" },
    ]);
    assert.match(seen, /answer\n─+\n +42\n/, "a statement pasted as two lines");
    assert.match(seen, /code 0\n$/);
    assert.equal(
      Deno.readTextFileSync(join(folder, "exitscope", "query_history")),
      "exits_by_handler\nSELECT 6 *\n7 AS answer;\n",
    );
  }));

terminal.test("cli: on a terminal keys reach the guest, Ctrl-A X quits and restores it", () =>
  inFolder(async (folder) => {
    const seen = await onTerminal(folder, [
      { after: "echo", act: "hi\r" },
      { after: "hi", act: "\x01x" },
    ]);
    assert.match(seen, /hi[\s\S]*stopped on request[\s\S]*code 0/);
    assertRestored(seen);
  }));

terminal.test("cli: the monitor answers on a terminal, and the guest goes on", () =>
  inFolder(async (folder) => {
    const seen = await onTerminal(folder, [
      { after: "echo", act: "\x01c" },
      { after: "(exitscope) ", act: "info devices\r" },
      { after: "uart16550", act: "info exits\r" },
      { after: "total", act: "info registers\r" },
      { after: "satp", act: "cont\r" },
      { after: "cont", act: "exit 5\r" },
    ]);
    assert.match(seen, /plic[\s\S]*total[\s\S]*satp[\s\S]*code 5/);
    assertRestored(seen);
  }));

terminal.test("cli: a signal restores the terminal and closes the trace", () =>
  inFolder(async (folder) => {
    const kill = (seen: string) => Deno.kill(Number(/pid (\d+) /.exec(seen)![1]), "SIGTERM");
    const seen = await onTerminal(folder, [{ after: "echo", act: kill }]);
    assert.match(seen, /code 143/);
    assertRestored(seen);
    const inspected = await run(folder, ["replay", "t.trace", "--verify"]);
    assert.equal(inspected.code, 0, inspected.stderr);
  }));

cliTest(
  "Ctrl-C ends a recording whose input is a pipe, with a trace that replays",
  async (folder) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, ...ECHO.split(" ")],
      cwd: folder,
      env: CHILD_ENV,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    reader.releaseLock();
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    assert.equal(code, 130);
    assert.match(new TextDecoder().decode(stderr), /^exitscope: stopped on request[^\n]*\n$/);
    await child.stdin.close().catch(() => {});
    assert.equal((await run(folder, ["replay", "t.trace", "--verify"])).code, 0);
  },
);

needs("sh", { apt: "dash" }).test(
  "cli: a reader that goes away ends the command quietly",
  () =>
    inFolder(async (folder) => {
      const record = "record --serial sifive --append 'bytes=4096 chunk=16' -o t.trace";
      const seen = await shell(folder, [
        "sh",
        "-c",
        `${COMMAND} ${record} 2>err | head -1; cat err`,
      ]);
      assert.doesNotMatch(seen, /\bat |not foreseen/);
    }),
);

needs("sh", { apt: "dash" }).test(
  "cli: standard output on a full disk is one error",
  () =>
    inFolder(async (folder) => {
      const record = "record --serial sifive --append 'bytes=4096 chunk=16' -o";
      const query = "query t.trace 'SELECT count(*) > 0 AS kept FROM exit' --format csv";
      const seen = await shell(folder, [
        "sh",
        "-c",
        [
          "exec 2>&1",
          `${COMMAND} ${record} t.trace >/dev/null; echo code $?`,
          `${COMMAND} ${record} cut.trace >/dev/full; echo code $?`,
          `${COMMAND} ${query} >/dev/full; echo code $?`,
          `${COMMAND} ${query}`,
        ].join("\n"),
      ]);
      const refused = "exitscope: [^\\n]*disk is full[^\\n]*\\ncode 2\\n";
      assert.match(seen, new RegExp(`^[^]*code 0\\n${refused}${refused}kept\\ntrue\\n$`));
    }),
);

/** Can this user mount a small file system of its own? */
function canMount(): boolean {
  try {
    const { success } = new Deno.Command("unshare", {
      args: ["-rm", "mount", "-t", "tmpfs", "none", Deno.env.get("TMPDIR") ?? "/tmp"],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return success;
  } catch {
    return false;
  }
}

const smallDisk = needsThat("unshare", canMount(), {
  nowhere: "this user may not mount a file system of its own",
});

smallDisk.test("cli: a full disk is one error; what was committed stays readable", () =>
  inFolder(async (folder) => {
    const disk = join(folder, "disk");
    Deno.mkdirSync(disk);
    const record = (bytes: number, name: string) =>
      `${COMMAND} record --serial sifive --append 'bytes=${bytes} chunk=16' -o ${name} >/dev/null; ` +
      `echo code $?; ls ${name} 2>/dev/null | wc -l`;
    const script = [
      `mount -t tmpfs -o size=8m none ${shellWord(disk)}`,
      `cd ${shellWord(disk)}`,
      `head -c 8300000 /dev/zero > filler`,
      record(64, "none.trace"),
      `rm filler`,
      record(131072, "some.trace"),
      `${COMMAND} query some.trace 'SELECT count(*) > 0 AS kept FROM exit' --format csv`,
    ].join("\n");
    const seen = await shell(folder, ["unshare", "-rm", "sh", "-c", `exec 2>&1\n${script}`]);
    assert.match(seen, /^exitscope: [^\n]*disk is full[^\n]*\ncode 2\n0\n/);
    assert.match(seen, /\nexitscope: [^\n]*disk is full[^\n]*\ncode 2\n\d+\n/);
    assert.match(seen, /kept\ntrue\n$/);
    assert.equal(existsSync(join(disk, "some.trace")), false);
  }));
