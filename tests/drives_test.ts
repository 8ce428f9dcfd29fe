/**
 * Drives end to end, with a guest that writes and reads: images stay as they were unless asked, what
 * was read is an input of the run, and a replay holds the image to it.
 * @module
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { DriveSpec, MachineSpec } from "../core/board/spec.ts";
import { GRANULE_BYTES } from "../core/mmio/medium.ts";
import { noise } from "../core/mmio/noise.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { drivesOf } from "../replay/cli/drive.ts";
import { parseDrive } from "../replay/cli/values.ts";
import { InputError, readInput } from "../replay/files.ts";
import { HostImages } from "../replay/images.ts";
import { replay } from "../replay/replay.ts";
import { fileDigests, recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const MIB = 2 ** 20;
const drives = (...given: string[]) => drivesOf(given.map((text) => parseDrive(text)!));

function spec(append: string, ...given: string[]): MachineSpec {
  const kernel = readInput("bundled:block", "kernel").ref;
  return serialSpec({ kernel, append, drives: drives(...given) });
}

/** An image whose contents follow from the seed. */
function image(folder: string, sizeBytes: number, seed = 1): { path: string; bytes: Uint8Array } {
  const bytes = new Uint8Array(sizeBytes);
  noise(seed, 0, bytes);
  const path = `${folder}/disk${seed}.img`;
  Deno.writeFileSync(path, bytes);
  return { path, bytes };
}

const hexCrc = (bytes: Uint8Array) => crc32(bytes).toString(16).padStart(8, "0");
const READS = "mode=sum chunk=4096";
const WRITES = "chunk=4096,16384 bytes=65536 seed=5";

async function verified(directory: string): Promise<void> {
  assert.equal((await replay(directory, { verify: true })).firstDifference, null);
}

Deno.test("an image is read as it is, twice alike, and stays as it was", async () => {
  await withFolder(async (folder) => {
    const { path, bytes } = image(folder, MIB / 4);
    const one = await recordInto(folder, spec(READS, path));
    assert.match(one.text, new RegExp(`read=4096 bytes=${MIB / 4} crc32 ${hexCrc(bytes)}`));
    const two = await recordInto(folder, spec(READS, path), { sliceInsns: 999 });
    assert.deepEqual(fileDigests(two.directory), fileDigests(one.directory));
    await verified(one.directory);
    const written = await recordInto(folder, spec(WRITES, path));
    assert.equal(written.result.exitCode, 0, written.text);
    await verified(written.directory);
    assert.deepEqual(Deno.readFileSync(path), bytes);
  });
});

Deno.test("what was read stands in the trace once, by digest; with embed=on, as it was", async () => {
  await withFolder(async (folder) => {
    const { path, bytes } = image(folder, 10 * GRANULE_BYTES);
    const medium = (directory: string) =>
      [...TraceReader.open(directory).inputs()].filter((row) => row.device === "drive0");
    const twice = spec("mode=sum chunk=4096,512", path);
    const rows = medium((await recordInto(folder, twice)).directory);
    const offsets = Array.from({ length: 10 }, (_, i) => String(i * GRANULE_BYTES));
    assert.deepEqual(rows.map((r) => r.channel), offsets);
    assert.ok(rows.every((r) => r.data.length === 32));
    const kept = await recordInto(folder, spec("mode=sum chunk=4096,512", `${path},embed=on`));
    const data = medium(kept.directory).flatMap((r) => [...r.data]);
    assert.deepEqual(Uint8Array.from(data), bytes);
    Deno.removeSync(path);
    await verified(kept.directory);
  });
});

Deno.test("a replay finds an image that changed where it was read, and says where", async () => {
  await withFolder(async (folder) => {
    const { path, bytes } = image(folder, MIB);
    const { directory } = await recordInto(folder, spec(`${READS} bytes=${MIB / 2}`, path));
    const at = 5 * GRANULE_BYTES + 17;
    const change = (at: number) => {
      const changed = bytes.slice();
      changed[at] ^= 1;
      Deno.writeFileSync(path, changed);
    };
    change(at);
    for (const verify of [true, false]) {
      await assert.rejects(
        () => replay(directory, { verify }),
        (e: Error) =>
          e instanceof InputError &&
          e.message.includes(`drive0: ${path} at offset ${5 * GRANULE_BYTES} is not what`),
      );
    }
    change(MIB / 2 + 1); // Nobody read it.
    await verified(directory);
    Deno.writeFileSync(path, bytes.subarray(0, MIB / 2));
    await assert.rejects(() => replay(directory, { verify: true }), /has 524288 bytes/);
    Deno.removeSync(path);
    await assert.rejects(() => replay(directory, { verify: true }), /there is no such file/);
  });
});

Deno.test("write=on changes the image, and a replay needs it no more", async () => {
  await withFolder(async (folder) => {
    const { path, bytes } = image(folder, MIB);
    const { directory, text } = await recordInto(folder, spec(WRITES, `${path},write=on`));
    const now = Deno.readFileSync(path);
    const [, crc] = /write=16384 bytes=65536 crc32 (\w+)/.exec(text)!;
    assert.equal(hexCrc(now.subarray(0, 65536)), crc);
    assert.deepEqual(now.subarray(65536), bytes.subarray(65536));
    await verified(directory);
    assert.deepEqual(Deno.readFileSync(path), now, "a replay writes nothing");
    Deno.removeSync(path);
    await verified(directory);
  });
});

