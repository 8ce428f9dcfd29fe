/**
 * Debian's stock kernel on our machine: with either firmware, one hart and several, on every console, it
 * boots, moves its data through virtio-blk unchanged and powers off; recorded twice alike, reproduced,
 * and with QEMU's accesses to every register.
 * @module
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { TraceReader } from "../core/trace/reader.ts";
import { cachedDebian } from "../replay/guests/debian.ts";
import { payload, PAYLOAD_BYTES } from "../replay/guests/linux.ts";
import { replay } from "../replay/replay.ts";
import { countBoth } from "./accounting.ts";
import type { QemuDisk } from "./linux/qemu.ts";
import { run } from "./cli.ts";
import { linux, type LinuxMachine, linuxMachine, opensbi } from "./linux/guest.ts";
import { qemu } from "./needs.ts";
import { fileDigests, type Recorded, recordInto } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const BLOCK = 4096;
const REQUESTS = PAYLOAD_BYTES / BLOCK;
/** Counts of QEMU's that ours must meet to so many hundredths. */
const TOLERANCE = 0.01;
/** A guest that hangs ends here; none needs half as many. */
const LIMIT = { untilIcount: 12_000_000_000 };

const guest = linux();
const title = (m: LinuxMachine) =>
  `linux: ${m.bios}, ${m.harts} hart${m.harts === 1 ? "" : "s"}, ${m.serial}` +
  (m.disk === undefined ? "" : `, ${m.disk}`);

/** Registers a test that has what the machine needs. */
function linuxTest(m: LinuxMachine, what: string, body: (folder: string) => Promise<void>): void {
  const need = m.bios === "opensbi" && guest.met ? opensbi() : guest;
  need.test(`${title(m)}: ${what}`, () => withFolder(body));
}

/** What a boot must show, whatever the machine. */
function assertWorked({ directory, result, text }: Recorded): void {
  assert.deepEqual(result.end, { kind: "poweroff", code: 0 }, text.slice(-3000));
  const expected = crc32(payload()).toString(16).padStart(8, "0");
  assert.match(text, new RegExp(`^exitscope: crc32 ${expected}`, "m"));
  assert.match(text, /reboot: Power down/);
  assert.doesNotMatch(text, /WARNING:|BUG:|Call Trace|not loaded/);
  const reader = TraceReader.open(directory);
  const marks = [...reader.rows("mark")];
  assert.deepEqual(
    marks.map((m) => [m.label, Number(m.number)]),
    ["write begin", "write end", "read begin", "read end"].map((l) => [l, PAYLOAD_BYTES]),
  );
  const [kinds, statuses] = [reader.names("request_kind"), reader.names("request_status")];
  for (const [kind, from] of [["disk_write", 0], ["disk_read", 2]] as const) {
    const requests = [...reader.rows("request")].filter((r) =>
      kinds[r.kind] === kind && r.seq > marks[from].seq && r.seq < marks[from + 1].seq
    );
    assert.equal(requests.length, REQUESTS, kind);
    assert.ok(requests.every((r) => r.bytes === BLOCK && statuses[r.status] === "ok"), kind);
  }
}

// Every pair of two choices occurs; accounting adds OpenSBI with one hart and the 16550.
const BOOTS: readonly LinuxMachine[] = [
  { bios: "builtin", harts: 4, serial: "16550" },
  { bios: "builtin", harts: 1, serial: "sifive", disk: "virtio-scsi-pci" },
  { bios: "opensbi", harts: 4, serial: "sifive", disk: "virtio-blk-pci" },
  { bios: "opensbi", harts: 4, serial: "virtio" },
];
/** Also recorded a second time, and replayed. */
const TWICE = BOOTS.slice(0, 2);

for (const m of BOOTS) {
  const twice = TWICE.includes(m);
  const what = twice ? "it works, twice to the same bytes, and replays" : "it works";
  linuxTest(m, what, async (folder) => {
    const { spec } = await linuxMachine(m);
    const first = await recordInto(folder, spec, LIMIT);
    assertWorked(first);
    if (!twice) return;
    const second = await recordInto(folder, spec, { ...LIMIT, sliceInsns: 777_777 });
    assert.deepEqual(fileDigests(second.directory), fileDigests(first.directory));
    Deno.removeSync(second.directory, { recursive: true });
    const { ok, firstDifference } = await replay(first.directory, { verify: true });
    assert.equal(ok, true, JSON.stringify(firstDifference, (_, v) => String(v)));
  });
}

