/**
 * A virtio-blk driver for tests, on top of the reference driver: written from the driver's side of
 * Virtio 1.2 §5.2.6. It can lay a request out in any way that §2.7.4 allows, and send wrong ones.
 * @module
 */
import type { PropValue } from "../mmio/device.ts";
import {
  type Drive,
  makeDrive,
  type MediumTiming,
  memoryMedium,
  overlayMedium,
} from "../mmio/medium.ts";
import { TestMachine } from "../mmio/test_machine.ts";
import type { Random } from "../mmio/test_random.ts";
import { virtioBlk, virtioBlkPci } from "./blk.ts";
import { type Buffer, ReferenceDriver } from "./test_driver.ts";
import { type Face, mmio } from "./test_faces.ts";

export const SECTOR = 512;
export const T = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
export const OK = 0, IOERR = 1, UNSUPP = 2;
/** What a status byte holds until the device writes it. */
export const UNANSWERED = 0xee;
const HEADER_BYTES = 16;
const RAM_BYTES = 4 << 20;

export interface Ask {
  type: number;
  sector?: number;
  /** What the driver sends. */
  data?: Uint8Array;
  /** Bytes that it has room for. */
  room?: number;
}

/** A request on its way. */
export interface Sent {
  readonly ask: Ask;
  readonly queue: number;
  readonly head: number;
  readonly room: number;
  readonly status: number;
}

export interface Answer {
  status: number;
  data: Uint8Array;
  /** Bytes written, as the used ring says. */
  written: number;
}

/** An entry of the list of a discard or write-zeroes request. */
export function range(sector: number, sectors: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return bytes;
}

export interface DiskOptions {
  props?: Readonly<Record<string, PropValue>>;
  contents?: Uint8Array;
  readOnly?: boolean;
  timing?: Partial<MediumTiming>;
  queueSize?: number;
  /** Over MMIO, as the property `legacy` says, without. */
  face?: Face;
  /** Instead of a drive with these contents. */
  drives?: readonly Drive[];
}

export class DiskDriver {
  readonly m: TestMachine;
  readonly d: ReferenceDriver;
  readonly sent: Sent[] = [];
  /** Dice for how requests are laid out; a descriptor for each part without. */
  layout: Random | null = null;

  constructor(readonly o: DiskOptions = {}) {
    this.m = DiskDriver.machine(o);
    const { legacy = false, num_queues: queues = 1 } = o.props ?? {};
    const face = o.face ?? mmio(legacy === true);
    this.d = new ReferenceDriver(this.m, face, o.queueSize ?? 16).init(Number(queues));
  }

  static machine(o: DiskOptions): TestMachine {
    const { props = {}, contents = new Uint8Array(64 * SECTOR), readOnly = false } = o;
    const medium = overlayMedium(memoryMedium(contents, true), { readOnly });
    const drive: Drive = makeDrive("d", medium, { latencyNs: 0, bandwidth: 0, ...o.timing });
    const type = o.face?.bus === "pci" ? virtioBlkPci : virtioBlk;
    return new TestMachine(type, { props, ramBytes: RAM_BYTES, drives: o.drives ?? [drive] });
  }

  #header({ type, sector = 0 }: Ask): number {
    const { ram } = this.d;
    const gpa = ram.alloc(HEADER_BYTES);
    ram.setU32(gpa, type);
    ram.setU32(gpa + 8, sector % 2 ** 32);
    ram.setU32(gpa + 12, Math.floor(sector / 2 ** 32));
    return gpa;
  }

  #pieces(gpa: number, length: number, write: boolean): Buffer[] {
    const r = this.layout;
    if (r === null || length < 2 || r.chance(0.4)) return [{ gpa, length, write }];
    const first = r.below(length + 1); // An empty piece is one, too.
    return [
      { gpa, length: first, write },
      { gpa: gpa + first, length: length - first, write },
    ];
  }

  /** Makes a request available; null when the ring is too full for it. */
  put(ask: Ask, queue = 0): Sent | null {
    const { ram, queues } = this.d;
    const data = ask.data ?? new Uint8Array();
    const together = this.layout?.chance(0.3) ?? false;
    const header = this.#header(ask);
    // Right behind the header, so that one piece may hold both.
    const given = ram.alloc(data.length, 1);
    ram.write(given, data);
    const room = ram.alloc((ask.room ?? 0) + 1, 1);
    const status = room + (ask.room ?? 0);
    ram.write(status, Uint8Array.of(UNANSWERED));
    const buffers = [
      ...together && given === header + HEADER_BYTES
        ? this.#pieces(header, HEADER_BYTES + data.length, false)
        : [
          ...this.#pieces(header, HEADER_BYTES, false),
          ...data.length > 0 ? this.#pieces(given, data.length, false) : [],
        ],
      ...together ? this.#pieces(room, (ask.room ?? 0) + 1, true) : [
        ...(ask.room ?? 0) > 0 ? this.#pieces(room, ask.room!, true) : [],
        { gpa: status, length: 1, write: true },
      ],
    ];
    const q = queues[queue];
    const indirect = this.d.indirect && this.layout?.chance(0.6)
      ? 1 + this.layout.below(buffers.length)
      : 0;
    const slots = buffers.length - indirect + (indirect > 0 ? 1 : 0);
    if (buffers.length > q.size || slots > q.freeDescriptors) return null;
    const sent = { ask, queue, head: q.add(buffers, indirect), room, status };
    this.sent.push(sent);
    return sent;
  }

  /** Requests handed back by now, in the order of the used rings. */
  reap(): [Sent, Answer][] {
    const { ram, queues } = this.d;
    return queues.flatMap((q) =>
      q.reap().map(({ head, written }): [Sent, Answer] => {
        const at = this.sent.findIndex((s) => s.queue === q.index && s.head === head);
        const [s] = this.sent.splice(at, 1);
        const data = ram.read(s.room, s.ask.room ?? 0);
        return [s, { status: ram.u32(s.status) & 0xff, data, written }];
      })
    );
  }

  /** One request, waited for; null when the device does not answer. */
  ask(ask: Ask, queue = 0): Answer | null {
    const sent = this.put(ask, queue);
    if (sent === null) throw new Error("the ring is full");
    this.d.queues[queue].kick();
    this.m.advance(1e9);
    this.d.interrupt();
    return this.reap().find(([s]) => s === sent)?.[1] ?? null;
  }

  rows(table: string): Record<string, unknown>[] {
    return this.m.log.filter((l) => l.startsWith(`${table} {`))
      .map((l) => JSON.parse(l.slice(table.length + 1)));
  }
}
