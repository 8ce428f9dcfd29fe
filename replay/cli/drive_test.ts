import assert from "node:assert/strict";
import { drivesOf } from "./drive.ts";
import { UserError } from "./errors.ts";
import { parseDrive, parseDuration } from "./values.ts";

function withImage(sizeBytes: number, test: (path: string) => void): void {
  const path = Deno.makeTempFileSync({ prefix: "exitscope-", suffix: ".img" });
  try {
    Deno.truncateSync(path, sizeBytes);
    test(path);
  } finally {
    Deno.removeSync(path);
  }
}

const drives = (...given: string[]) => drivesOf(given.map((text) => parseDrive(text)!));

Deno.test("--drive: words are a file first, or file=, or a size", () => {
  assert.deepEqual(parseDrive("a.img,readonly"), { path: "a.img", options: { readonly: "on" } });
  assert.deepEqual(parseDrive("if=none,file=a.img"), { path: "a.img", options: { if: "none" } });
  assert.deepEqual(parseDrive("size=64M"), { path: null, options: { size: "64M" } });
  for (const wrong of ["", ",readonly=on", "a.img,=1"]) assert.equal(parseDrive(wrong), null);
});

Deno.test("a time has a unit or is in ns", () => {
  const cases = { "7": 7, "7ns": 7, "20us": 20_000, "1.5ms": 1_500_000, "2s": 2e9 };
  for (const [text, ns] of Object.entries(cases)) assert.equal(parseDuration(text), ns);
  for (const wrong of ["", "us", "1m", "-1", "1 us", "0.5ns"]) {
    assert.equal(parseDuration(wrong), null, wrong);
  }
});

Deno.test("--drive: an image is pinned by path, size and, when it is small, digest", () => {
  withImage(1024, (path) => {
    const [d] = drives(`${path},latency=20us,bandwidth=1M,num_queues=2`);
    assert.deepEqual([d.id, d.path, d.sizeBytes, d.interface], ["drive0", path, 1024, "virtio"]);
    assert.equal(d.sha256, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
    assert.deepEqual([d.latencyNs, d.bandwidth, d.props], [20_000, 2 ** 20, { num_queues: "2" }]);
  });
  withImage(2 ** 40, (path) => assert.equal(drives(path)[0].sha256, null));
});

Deno.test("--drive: several count on, and a blank one needs a size", () => {
  const ids = drives("size=1M", "size=512,id=scratch", "size=2M").map((d) => d.id);
  assert.deepEqual(ids, ["drive0", "scratch", "drive2"]);
});

/** Each mistake, and what the one line about it must say. */
const MISTAKES: [string, RegExp][] = [
  ["no-such.img", /no-such\.img: there is no such file.*size=64M/],
  ["size=100", /size=100.*multiple of 512/],
  ["id=x", /neither a file nor a size/],
  ["size=64M,latency=soon", /latency=soon makes no sense.*500ns, 20us or 4ms/],
  ["size=64M,if=ide", /if=ide makes no sense/],
  ["size=64M,readonly=maybe", /readonly=maybe makes no sense.*on or off/],
  ["size=64M,format=qcow2", /format=qcow2 makes no sense.*raw/],
  ["size=64M,latancy=1us", /no property "latancy".*Did you mean latency\?/],
  ["size=64M,zzzzzz=1", /no property "zzzzzz".*num_queues/],
  ["size=64M,write=on", /write=on has no file/],
  ["size=64M,embed=on", /embed= has no file/],
];
for (const [given, message] of MISTAKES) {
  Deno.test(`--drive ${given}: refused in one line, with what to do`, () => {
    assert.throws(() => drives(given), (e) => {
      assert.ok(e instanceof UserError);
      assert.match(`${e.message} ${e.fix}`, message);
      return !e.message.includes("\n");
    });
  });
}

Deno.test("--drive: images that cannot be used are refused", () => {
  const refused = (given: string[], message: RegExp) =>
    assert.throws(
      () => drives(...given),
      (e) => e instanceof UserError && message.test(`${e.message} ${e.fix}`),
    );
  withImage(1000, (path) => refused([path], /1000 bytes are no whole number.*truncate -s 1024/));
  withImage(0, (path) => refused([path], /0 bytes/));
  withImage(512, (path) => {
    refused([`${path},write=on,readonly=on`], /readonly=on protects/);
    refused([`${path},size=1M`], /size= is that of the file/);
    refused([`${path},seed=1`], /seed= is for a drive without a file/);
    refused([`${path},write=on,embed=off`], /embed=off would lose/);
    refused([path, `${path},write=on`], /used twice/);
    assert.equal(drives(path, path).length, 2, "two may read one image");
  });
  refused(["/dev/null"], /is no regular file/);
  refused(["."], /is no regular file|Is a directory/);
});
