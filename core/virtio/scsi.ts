/**
 * virtio-scsi. Source: Virtio 1.2 §5.6. Its disks are those of every SCSI controller here
 * (../mmio/scsi): this is the transport of commands, data and task management.
 *
 * What is offered, and the sizes of queues and requests, are those of QEMU's virtio-scsi. A command goes to
 * its unit when it is popped, and its data move when the drive's time has passed.
 *
 * A unit that nobody has behind a target that has others is the target's to answer; a target without any
 * is BAD_TARGET. sense_size and cdb_size keep their values when they are set beyond what a response or a
 * CDB can have. Units neither come nor go, so eventq lends buffers that are never used, and the
 * asynchronous notifications that a driver asks for are none.
 *
 * Not here: VIRTIO_SCSI_F_INOUT, VIRTIO_SCSI_F_T10_PI, priorities, order (every task is SIMPLE), ACA.
 * @module
 */
import { list, num, PlugError, prop, type RecordOf, u32, u8 } from "../mmio/device.ts";
import { MAX_CDB_BYTES } from "../mmio/scsi/cdb.ts";
import { placesOf } from "../mmio/scsi/places.ts";
import { MAX_DISKS, UNIT_PROPS } from "../mmio/scsi/props.ts";
import { STATUS } from "../mmio/scsi/sense.ts";
import { MAX_LUN, type Place, targetFields, Targets } from "../mmio/scsi/target.ts";
import { DIRECTION, newTask, type Task, taskFields } from "../mmio/scsi/task.ts";
import { virtioMmio } from "./transport_mmio.ts";
import { virtioPci } from "./transport_pci.ts";
import { type ConfigField, type Served, virtioDevice, type VirtioPort } from "./virtio.ts";
import { type Chain, type Fault, partBytes } from "./virtqueue.ts";

const CONTROLQ = 0, FIRST_REQUESTQ = 2; // §5.6.2; eventq lies between them.
const QUEUE_SIZE = 256;
const MAX_QUEUES = 8;
const MAX_BYTES = 1 << 28;
/** Room for the request and the response. */
const SEG_MAX = QUEUE_SIZE - 2;

/** §5.6.4: reset values, and what a driver may choose at most. */
const SENSE_SIZE = { reset: 96, max: 0xffff } as const;
const CDB_SIZE = { reset: 32, max: 0xff } as const;

/** §5.6.6.1: lengths of the request before the CDB, and of the response before the sense data. */
const REQUEST = { lun: 0, id: 8, bytes: 19 } as const;
const RESPONSE = { senseLen: 0, residual: 4, status: 10, response: 11, bytes: 12 } as const;

/** §5.6.6.1, §5.6.6.2: `response`. */
const S = {
  OK: 0,
  OVERRUN: 1,
  ABORTED: 2,
  BAD_TARGET: 3,
  RESET: 4,
  FAILURE: 9,
  FUNCTION_SUCCEEDED: 10,
  FUNCTION_REJECTED: 11,
  INCORRECT_LUN: 12,
} as const;

/** §5.6.6.2: requests of the control queue; bytes of the request, and of the response before its code. */
const CONTROL = {
  TMF: { type: 0, bytes: 24, answer: 0 },
  AN_QUERY: { type: 1, bytes: 16, answer: 4 },
  AN_SUBSCRIBE: { type: 2, bytes: 16, answer: 4 },
} as const;
const TYPE_BYTES = 4;

/** §5.6.6.2: what a task management function does, and to which commands. */
interface Management {
  /** `response` of the commands that it ends; without one, it asks after them. */
  readonly ends?: number;
  readonly of: "task" | "unit" | "target";
  readonly resets?: boolean;
}
const MANAGEMENT: Readonly<Record<number, Management>> = {
  0: { of: "task", ends: S.ABORTED }, // ABORT_TASK
  1: { of: "unit", ends: S.ABORTED }, // ABORT_TASK_SET
  3: { of: "unit", ends: S.ABORTED }, // CLEAR_TASK_SET
  4: { of: "target", ends: S.RESET, resets: true }, // I_T_NEXUS_RESET
  5: { of: "unit", ends: S.RESET, resets: true }, // LOGICAL_UNIT_RESET
  6: { of: "task" }, // QUERY_TASK
  7: { of: "unit" }, // QUERY_TASK_SET
};