linuxTest(
  { bios: "builtin", harts: 1, serial: "16550" },
  "a disk that refuses to be written ends it with a failure",
  async (folder) => {
    const m: LinuxMachine = { bios: "builtin", harts: 1, serial: "16550", readOnly: true };
    const { spec } = await linuxMachine(m);
    const { result, text } = await recordInto(folder, spec, LIMIT);
    assert.deepEqual(result.end, { kind: "fail", code: 1 }, text.slice(-3000));
    assert.match(text, /^exitscope: cannot write \/dev\/vda/m);
  },
);

linuxTest(
  { bios: "builtin", harts: 1, serial: "virtio" },
  "the command shows what the work took, and the manifest says which packages",
  async (folder) => {
    const args = ["record", "--guest", "linux", "--serial", "virtio", "-o", "linux.trace"];
    const { code, stdout, stderr } = await run(folder, args);
    assert.equal(code, 0, stderr);
    const row = (name: string) => new RegExp(`^  ${name} +1,024 +1,024$`, "m");
    for (const name of ["requests", "virtio-blk0.QueueNotify write"]) {
      assert.match(stdout, row(name));
    }
    assert.match(stdout, /^\[ +0\.000000\] Linux version/m);
    const directory = `${folder}/linux.trace`;
    const { manifest } = TraceReader.open(directory);
    const machine = manifest.machine as { guest: unknown };
    assert.deepEqual(machine.guest, { name: "linux", packages: cachedDebian()!.packages });
    const kernel = manifest.files.find((f) => f.path.includes("vmlinux"))!;
    assert.match(kernel.path, /^cache:linux\//);
  },
);

/** Accesses to the device's registers in each region: a kick a request, and what an interrupt takes. */
const ACCESSES: Readonly<Record<QemuDisk, readonly string[]>> = {
  modern: [
    "virtio-blk0.QueueNotify write 4",
    "virtio-blk0.InterruptStatus read 4",
    "virtio-blk0.InterruptACK write 4",
  ],
  legacy: [
    "virtio-blk0.QueueNotify write 4",
    "virtio-blk0.InterruptStatus read 4",
    "virtio-blk0.InterruptACK write 4",
  ],
  "virtio-blk-pci": [
    "virtio-blk-pci0.queue_notify write 2",
    "virtio-blk-pci0.isr_status read 1",
  ],
  "virtio-scsi-pci": [
    "virtio-scsi-pci0.queue_notify write 2",
    "virtio-scsi-pci0.isr_status read 1",
  ],
};

for (const disk of Object.keys(ACCESSES) as QemuDisk[]) {
  const m: LinuxMachine = { bios: "opensbi", harts: 1, serial: "16550" };
  const both = guest.met && opensbi().met ? qemu() : guest.met ? opensbi() : guest;
  both.test(
    `${title(m)}, ${disk}: accesses to every register and the console are QEMU's`,
    () =>
      withFolder(async (folder) => {
        const { recorded, lines, unexplained, theirs } = await countBoth(folder, disk);
        assertWorked(recorded);
        assert.match(theirs, /reboot: Power down/);
        const wrong = lines.filter(({ ours, theirs }) =>
          Math.abs(ours - theirs) > TOLERANCE * theirs
        );
        assert.deepEqual(wrong, []);
        for (const part of ["write", "read"]) {
          const own = lines.filter((l) => l.part === part && l.name.startsWith("virtio-"));
          assert.deepEqual(own.map((l) => l.name).sort(), [...ACCESSES[disk]].sort(), part);
          assert.ok(own.every((l) => l.ours >= REQUESTS && l.ours < 1.01 * REQUESTS), part);
        }
        assert.deepEqual(
          unexplained,
          [],
          "in the list of tests/linux/console.ts say why, or mend it",
        );
      }),
  );
}
