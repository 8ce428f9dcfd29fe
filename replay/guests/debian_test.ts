/**
 * The fetch against an apt of our own making: a folder of scripts in front of the path, which says what the
 * real tools say. The real ones are tried by tests/linux_test.ts.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { debianArchives, type ToolEnv, TOOLS } from "./apt.ts";
import { CACHE_VARIABLE, cacheFolder } from "./cache.ts";
import { cachedDebian, fetchDebian } from "./debian.ts";
import { FAKE_GUEST, withTemp, writeAll } from "./testing.ts";

Deno.test("apt: Debian's archive is told by its name or its release, once, and nothing else is", () => {
  const targets = [
    "mirror://a\tbookworm\tmain\t$(ORIGIN)",
    "mirror://a\tbookworm\tcontrib\tDebian",
    "mirror://a\tbookworm-updates\tmain\tDebian",
    "mirror://security\tbookworm-security\tmain\tDebian",
    "mirror://node\tnodistro\tmain\tNode Source",
    "mirror://b\ttrixie\tmain\tDebian",
    "mirror://a\tsid\tmain\t$(ORIGIN)",
    "mirror://c\tnoble\tmain\tUbuntu",
    "",
  ];
  assert.deepEqual(debianArchives(targets.join("\n")), ["mirror://a", "mirror://b"]);
  assert.deepEqual(debianArchives(""), []);
});

Deno.test("cache: its folder follows the environment", () => {
  const folder = (env: Record<string, string>) => cacheFolder((name) => env[name]);
  assert.equal(folder({ HOME: "/h" }), join("/h", ".cache", "exitscope"));
  assert.equal(folder({ HOME: "/h", XDG_CACHE_HOME: "x" }), join("/h", ".cache", "exitscope"));
  assert.equal(folder({ HOME: "/h", XDG_CACHE_HOME: "/x" }), join("/x", "exitscope"));
  assert.equal(folder({ HOME: "/h", XDG_CACHE_HOME: "/x", [CACHE_VARIABLE]: "/own" }), "/own");
});

const SHOW = `case "$last" in
  linux-image-riscv64) echo "Package: linux-image-riscv64
Depends: linux-image-6.1-riscv64 (= 6.1-1)" ;;
  *) echo "Package: $last
Version: 1:6.1-1
Size: 1000
SHA256: 0011" ;;
esac`;

/** Scripts that stand for apt and dpkg; `last` is their last argument. */
function tools(change: Readonly<Record<string, string>> = {}): Record<string, string> {
  const steps: Record<string, string> = {
    indextargets: `printf 'mirror://a\\tbookworm\\tmain\\tDebian\\n'`,
    update: "exit 0",
    download: "echo deb >kernel.deb; echo deb >busybox.deb",
    show: SHOW,
    "--extract":
      Object.keys(FAKE_GUEST).map((name) =>
        `mkdir -p "$(dirname "$last/${name}")"; cp "$FAKE_GUEST/${name}" "$last/${name}"`
      ).join("\n") + `\nmkdir -p "$last/usr/share/doc"`,
    ...change,
  };
  const cases = Object.entries(steps).map(([word, does]) => `*" ${word}"*) ${does} ;;`).join("\n");
  const script = `#!/bin/sh\nfor last; do :; done\ncase " $* " in\n${cases}\nesac\n`;
  return Object.fromEntries(TOOLS.map((tool) => [tool, script]));
}

interface FakeApt {
  /** Where guests are fetched to. */
  readonly folder: string;
  /** In which the scripts are the tools. */
  readonly env: ToolEnv;
}

/** Runs `body` with `scripts` for apt and a folder that is not there yet. */
async function withApt(
  scripts: Record<string, string>,
  body: (fake: FakeApt) => Promise<void>,
): Promise<void> {
  await withTemp(async (temp) => {
    writeAll(temp, Object.fromEntries(Object.entries(scripts).map(([n, s]) => [`bin/${n}`, s])));
    for (const name of Object.keys(scripts)) Deno.chmodSync(join(temp, "bin", name), 0o755);
    writeAll(join(temp, "guest"), FAKE_GUEST);
    const PATH = `${join(temp, "bin")}:${Deno.env.get("PATH")!}`;
    const env = { PATH, FAKE_GUEST: join(temp, "guest") };
    await body({ folder: join(temp, "linux"), env });
  });
}