/** A command between its chain's pop and push. */
const commandFields = {
  ...taskFields,
  queue: u8(),
  request: num(), // Of its chain.
  idLow: u32(),
  idHigh: u32(),
  response: u8(),
  /** Bytes of the request before the data, and of the response before it, as they were at the pop. */
  headerBytes: u32(),
  responseBytes: u32(),
};
type Command = RecordOf<typeof commandFields>;

const STATE = {
  senseSize: u32(SENSE_SIZE.reset),
  cdbSize: u32(CDB_SIZE.reset),
  commands: list(commandFields, MAX_QUEUES * QUEUE_SIZE),
  ...targetFields(MAX_DISKS),
};

/**
 * §5.6.6.1: a unit's address; null for one that names no target. No unit has the largest number, so it
 * stands for all from there on.
 */
function placeOf(lun: readonly number[]): Place | null {
  const [form, target, high, low] = lun;
  const flat = high === 0 || (high & 0xc0) === 0x40;
  return form === 1 && flat ? { target, lun: Math.min((high & 0x3f) << 8 | low, MAX_LUN) } : null;
}

const same = (a: Place, b: Place) => a.target === b.target && a.lun === b.lun;
const u32At = (bytes: Uint8Array, at: number) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);

class Controller {
  #targets: Targets | null = null;

  constructor(
    private readonly v: VirtioPort<string>,
    private readonly s: {
      senseSize: number;
      cdbSize: number;
      readonly commands: Command[];
    } & Parameters<typeof targetsOf>[0],
    private readonly queues: number,
    private readonly places: readonly Place[],
    private readonly naming: { product: string; serial: string },
  ) {}

  /** Drives are asked for when the machine is there. */
  get targets(): Targets {
    return this.#targets ??= targetsOf(this.s, this.places, this.v, this.naming);
  }

  begin(queue: number, chain: Chain): number | Fault {
    if (queue === CONTROLQ) return this.#beginControl(chain);
    const { v, s } = this;
    const headerBytes = REQUEST.bytes + s.cdbSize;
    const responseBytes = RESPONSE.bytes + s.senseSize;
    const given = partBytes(chain, false) - headerBytes;
    const room = partBytes(chain, true) - responseBytes;
    if (given < 0) return { error: "request is shorter than its header" };
    if (room < 0) return { error: "no room for the response" };
    const header = v.read(chain, { at: 0, bytes: headerBytes, framing: true });
    const place = placeOf([...header.subarray(0, 8)]);
    const command: Command = {
      ...newTask(place?.target ?? 0, place?.lun ?? 0),
      cdb: [...header.subarray(REQUEST.bytes, REQUEST.bytes + MAX_CDB_BYTES)],
      queue,
      request: chain.request,
      idLow: u32At(header, REQUEST.id),
      idHigh: u32At(header, REQUEST.id + 4),
      response: S.OK,
      headerBytes,
      responseBytes,
    };
    s.commands.push(command);
    command.response = place === null || !this.targets.has(place.target)
      ? S.BAD_TARGET
      : given > 0 && room > 0
      ? S.FAILURE // VIRTIO_SCSI_F_INOUT was not negotiated.
      : this.#start(command, given, room);
    return command.response === S.OK ? this.targets.doneNs(command, v.now()) : v.now();
  }