Deno.test("write=on: what was read before it was overwritten is what a replay reads", async () => {
  await withFolder(async (folder) => {
    // Requests of one sector: every granule is read before the rest of it is written.
    const { path } = image(folder, MIB, 3);
    const s = spec("chunk=512 bytes=8192 seed=9", `${path},write=on`);
    const { directory } = await recordInto(folder, s);
    const again = await recordInto(folder, spec(READS, `${path},write=on`));
    assert.match(again.text, new RegExp(`crc32 ${hexCrc(Deno.readFileSync(path))}`));
    await verified(directory);
    await verified(again.directory);
  });
});

Deno.test("an image of 100 GB is neither read nor hashed whole", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/large.img`;
    using file = Deno.openSync(path, { create: true, write: true });
    file.truncateSync(100e9);
    const { directory, text } = await recordInto(folder, spec(`${READS} bytes=65536`, path));
    assert.match(text, /disk=virtio bytes=100000000000/);
    await verified(directory);
    const size = Deno.statSync(path).blocks ?? 0;
    assert.ok(size < 1000, `${size} blocks were filled`);
  });
});

Deno.test("a blank drive is zeros, a seeded one follows from its seed", async () => {
  await withFolder(async (folder) => {
    const sum = async (drive: string) => {
      const { text, directory } = await recordInto(folder, spec(READS, drive));
      await verified(directory);
      return /crc32 (\w+)/.exec(text)![1];
    };
    assert.equal(await sum("size=256K"), hexCrc(new Uint8Array(256 * 1024)));
    const bytes = new Uint8Array(256 * 1024);
    noise(11, 0, bytes);
    assert.equal(await sum("size=256K,seed=11"), hexCrc(bytes));
  });
});

Deno.test("a drive behind a SCSI controller holds what a virtio one does, and replays", async () => {
  await withFolder(async (folder) => {
    const { path, bytes } = image(folder, MIB / 4);
    const sums = (text: string) => [...text.matchAll(/crc32 (\w+)/g)].map((m) => m[1]);
    const virtio = await recordInto(folder, spec(WRITES, path));
    const scsi = await recordInto(folder, spec(WRITES, `${path},if=scsi`));
    assert.match(scsi.text, /disk=lsi53c895a/);
    assert.deepEqual(sums(scsi.text), sums(virtio.text));
    await verified(scsi.directory);
    const kept = await recordInto(folder, spec(READS, `${path},if=scsi`));
    assert.deepEqual(sums(kept.text), [hexCrc(bytes)]);
  });
});

Deno.test("SCSI drives go to the controller that was asked for, at its places; too many are refused", async () => {
  await withFolder(async (folder) => {
    const device = (props: Record<string, string>) => ({
      use: "lsi53c895a",
      file: null,
      addr: null,
      irq: null,
      slot: 3,
      props,
    });
    const two = { ...spec(READS, "size=64K,seed=1,if=scsi", "size=64K,seed=2,if=none,id=b") };
    const far = { ...two, devices: [device({ units: "9:2+5:0", drive: "b" })] };
    const { text } = await recordInto(folder, far);
    // Bay 0 is `drive=`'s; the guest takes the first target that has LUN 0: 5, which is bay 1.
    const bytes = new Uint8Array(64 * 1024);
    noise(1, 0, bytes);
    assert.match(text, new RegExp(`crc32 ${hexCrc(bytes)}`));
    const many = Array.from({ length: 17 }, () => "size=64K,if=scsi");
    await assert.rejects(recordInto(folder, spec(READS, ...many)), /lsi53c895a has 17 drives/);
  });
});

Deno.test("a trace without drives in its manifest, as older ones are, replays", async () => {
  await withFolder(async (folder) => {
    const { directory } = await recordInto(folder, serialSpec());
    const path = `${directory}/manifest.json`;
    const manifest = JSON.parse(Deno.readTextFileSync(path));
    delete manifest.machine.drives;
    Deno.writeTextFileSync(path, JSON.stringify(manifest));
    await verified(directory);
  });
});

Deno.test("latency and bandwidth of a drive are virtual time", async () => {
  await withFolder(async (folder) => {
    const time = async (drive: string) =>
      (await recordInto(folder, spec("mode=sum chunk=65536", drive))).result.timeNs;
    const fast = await time("size=1M,latency=0");
    // 16 requests wait 1 ms each; 1 MiB at 10 MiB/s takes 100 ms.
    const slow = await time("size=1M,latency=1ms");
    const narrow = await time("size=1M,latency=0,bandwidth=10M");
    assert.ok(Math.abs(slow - fast - 16e6) < 1e6, `${slow - fast} ns`);
    assert.ok(Math.abs(narrow - fast - 100e6) < 2e6, `${narrow - fast} ns`);
  });
});

Deno.test("an image that changes under a running machine is found out when it is read again", () => {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  const images = new HostImages();
  try {
    const sizeBytes = 1100 * GRANULE_BYTES; // More than is kept at hand.
    const { path, bytes } = image(folder, sizeBytes);
    const reads: number[] = [];
    const [drive] = drives(path) as [DriveSpec];
    const medium = images.open(drive, (at) => reads.push(at));
    const got = new Uint8Array(sizeBytes);
    medium.read(0, got);
    assert.deepEqual(got, bytes);
    medium.read(0, got);
    assert.equal(reads.length, 1100, "each granule is told of once");
    using file = Deno.openSync(path, { write: true });
    file.seekSync(3 * GRANULE_BYTES, Deno.SeekMode.Start);
    file.writeSync(Uint8Array.of(~bytes[3 * GRANULE_BYTES]));
    const changed = /drive0: .* at offset 49152 changed while the machine ran/;
    assert.throws(() => medium.read(0, got), changed);
  } finally {
    images.close();
    Deno.removeSync(folder, { recursive: true });
  }
});
