/**
 * virtio-blk. Source: Virtio 1.2 §5.2.
 *
 * What is offered, and the sizes of queues and requests, are those of QEMU's virtio-blk-device, so that
 * a driver makes the same accesses here. A request reads its header when it is popped, takes the time
 * of its drive, and moves its data when that has passed; one that never reaches the medium (an error,
 * the serial number) is answered within the exit. Discarded sectors read as zeros.
 *
 * Not here: VIRTIO_BLK_F_SIZE_MAX, _LIFETIME, _SECURE_ERASE, _ZONED; of the legacy interface, barriers
 * and SCSI commands.
 * @module
 */
import { PlugError, prop, u8 } from "../mmio/device.ts";
import type { Medium } from "../mmio/medium.ts";
import { virtioMmio } from "./transport_mmio.ts";
import { virtioPci } from "./transport_pci.ts";
import { type ConfigField, type Served, virtioDevice, type VirtioPort } from "./virtio.ts";
import { type Chain, type Fault, partBytes } from "./virtqueue.ts";

const SECTOR = 512;
const QUEUE_SIZE = 256;
const MAX_QUEUES = 8;
/** Room for the header and the status byte. */
const SEG_MAX = QUEUE_SIZE - 2;
const MAX_BYTES = 1 << 28;
const HEADER_BYTES = 16; // type, reserved, sector
const STATUS_BYTES = 1;
const ID_BYTES = 20;
const SERIAL_LIMIT = "a serial number has at most 20 characters of ASCII";

/** §5.2.6: the status byte. */
const S = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;
type Status = (typeof S)[keyof typeof S];

/** §5.2.6: an entry of the list that a discard or write-zeroes request carries. */
const ENTRY = { bytes: 16, sector: 0, numSectors: 8, flags: 12 } as const;
const UNMAP = 1;
const MAX_ENTRIES = 1;
const MAX_ENTRY_SECTORS = 0x3fffff; // 2 GiB less a sector

const FEATURES = {
  VIRTIO_BLK_F_SEG_MAX: { bit: 2, spec: "§5.2.3" },
  VIRTIO_BLK_F_GEOMETRY: { bit: 4, spec: "§5.2.3" },
  VIRTIO_BLK_F_RO: { bit: 5, spec: "§5.2.3" },
  VIRTIO_BLK_F_BLK_SIZE: { bit: 6, spec: "§5.2.3" },
  VIRTIO_BLK_F_FLUSH: { bit: 9, spec: "§5.2.3" },
  VIRTIO_BLK_F_TOPOLOGY: { bit: 10, spec: "§5.2.3" },
  VIRTIO_BLK_F_CONFIG_WCE: {
    bit: 11,
    spec: "§5.2.3",
    needs: "VIRTIO_BLK_F_FLUSH", // §5.2.5.2
  },
  VIRTIO_BLK_F_MQ: { bit: 12, spec: "§5.2.3" },
  VIRTIO_BLK_F_DISCARD: { bit: 13, spec: "§5.2.3" },
  VIRTIO_BLK_F_WRITE_ZEROES: { bit: 14, spec: "§5.2.3" },
} as const;
type BlkFeature = keyof typeof FEATURES;

interface Command {
  kind: Served["kind"];
  /** What its data are: sectors to the guest or from it, the serial number, a list of ranges. */
  data: "in" | "out" | "id" | "list" | "none";
  /** Unsupported unless negotiated. */
  feature?: BlkFeature;
}

/** §5.2.6, and VIRTIO_BLK_T_FLUSH_OUT of the legacy interface. */
const COMMANDS: Readonly<Record<number, Command>> = {
  0: { kind: "disk_read", data: "in" },
  1: { kind: "disk_write", data: "out" },
  4: { kind: "disk_flush", data: "none" },
  5: { kind: "disk_flush", data: "none" },
  8: { kind: "disk_get_id", data: "id" },
  11: { kind: "disk_discard", data: "list", feature: "VIRTIO_BLK_F_DISCARD" },
  13: { kind: "disk_write_zeroes", data: "list", feature: "VIRTIO_BLK_F_WRITE_ZEROES" },
};
const UNKNOWN: Command = { kind: "disk_unknown", data: "none" };