  #start(task: Task, given: number, room: number): number {
    this.targets.begin(task);
    const { direction, sizeBytes } = task;
    const has = direction === DIRECTION.in ? room : direction === DIRECTION.out ? given : Infinity;
    return sizeBytes > has ? S.OVERRUN : S.OK;
  }

  /** A queue stopped: its commands are gone. */
  stopped(queue: number): void {
    const { commands } = this.s;
    for (let i = commands.length - 1; i >= 0; i--) {
      if (commands[i].queue === queue) commands.splice(i, 1);
    }
  }

  serve(queue: number, chain: Chain): Served {
    if (queue === CONTROLQ) return this.#control(chain);
    const { s, v } = this;
    const [command] = s.commands.splice(
      s.commands.findIndex((c) => c.request === chain.request),
      1,
    );
    const { headerBytes, responseBytes } = command;
    const ok = command.response === S.OK;
    let stored = 0;
    if (ok) {
      if (command.direction === DIRECTION.in) {
        const data = this.targets.read(command, command.sizeBytes);
        stored = v.write(chain, data, responseBytes);
      } else if (command.direction === DIRECTION.out) {
        const data = v.read(chain, { at: headerBytes, bytes: command.sizeBytes });
        this.targets.write(command, data);
      }
      this.targets.end(command);
    }
    const expected = partBytes(chain, false) - headerBytes + partBytes(chain, true) - responseBytes;
    const moved = ok ? command.moved : 0;
    v.write(chain, this.#response(command, expected - moved), 0, true);
    return {
      ...this.targets.describe(command),
      bytes: ok ? this.targets.bytesOf(command) : 0,
      status: ok && command.status === STATUS.GOOD ? "ok" : "error",
      written: responseBytes + stored,
    };
  }

  /** §5.6.6.1; sense data is there for a CHECK CONDITION alone. */
  #response(command: Command, residual: number): Uint8Array {
    const bytes = new Uint8Array(command.responseBytes);
    const view = new DataView(bytes.buffer);
    bytes[RESPONSE.response] = command.response;
    if (command.response !== S.OK) return bytes;
    const sense = command.status === STATUS.CHECK_CONDITION ? command.sense : [];
    const kept = sense.slice(0, command.responseBytes - RESPONSE.bytes);
    view.setUint32(RESPONSE.senseLen, kept.length, true);
    view.setUint32(RESPONSE.residual, residual, true);
    bytes[RESPONSE.status] = command.status;
    bytes.set(kept, RESPONSE.bytes);
    return bytes;
  }

  #controlOf(chain: Chain) {
    const type = u32At(Uint8Array.from(chain.header), 0);
    return Object.values(CONTROL).find((c) => c.type === type);
  }

  #beginControl(chain: Chain): number | Fault {
    const { v } = this;
    if (partBytes(chain, false) < TYPE_BYTES) {
      return { error: "request is shorter than its header" };
    }
    chain.header = [...v.read(chain, { at: 0, bytes: CONTROL.TMF.bytes, framing: true })];
    const control = this.#controlOf(chain);
    if (control === undefined) return { error: "control request of no known type" };
    if (chain.header.length < control.bytes) return { error: "request is shorter than its header" };
    if (partBytes(chain, true) <= control.answer) return { error: "no room for the response" };
    return v.now();
  }

  #control(chain: Chain): Served {
    const { v } = this;
    const { header } = chain;
    const control = this.#controlOf(chain)!;
    const tmf = control === CONTROL.TMF;
    const place = placeOf(header.slice(tmf ? 8 : 4));
    const response = place === null || !this.targets.has(place.target)
      ? S.BAD_TARGET
      : tmf
      ? this.#manage(Uint8Array.from(header), place)
      : S.OK;
    const answer = new Uint8Array(control.answer + 1);
    answer[control.answer] = response;
    const ended: readonly number[] = [S.OK, S.FUNCTION_SUCCEEDED];
    return {
      kind: "scsi_control",
      status: ended.includes(response) ? "ok" : "error",
      bytes: 0,
      written: v.write(chain, answer, 0, true),
    };
  }

  #manage(request: Uint8Array, place: Place): number {
    const management = MANAGEMENT[u32At(request, 4)];
    if (management === undefined) return S.FUNCTION_REJECTED;
    const { of, ends, resets } = management;
    if (of !== "target" && !this.targets.holds(place)) return S.INCORRECT_LUN;
    const [low, high] = [u32At(request, 16), u32At(request, 20)];
    const found = this.#waiting((c) =>
      c.target === place.target &&
      (of === "target" || same(c, place) && (of === "unit" || c.idLow === low && c.idHigh === high))
    );
    if (ends === undefined) return found.length > 0 ? S.FUNCTION_SUCCEEDED : S.OK;
    for (const { queue, chain, command } of found) {
      command.response = ends;
      this.v.hasten(queue, chain);
    }
    if (resets) this.targets.reset(place.target, of === "unit" ? place.lun : null);
    return S.OK;
  }

  /** Commands whose time has not come. */
  #waiting(wanted: (c: Command) => boolean) {
    const commands = new Map(this.s.commands.filter(wanted).map((c) => [c.request, c]));
    return Array.from({ length: this.queues }, (_, i) => FIRST_REQUESTQ + i).flatMap((queue) =>
      this.v.waiting(queue).flatMap((chain) => {
        const command = commands.get(chain.request);
        return command === undefined ? [] : [{ queue, chain, command }];
      })
    );
  }
}

