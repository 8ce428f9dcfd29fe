import assert from "node:assert/strict";
import { cpio, type CpioEntry } from "./cpio.ts";

interface Read {
  name: string;
  ino: number;
  mode: number;
  mtime: number;
  rdev: [number, number];
  data: string;
}

/** Reads an archive as its description says: header, name, data, each padded to four bytes. */
function read(archive: Uint8Array): Read[] {
  const text = new TextDecoder("latin1").decode(archive);
  const found: Read[] = [];
  for (let at = 0;;) {
    assert.equal(text.slice(at, at + 6), "070701");
    const field = (n: number) => parseInt(text.slice(at + 6 + 8 * n, at + 14 + 8 * n), 16);
    const name = text.slice(at + 110, at + 110 + field(11) - 1);
    const data = at + 110 + field(11) + 3 & ~3;
    if (name === "TRAILER!!!") return found;
    found.push({
      name,
      ino: field(0),
      mode: field(1),
      mtime: field(5),
      rdev: [field(9), field(10)],
      data: text.slice(data, data + field(6)),
    });
    at = data + field(6) + 3 & ~3;
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const ENTRIES: CpioEntry[] = [
  { name: "init", kind: "file", executable: true, bytes: bytes("#!/bin/sh\n") },
  { name: "bin/busybox", kind: "file", executable: true, bytes: bytes("elf") },
  { name: "bin/sh", kind: "link", to: "busybox" },
  { name: "dev/console", kind: "character", major: 5, minor: 1 },
  { name: "a/b/c", kind: "file", bytes: bytes("deep") },
  { name: "empty", kind: "file", bytes: bytes("") },
];

Deno.test("cpio: what is written is read back, with the folders above it first", () => {
  const found = read(cpio(ENTRIES));
  const shown = found.map((e) => `${e.mode.toString(8)} ${e.name} ${e.rdev} ${e.data}`);
  assert.deepEqual(shown, [
    "40755 a 0,0 ",
    "40755 a/b 0,0 ",
    "100644 a/b/c 0,0 deep",
    "40755 bin 0,0 ",
    "100755 bin/busybox 0,0 elf",
    "120777 bin/sh 0,0 busybox",
    "40755 dev 0,0 ",
    "20600 dev/console 5,1 ",
    "100644 empty 0,0 ",
    "100755 init 0,0 #!/bin/sh\n",
  ]);
  assert.deepEqual(new Set(found.map((e) => e.ino)).size, found.length);
  assert.ok(found.every((e) => e.mtime === 0));
});

Deno.test("cpio: the same entries give the same bytes, in whatever order they come", () => {
  assert.deepEqual(cpio(ENTRIES.toReversed()), cpio(ENTRIES));
  assert.equal(cpio(ENTRIES).length % 512, 0);
});