interface Request {
  command: Command;
  /** Why it is refused before it reaches the medium, else OK. */
  refused: Status;
  /** First byte on the medium. */
  at: number;
  /** Bytes of data that the driver sent, and room for data that it gave. */
  given: number;
  room: number;
}

/** Past 2^53 the low bits are lost: no medium is that large. */
const u64At = (view: DataView, at: number) =>
  view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);

/** Geometry of a disk that nobody partitioned, as QEMU guesses it. */
const GEOMETRY = { heads: 16, sectors: 63, minCylinders: 2, maxCylinders: 16383 } as const;
function cylinders(sectors: number): number {
  const { heads, minCylinders, maxCylinders } = GEOMETRY;
  const whole = Math.floor(sectors / (heads * GEOMETRY.sectors));
  return Math.max(minCylinders, Math.min(whole, maxCylinders));
}

/** §5.2.4: fields that do not depend on the driver. */
function geometryFields(capacity: () => number, numQueues: number): ConfigField[] {
  const field = (
    at: number,
    name: string,
    size: 1 | 2 | 4 | 8,
    value: number | (() => number),
    feature?: BlkFeature,
  ): ConfigField => ({
    at,
    name,
    size,
    get: typeof value === "number" ? () => value : value,
    feature,
  });
  return [
    field(0, "capacity", 8, capacity),
    field(12, "seg_max", 4, SEG_MAX, "VIRTIO_BLK_F_SEG_MAX"),
    field(16, "cylinders", 2, () => cylinders(capacity()), "VIRTIO_BLK_F_GEOMETRY"),
    field(18, "heads", 1, GEOMETRY.heads, "VIRTIO_BLK_F_GEOMETRY"),
    field(19, "sectors", 1, GEOMETRY.sectors, "VIRTIO_BLK_F_GEOMETRY"),
    field(20, "blk_size", 4, SECTOR, "VIRTIO_BLK_F_BLK_SIZE"),
    field(24, "physical_block_exp", 1, 0, "VIRTIO_BLK_F_TOPOLOGY"),
    field(25, "alignment_offset", 1, 0, "VIRTIO_BLK_F_TOPOLOGY"),
    field(26, "min_io_size", 2, 0, "VIRTIO_BLK_F_TOPOLOGY"),
    field(28, "opt_io_size", 4, 0, "VIRTIO_BLK_F_TOPOLOGY"),
    field(34, "num_queues", 2, numQueues, "VIRTIO_BLK_F_MQ"),
    field(36, "max_discard_sectors", 4, MAX_ENTRY_SECTORS, "VIRTIO_BLK_F_DISCARD"),
    field(40, "max_discard_seg", 4, MAX_ENTRIES, "VIRTIO_BLK_F_DISCARD"),
    field(44, "discard_sector_alignment", 4, 1, "VIRTIO_BLK_F_DISCARD"),
    field(48, "max_write_zeroes_sectors", 4, MAX_ENTRY_SECTORS, "VIRTIO_BLK_F_WRITE_ZEROES"),
    field(52, "max_write_zeroes_seg", 4, MAX_ENTRIES, "VIRTIO_BLK_F_WRITE_ZEROES"),
    field(56, "write_zeroes_may_unmap", 1, 1, "VIRTIO_BLK_F_WRITE_ZEROES"),
  ];
}

/** What the driver last wrote to `writeback`. */
const UNCHOSEN = 2;