function targetsOf(
  s: ConstructorParameters<typeof Targets>[0],
  places: readonly Place[],
  v: VirtioPort<string>,
  naming: { product: string; serial: string },
): Targets {
  return new Targets(s, places, (bay) => v.drive(bay), naming);
}

/** §5.6.4 */
function configuration(s: { senseSize: number; cdbSize: number }, queues: number): ConfigField[] {
  const fixed = (at: number, name: string, size: 2 | 4, value: number): ConfigField => ({
    at,
    name,
    size,
    get: () => value,
  });
  return [
    fixed(0, "num_queues", 4, queues),
    fixed(4, "seg_max", 4, SEG_MAX),
    fixed(8, "max_sectors", 4, 0xffff),
    fixed(12, "cmd_per_lun", 4, 128),
    fixed(16, "event_info_size", 4, 16),
    {
      at: 20,
      name: "sense_size",
      size: 4,
      get: () => s.senseSize,
      set: (v) => {
        if (v <= SENSE_SIZE.max) s.senseSize = v;
      },
    },
    {
      at: 24,
      name: "cdb_size",
      size: 4,
      get: () => s.cdbSize,
      set: (v) => {
        if (v <= CDB_SIZE.max) s.cdbSize = v;
      },
    },
    fixed(28, "max_channel", 2, 0),
    fixed(30, "max_target", 2, 255),
    fixed(32, "max_lun", 4, 16383),
  ];
}

function queuesOf(numQueues: number): number {
  if (numQueues < 1 || numQueues > MAX_QUEUES) {
    throw new PlugError(`virtio-scsi: num_queues=${numQueues}`, `use 1 to ${MAX_QUEUES}`);
  }
  return numQueues;
}

const queue = (name: string, use: "request" | "buffer") => ({
  name,
  maxSize: QUEUE_SIZE,
  maxBytes: MAX_BYTES,
  use,
});

const scsiDevice = virtioDevice({
  name: "virtio-scsi",
  id: 8,
  doc: "Paravirtual SCSI controller.",
  source: "Virtio 1.2 §5.6",
  features: {
    VIRTIO_SCSI_F_HOTPLUG: { bit: 1, spec: "§5.6.3" },
    VIRTIO_SCSI_F_CHANGE: { bit: 2, spec: "§5.6.3", prop: "param_change" },
  },
  queues: [
    queue("controlq", "request"),
    queue("eventq", "buffer"),
    ...Array.from({ length: MAX_QUEUES }, (_, i) => queue(`requestq${i + 1}`, "request")),
  ],
  queueCount: (props) => FIRST_REQUESTQ + queuesOf(props.num_queues),
  drives: MAX_DISKS,
  state: STATE,
  kept: {},
  props: { num_queues: prop.u32(1, `Request queues, 1 to ${MAX_QUEUES}.`), ...UNIT_PROPS },
  build(s, _kept, v, props) {
    const places = placesOf("virtio-scsi", props.units, MAX_DISKS, null);
    const controller = new Controller(v, s, props.num_queues, places, props);
    return {
      config: configuration(s, props.num_queues),
      begin: (queue, chain) => controller.begin(queue, chain),
      serve: (queue, chain) => controller.serve(queue, chain),
      stopped: (queue) => controller.stopped(queue),
    };
  },
});

export const virtioScsi = virtioMmio(scsiDevice);
export const virtioScsiPci = virtioPci(scsiDevice, {
  class: 0x01_0000,
  vectors: 4,
  configBytes: 36,
});
