/**
 * Debian's stock kernel with its own driver, sym53c8xx, on our LSI 53C895A: data unchanged, a file system
 * made and read back, and each request as many SCRIPTS instructions as on QEMU's.
 * @module
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { type CommandName, COMMANDS } from "../core/mmio/scsi/cdb.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { payload, PAYLOAD_BYTES } from "../replay/guests/linux.ts";
import { replay } from "../replay/replay.ts";
import { linux, opensbi } from "./linux/guest.ts";
import { runQemuScsi, scsiLines, scsiMachine } from "./linux/scsi.ts";
import { qemu } from "./needs.ts";
import { type Recorded, recordInto } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const BLOCK = 4096;
const REQUESTS = PAYLOAD_BYTES / BLOCK;
const LIMIT = { untilIcount: 12_000_000_000 };
const READ_10 = 0x28, WRITE_10 = 0x2a;

const guest = linux();
const expected = crc32(payload()).toString(16).padStart(8, "0");

/** Requests and instructions of each region, and accesses of the guest to the controller. */
function counted({ directory }: Recorded) {
  const reader = TraceReader.open(directory);
  const marks = [...reader.rows("mark")];
  const devices = reader.names("device");
  const lsi = devices.indexOf("lsi53c895a0");
  const between = <T extends { seq: number; device: number | null }>(
    rows: Iterable<T>,
    at: number,
  ) =>
    [...rows].filter((r) => r.device === lsi && r.seq > marks[at].seq && r.seq < marks[at + 1].seq);
  return [0, 2].map((at) => ({
    label: marks[at].label,
    requests: between(reader.rows("request"), at),
    instructions: between(reader.rows("step"), at).filter((s) => s.kind === 0).length,
    accesses: between(reader.rows("access"), at).length,
  }));
}

/** Operation codes in the order in which commands ended; 0xa3 is what our target does not know. */
function ourOpcodes(directory: string): number[] {
  const reader = TraceReader.open(directory);
  const names = reader.names("scsi_command") as CommandName[];
  const devices = reader.names("device");
  return [...reader.rows("request")].filter((r) => devices[r.device] === "lsi53c895a0")
    .map((r) => r.command === null ? 0xa3 : COMMANDS[names[r.command]].opcode);
}

guest.test("linux on LSI 53C895A: it works, and replays", () =>
  withFolder(async (folder) => {
    const { spec } = await scsiMachine({ bios: "builtin" });
    const recorded = await recordInto(folder, spec, LIMIT);
    const { result, text, directory } = recorded;
    assert.deepEqual(result.end, { kind: "poweroff", code: 0 }, text.slice(-3000));
    assert.match(text, new RegExp(`^exitscope: crc32 ${expected}`, "m"));
    assert.doesNotMatch(text, /WARNING:|BUG:|Call Trace|not loaded|ABORT|RESET operation/);
    for (const { label, requests, accesses } of counted(recorded)) {
      assert.equal(requests.length, REQUESTS, label);
      assert.ok(requests.every((r) => r.bytes === BLOCK && r.status === 0), label);
      assert.equal(accesses, 4 * REQUESTS, `${label}: ISTAT four times a request`);
    }
    const { ok, firstDifference } = await replay(directory, { verify: true });
    assert.equal(ok, true, JSON.stringify(firstDifference, (_, v) => String(v)));
  }));

guest.test("linux on LSI 53C895A: a file system is made, mounted and checked", () =>
  withFolder(async (folder) => {
    const { spec } = await scsiMachine({ bios: "builtin", append: "run=files" });
    const { result, text } = await recordInto(folder, spec, LIMIT);
    assert.deepEqual(result.end, { kind: "poweroff", code: 0 }, text.slice(-3000));
    assert.match(text, new RegExp(`^exitscope: file crc32 ${expected}`, "m"));
    assert.match(text, /EXT4-fs \(sda\): mounted filesystem/);
  }));

const both = guest.met && opensbi().met ? qemu() : guest.met ? opensbi() : guest;
both.test("linux on LSI 53C895A: commands, SCRIPTS instructions and the console are QEMU's", () =>
  withFolder(async (folder) => {
    const { spec } = await scsiMachine({ bios: "opensbi" });
    const recorded = await recordInto(folder, spec, LIMIT);
    const theirs = await runQemuScsi(folder, spec);
    assert.deepEqual(scsiLines(recorded.text), scsiLines(theirs.console));
    const [write, read] = counted(recorded);
    for (const [ours, opcode] of [[write, WRITE_10], [read, READ_10]] as const) {
      const same = theirs.commands.filter((c) => c.opcode === opcode && c.bytes === BLOCK);
      // The first and the last command of a region share it with what lies around them.
      const inner = same.slice(1, -1).map((c) => c.instructions);
      assert.ok(same.length >= REQUESTS);
      assert.deepEqual([...new Set(inner)].length, 1, "theirs always take as many");
      const perRequest = ours.instructions / REQUESTS;
      assert.ok(Math.abs(perRequest - inner[0]) < 0.01 * inner[0], `${perRequest} and ${inner[0]}`);
    }
    assert.deepEqual(ourOpcodes(recorded.directory), theirs.commands.map((c) => c.opcode));
  }));