const u32Of = (bytes: readonly number[], at: number): number =>
  (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;

class Disk {
  constructor(
    private readonly v: VirtioPort<BlkFeature>,
    private readonly s: { writeback: number },
    private readonly serial: Uint8Array,
  ) {}

  get sizeBytes(): number {
    const bytes = this.v.drive()?.medium.sizeBytes ?? 0;
    return bytes - bytes % SECTOR;
  }

  get readOnly(): boolean {
    return this.v.drive()?.medium.readOnly ?? false;
  }

  /** §5.2.5.2: the field; without VIRTIO_BLK_F_FLUSH a modern driver finds a writethrough cache. */
  get writeback(): number {
    const { v, s } = this;
    if (s.writeback !== UNCHOSEN) return s.writeback;
    const modern = v.has("VIRTIO_F_VERSION_1") && v.has("VIRTIO_BLK_F_CONFIG_WCE");
    return modern && !v.has("VIRTIO_BLK_F_FLUSH") ? 0 : 1;
  }

  /** §5.2.6.2: writes are stable when they complete. */
  get #writethrough(): boolean {
    const { v } = this;
    if (v.has("VIRTIO_BLK_F_CONFIG_WCE")) return this.writeback === 0;
    return !v.has("VIRTIO_BLK_F_FLUSH");
  }

  /** What the chain asks for, from its header and its lengths. */
  #request(chain: Chain): Request {
    const room = partBytes(chain, true) - STATUS_BYTES;
    if (chain.header.length < HEADER_BYTES) {
      return { command: UNKNOWN, refused: S.IOERR, at: 0, given: 0, room };
    }
    const word = (i: number) => u32Of(chain.header, 4 * i);
    const command = COMMANDS[word(0)] ?? UNKNOWN;
    const at = (word(2) + word(3) * 2 ** 32) * SECTOR;
    const given = partBytes(chain, false) - HEADER_BYTES;
    const r: Request = { command, refused: S.OK, at, given, room };
    r.refused = this.#refusal(r);
    return r;
  }

  #refusal({ command, at, given, room }: Request): Status {
    const known = command !== UNKNOWN && (!command.feature || this.v.has(command.feature));
    if (!known) return S.UNSUPP;
    const changes = command.data === "out" || command.data === "list";
    if (this.v.drive() === null || (changes && this.readOnly)) return S.IOERR;
    switch (command.data) {
      case "in":
        return given === 0 && this.#holds(at, room) ? S.OK : S.IOERR;
      case "out":
        return room === 0 && this.#holds(at, given) ? S.OK : S.IOERR;
      case "list": {
        const whole = given > 0 && given % ENTRY.bytes === 0;
        return whole && given <= ENTRY.bytes * MAX_ENTRIES && room === 0 ? S.OK : S.IOERR;
      }
      case "id":
      case "none":
        return S.OK;
    }
  }

  /** Whole sectors within the disk; no sum that could wrap. */
  #holds(at: number, bytes: number): boolean {
    return bytes % SECTOR === 0 && bytes <= this.sizeBytes && at <= this.sizeBytes - bytes;
  }

  begin(chain: Chain): number | Fault {
    if (partBytes(chain, true) < STATUS_BYTES) return { error: "request has no status byte" };
    chain.header = [...this.v.read(chain, { at: 0, bytes: HEADER_BYTES, framing: true })];
    const { command, refused, given, room } = this.#request(chain);
    const now = this.v.now();
    if (refused !== S.OK || command.data === "id") return now;
    const bytes = command.data === "in" ? room : command.data === "out" ? given : 0;
    return this.v.drive()!.doneNs(now, bytes);
  }

  serve(chain: Chain): Served {
    const r = this.#request(chain);
    const { status, moved } = r.refused === S.OK
      ? this.#work(chain, r)
      : { status: r.refused, moved: 0 };
    this.v.write(chain, Uint8Array.of(status), r.room, true);
    return {
      kind: r.command.kind,
      status: status === S.OK ? "ok" : "error",
      bytes: moved,
      // The status byte counts when nothing before it was left unwritten.
      written: r.room === 0 ? STATUS_BYTES : moved === r.room ? moved + STATUS_BYTES : moved,
    };
  }

  #work(chain: Chain, { command, at, given, room }: Request): { status: Status; moved: number } {
    const { v } = this;
    const { medium } = v.drive()!;
    const sent = () => v.read(chain, { at: HEADER_BYTES, bytes: given });
    switch (command.data) {
      case "in":
        return {
          status: S.OK,
          moved: v.fill(chain, room, (piece, from) => medium.read(at + from, piece)),
        };
      case "out":
        this.#store(chain, medium, at, given);
        if (this.#writethrough) medium.flush();
        return { status: S.OK, moved: given };
      case "id":
        return { status: S.OK, moved: v.write(chain, this.serial.subarray(0, room)) };
      case "list":
        return { status: this.#ranges(command, sent()), moved: given };
      case "none":
        medium.flush();
        return { status: S.OK, moved: 0 };
    }
  }

  /**
   * One piece goes to the medium from where it lies. Several are gathered first, for a medium that
   * is handed less than a granule looks up what the granule held before.
   */
  #store(chain: Chain, medium: Medium, at: number, bytes: number): void {
    let gathered: Uint8Array | null = null;
    this.v.lend(chain, { at: HEADER_BYTES, bytes }, (piece, from) => {
      if (piece.length === bytes) return medium.write(at, piece);
      gathered ??= new Uint8Array(bytes);
      gathered.set(piece, from);
    });
    if (gathered !== null) medium.write(at, gathered);
  }

  /** §5.2.6.2: nothing is done unless all of the list is in order. */
  #ranges(command: Command, list: Uint8Array): Status {
    const discard = command.kind === "disk_discard";
    const view = new DataView(list.buffer, list.byteOffset, list.length);
    const ranges: { at: number; bytes: number }[] = [];
    for (let entry = 0; entry < list.length; entry += ENTRY.bytes) {
      const flags = view.getUint32(entry + ENTRY.flags, true);
      if ((flags & ~(discard ? 0 : UNMAP)) !== 0) return S.UNSUPP;
      const sectors = view.getUint32(entry + ENTRY.numSectors, true);
      const range = { at: u64At(view, entry + ENTRY.sector) * SECTOR, bytes: sectors * SECTOR };
      if (sectors > MAX_ENTRY_SECTORS || !this.#holds(range.at, range.bytes)) return S.IOERR;
      ranges.push(range);
    }
    const { medium } = this.v.drive()!;
    for (const { at, bytes } of ranges) {
      if (discard) medium.discard(at, bytes);
      else medium.zero(at, bytes);
    }
    if (this.#writethrough) medium.flush();
    return S.OK;
  }
}