const quiet = { say: () => {}, fetched: () => {} };
const below = (folder: string) => [...Deno.readDirSync(folder)].map((e) => e.name);

Deno.test("fetch: what was fetched is found again, with its packages, and without their manuals", () =>
  withApt(tools(), async ({ folder, env }) => {
    assert.equal(cachedDebian(folder), null);
    const steps: string[] = [];
    const view = { ...quiet, say: (s: string) => void steps.push(s) };
    const fetched = await fetchDebian(view, folder, env);
    assert.deepEqual(steps.map((s) => s.split(" ")[0]), ["reading", "fetching", "unpacking"]);
    assert.deepEqual(cachedDebian(folder), fetched);
    const of = { version: "1:6.1-1", sha256: "0011", bytes: 1000 };
    const names = ["linux-image-6.1-riscv64", "busybox-static"];
    assert.deepEqual(fetched.packages, names.map((name) => ({ name, ...of })));
    assert.deepEqual(below(folder), ["1_6.1-1_1_6.1-1"]);
    assert.throws(() => Deno.statSync(join(folder, below(folder)[0], "usr/share")));
  }));

const FAILURES: Record<string, [Record<string, string>, RegExp]> = {
  "no archive of Debian": [
    { indextargets: `printf 'mirror://c\\tnoble\\tmain\\tUbuntu\\n'` },
    /apt is not configured with an archive of Debian/,
  ],
  "an archive that cannot be reached": [
    { update: `echo "W: slow" >&2; echo "E: Could not resolve the mirror" >&2; exit 100` },
    /cannot read the packages of trixie: Could not resolve the mirror/,
  ],
  "a release without the package": [
    { show: "exit 100" },
    /the archive has no package linux-image-riscv64/,
  ],
  "a download that breaks off": [
    { download: `echo part >kernel.deb; echo "E: Connection failed" >&2; exit 100` },
    /cannot fetch linux-image-6.1-riscv64=1:6.1-1, .*: Connection failed/,
  ],
  "a damaged package": [
    { "--extract": `echo "not an archive" >&2; exit 2` },
    /dpkg-deb cannot unpack \w+\.deb: not an archive/,
  ],
};

for (const [what, [change, message]] of Object.entries(FAILURES)) {
  Deno.test(`fetch: ${what} is said in a sentence, and leaves nothing behind`, () =>
    withApt(tools(change), async ({ folder, env }) => {
      const fix = /--guest-dir DIR and put there/;
      await assert.rejects(fetchDebian(quiet, folder, env), { message, fix });
      assert.deepEqual(below(folder), []);
      assert.equal(cachedDebian(folder), null);
    }));
}

Deno.test("fetch: what a killed one left is no guest, and goes when it is old", () =>
  withApt(tools(), async ({ folder, env }) => {
    writeAll(join(folder, ".fetch-old", "root"), { ...FAKE_GUEST, "packages.json": "[]" });
    writeAll(join(folder, ".fetch-new", "root"), FAKE_GUEST);
    Deno.utimeSync(join(folder, ".fetch-old"), 0, 0);
    assert.equal(cachedDebian(folder), null);
    await fetchDebian(quiet, folder, env);
    assert.deepEqual(below(folder).sort(), [".fetch-new", "1_6.1-1_1_6.1-1"]);
  }));

Deno.test("fetch: two at once fetch once", () =>
  withApt(tools(), async ({ folder, env }) => {
    const steps: string[] = [];
    const view = { ...quiet, say: (s: string) => void steps.push(s.split(" ")[0]) };
    const [a, b] = await Promise.all([1, 2].map(() => fetchDebian(view, folder, env)));
    assert.deepEqual(b, a);
    assert.deepEqual(steps, ["reading", "fetching", "unpacking"]);
  }));
