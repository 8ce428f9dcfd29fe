/**
 * QEMU's trace events (trace-events of system/, accel/kvm/, hw/virtio/ and hw/block/), whichever backend
 * wrote them: their arguments in order, and what they become.
 *
 * QEMU sees accesses that reach its devices, not exits: an exit row comes from `kvm_run_exit` alone, and
 * what the same CPU accesses before its next one belongs to it. A queue is known by its address until
 * `virtio_queue_notify` says whose it is; what happened before that has no row.
 * @module
 */
import { codeOf } from "../../core/trace/schema.ts";
import { type HostThread, type HostTrace, NO_VCPU, SPACE } from "./host_trace.ts";
import { PAGE } from "./devices.ts";
import { kvmExitName } from "./reasons.ts";
import type { Tally } from "./tally.ts";

export interface QemuField {
  readonly name: string;
  readonly kind: "number" | "text";
  /** Fields that older versions did not print. */
  readonly optional?: true;
}

export interface QemuEvent {
  readonly fields: readonly QemuField[];
  /** What it becomes; a sentence when it is understood and has no row. */
  apply(machine: QemuMachine, event: Arguments): string | null;
}

/** Arguments of one event, by position in `fields`. */
export interface Arguments {
  /** Thread that QEMU says, 0 when it does not. */
  readonly tid: number;
  readonly timeNs: number;
  readonly lo: readonly number[];
  readonly hi: readonly number[];
  readonly texts: readonly (string | null)[];
}

interface Queue {
  readonly device: number;
  readonly index: number;
}

interface Request {
  readonly device: number;
  readonly kind: number;
  readonly bytes: number;
  readonly submitNs: number;
  readonly id: number;
}

const SECTOR = 512;
const REGION = "memory region of QEMU";
const EVENT = {
  kick: codeOf("vring_event", "kick"),
  pop: codeOf("vring_event", "pop"),
  push: codeOf("vring_event", "push"),
  interrupt: codeOf("vring_event", "interrupt"),
} as const;
const SPACE_OF_EXIT: Readonly<Record<string, number>> = {
  KVM_EXIT_IO: SPACE.pio,
  KVM_EXIT_MMIO: SPACE.mmio,
};
/** What is under way at a time; a trace that loses completions must not fill the memory. */
const MOST_OPEN = 65536;

export class QemuMachine {
  readonly #queues = new Map<number, Queue>();
  /** Ids of requests by the address of their queue element. */
  readonly #elements = new Map<number, number>();
  readonly #requests = new Map<number, Request>();
  /** Codes by the address of a virtio device and of a memory region, and by the number of an exit. */
  readonly #devices = new Map<number, number>();
  readonly #regions = new Map<number, number>();
  readonly #hwReasons = new Map<number, number>();
  #lastId = 0;

  constructor(readonly host: HostTrace, readonly tally: Tally) {}

  /** The thread of a CPU by QEMU's index of it; -1 is none. */
  cpu(index: number): HostThread {
    const thread = this.host.thread(index < 0 || index >= NO_VCPU ? -1 : index);
    if (thread.tid >= 0) this.host.number(thread, thread.tid);
    return thread;
  }

  access(write: boolean, { timeNs, lo, hi, texts }: Arguments): string | null {
    const [index, region] = [lo[0] | 0, address(lo[1], hi[1])];
    const addr = address(lo[2], hi[2]);
    const size = lo[4];
    const thread = this.cpu(index);
    if (!this.host.at(thread, timeNs)) return BACK;
    const { devices } = this.host;
    const device = texts[5]
      ? devices.named(texts[5], REGION)
      : this.#called(this.#regions, "region", region, REGION);
    const exit = thread.exiting ? this.host.hwReasons.texts[thread.exit.hw] : "";
    const space = SPACE_OF_EXIT[exit] ?? SPACE.unknown;
    this.host.access(thread, timeNs, {
      space,
      device,
      register: devices.numbered(addr, 0),
      offset: addr % PAGE,
      size,
      write,
      lo: lo[3],
      hi: hi[3],
      gpa: space === SPACE.mmio ? addr : null,
    });
    return null;
  }

  runExit({ timeNs, lo }: Arguments): string | null {
    const thread = this.cpu(lo[0] | 0);
    if (!this.host.at(thread, timeNs)) return BACK;
    const exit = this.host.exit(thread, timeNs, this.#hwReason(lo[1]), -1);
    exit.userExits = 1;
    return null;
  }

  #hwReason(exit: number): number {
    let code = this.#hwReasons.get(exit);
    if (code === undefined) {
      const name = new TextEncoder().encode(kvmExitName(exit));
      code = this.host.hwReasons.code(name, 0, name.length);
      if (this.#hwReasons.size < MOST_OPEN) this.#hwReasons.set(exit, code);
    }
    return code;
  }

  /** `virtio_queue_notify`: the driver kicked, and the queue's address has a meaning from now on. */
  notify(event: Arguments): string | null {
    const { lo, hi } = event;
    const device = this.device(address(lo[0], hi[0]));
    const queue = { device, index: lo[1] & 0xffff };
    this.#queues.set(address(lo[2], hi[2]), queue);
    return this.#vring(event, EVENT.kick, queue, null, null);
  }

  device(vdev: number): number {
    return this.#called(this.#devices, "virtio", vdev, "virtio device of QEMU");
  }

  /** The device that is called by its kind and address. */
  #called(codes: Map<number, number>, kind: string, at: number, spec: string): number {
    let code = codes.get(at);
    if (code === undefined) {
      code = this.host.devices.named(`${kind}@0x${at.toString(16)}`, spec);
      if (codes.size < MOST_OPEN) codes.set(at, code);
    }
    return code;
  }