/** §5.2.6: padded with NUL, without one when all 20 bytes are used. */
function serialBytes(serial: string): Uint8Array {
  if (serial.length > ID_BYTES || !/^[\x20-\x7e]*$/.test(serial)) {
    throw new PlugError(`virtio-blk: serial=${serial} does not fit`, SERIAL_LIMIT);
  }
  const bytes = new Uint8Array(ID_BYTES);
  bytes.set(new TextEncoder().encode(serial));
  return bytes;
}

function queueCount(numQueues: number): number {
  if (numQueues < 1 || numQueues > MAX_QUEUES) {
    throw new PlugError(`virtio-blk: num_queues=${numQueues}`, `use 1 to ${MAX_QUEUES}`);
  }
  return numQueues;
}

const blkDevice = virtioDevice({
  name: "virtio-blk",
  id: 2,
  doc: "Paravirtual disk.",
  source: "Virtio 1.2 §5.2",
  features: FEATURES,
  queues: Array.from({ length: MAX_QUEUES }, (_, i) => ({
    name: `requestq${i + 1}`,
    maxSize: QUEUE_SIZE,
    maxBytes: MAX_BYTES,
    use: "request" as const,
  })),
  queueCount: (props) => queueCount(props.num_queues),
  drives: 1,
  state: { writeback: u8(UNCHOSEN) },
  kept: {},
  props: {
    num_queues: prop.u32(1, `Request queues, 1 to ${MAX_QUEUES}.`),
    serial: prop.text("", "Serial number, which a driver may ask for."),
  },
  build(s, _kept, v, props) {
    const disk = new Disk(v, s, serialBytes(props.serial));
    return {
      config: [
        ...geometryFields(() => disk.sizeBytes / SECTOR, props.num_queues),
        {
          at: 32,
          name: "writeback",
          size: 1,
          feature: "VIRTIO_BLK_F_CONFIG_WCE",
          get: () => disk.writeback,
          set: (value) => s.writeback = value & 1,
        },
      ],
      lacks: (feature) =>
        (feature === "VIRTIO_BLK_F_MQ" && props.num_queues === 1) ||
        (feature === "VIRTIO_BLK_F_RO" && !disk.readOnly),
      begin: (_queue, chain) => disk.begin(chain),
      serve: (_queue, chain) => disk.serve(chain),
    };
  },
});

export const virtioBlk = virtioMmio(blkDevice);
export const virtioBlkPci = virtioPci(blkDevice, {
  class: 0x01_0000,
  vectors: 2,
  configBytes: 57,
});