  pop(event: Arguments): string | null {
    const queue = this.#queue(event, 0);
    const id = ++this.#lastId;
    if (this.#elements.size < MOST_OPEN) this.#elements.set(this.#address(event, 1), id);
    return this.#vring(event, EVENT.pop, queue, id, null);
  }

  push(event: Arguments): string | null {
    const element = this.#address(event, 1);
    const id = this.#elements.get(element) ?? null;
    this.#elements.delete(element);
    return this.#vring(event, EVENT.push, this.#queue(event, 0), id, event.lo[2]);
  }

  interrupt(event: Arguments): string | null {
    return this.#vring(event, EVENT.interrupt, this.#queue(event, 1), null, null);
  }

  /** A request begins; its address is that of its queue element, which is its first member. */
  begin(kind: "disk_read" | "disk_write", event: Arguments): string | null {
    const at = this.#address(event, 1);
    if (this.#requests.size >= MOST_OPEN) return "more requests under way than can be";
    this.#requests.set(at, {
      device: this.device(this.#address(event, 0)),
      kind: codeOf("request_kind", kind),
      bytes: Math.min(event.lo[3] * SECTOR, 0xffffffff),
      submitNs: event.timeNs,
      id: this.#elements.get(at) ?? ++this.#lastId,
    });
    return "told again when it is complete";
  }

  complete(event: Arguments): string | null {
    const at = this.#address(event, 1);
    const request = this.#requests.get(at);
    this.#requests.delete(at);
    if (request === undefined) return "its beginning is not in the trace";
    const thread = this.host.thread(-1);
    if (!this.host.at(thread, event.timeNs) || event.timeNs < request.submitNs) return BACK;
    this.host.request(thread, event.timeNs, {
      id: request.id,
      device: request.device,
      kind: request.kind,
      bytes: request.bytes,
      submit_ns: request.submitNs,
      complete_ns: event.timeNs,
      status: codeOf("request_status", event.lo[2] === 0 ? "ok" : "error"),
    });
    return null;
  }

  #address({ lo, hi }: Arguments, i: number): number {
    return address(lo[i], hi[i]);
  }

  #queue(event: Arguments, i: number): Queue | null {
    return this.#queues.get(this.#address(event, i)) ?? null;
  }

  #vring(
    { timeNs }: Arguments,
    event: number,
    queue: Queue | null,
    request: number | null,
    length: number | null,
  ): string | null {
    if (queue === null) return "whose queue it is has not been told yet";
    const thread = this.host.thread(-1);
    if (!this.host.at(thread, timeNs)) return BACK;
    const { device, index } = queue;
    this.host.vring(thread, timeNs, { event, device, queue: index, length, request });
    return null;
  }
}

export const BACK = "at a time that goes back";

/** Addresses of hosts have 48 bits or 57; what a double rounds beyond 53 is only a name here. */
const address = (lo: number, hi: number): number => hi * 2 ** 32 + lo;

const number = (name: string): QemuField => ({ name, kind: "number" });
const ACCESS: readonly QemuField[] = [
  ...["cpu", "mr", "addr", "value", "size"].map(number),
  { name: "name", kind: "text", optional: true },
];
const event = (fields: string, apply: QemuEvent["apply"]): QemuEvent => ({
  fields: fields.split(" ").map(number),
  apply,
});
const noRow = () => "has no row";

export const QEMU_EVENTS: Readonly<Record<string, QemuEvent>> = {
  memory_region_ops_read: { fields: ACCESS, apply: (m, e) => m.access(false, e) },
  memory_region_ops_write: { fields: ACCESS, apply: (m, e) => m.access(true, e) },
  kvm_run_exit: event("cpu_index reason", (m, e) => m.runExit(e)),
  virtio_queue_notify: event("vdev n vq", (m, e) => m.notify(e)),
  virtqueue_pop: event("vq elem in_num out_num", (m, e) => m.pop(e)),
  virtqueue_fill: event("vq elem len idx", (m, e) => m.push(e)),
  virtio_notify: event("vdev vq", (m, e) => m.interrupt(e)),
  virtio_notify_irqfd: event("vdev vq", (m, e) => m.interrupt(e)),
  virtqueue_alloc_element: event("elem size in_num out_num", noRow),
  virtqueue_flush: event("vq count", noRow),
  virtio_set_status: event("vdev val", noRow),
  virtio_blk_handle_read: event("vdev req sector nsectors", (m, e) => m.begin("disk_read", e)),
  virtio_blk_handle_write: event("vdev req sector nsectors", (m, e) => m.begin("disk_write", e)),
  virtio_blk_req_complete: event("vdev req status", (m, e) => m.complete(e)),
  virtio_blk_rw_complete: event("vdev req ret", noRow),
};
