/**
 * The port that connects a device to this machine: its wires, its events, its rows in the trace.
 * @module
 */
import type { DeviceTrace, DmaRow, IrqRow, Port, RequestRow } from "../mmio/device.ts";
import type { Drive } from "../mmio/medium.ts";
import type { GuestMemory } from "../mmio/memory.ts";
import { Wire } from "../mmio/wire.ts";
import { type Code, CODES } from "../trace/schema.ts";
import type { Trace } from "../trace/trace.ts";
import type { EventQueue } from "./events.ts";
import type { GuestStop } from "./machine.ts";

/** Codes of a shared enumeration by name. */
function codesOf<K extends keyof typeof CODES>(kind: K): Readonly<Record<string, number>> {
  return Object.fromEntries((CODES[kind] as readonly Code[]).map((c, i) => [c.name, i]));
}

const VRING = codesOf("vring_event");
const IRQ = codesOf("irq_event");
const PATH = codesOf("irq_path");
const STEP = codesOf("step_kind");
const OP = codesOf("step_op");
const KIND = codesOf("request_kind");
const COMMAND = codesOf("scsi_command");
const STATUS = codesOf("request_status");

/** What ports need of the machine that they all share. */
export interface PortHost {
  readonly trace: Trace;
  readonly events: EventQueue;
  readonly mem: GuestMemory;
  nowNs(): number;
  icount(): number;
  out(device: string, bytes: Uint8Array): void;
  stop(kind: GuestStop["kind"], code: number): void;
  hartIrq(hart: number, bit: number, level: boolean): void;
  /** The device with this code has a wire into a line of the interrupt controller. */
  join(source: number, code: number, wire: Wire): void;
  /** A wire into that line changed its level. */
  line(source: number): void;
  /** Code of the device that drives a line of the controller; null for none. */
  deviceOfLine(source: number): number | null;
  nextRequestId(): number;
}

export interface PortOf {
  readonly name: string;
  /** Code of the device in this machine's `name` table. */
  readonly code: number;
  /** Lines of the device at the controller. */
  readonly irqs: readonly number[];
  /** True for the controller itself: its `irq` rows tell of other devices' lines. */
  readonly controller: boolean;
  /** The drives in its bays. */
  readonly drives: readonly Drive[];
}

export function makePort(host: PortHost, d: PortOf): Port {
  const { trace } = host;
  const wires = d.irqs.map((source) => {
    const row = (event: "raise" | "lower" | "coalesce") =>
      trace.alike("irq", { event: IRQ[event], device: d.code, line: source, path: PATH.wire }, []);
    const rows = { raise: row("raise"), lower: row("lower"), coalesce: row("coalesce") };
    const wire = new Wire((event) => rows[event](), () => host.line(source));
    host.join(source, d.code, wire);
    return wire;
  });
  // Whoever is handed bytes is done with them on return.
  const one = new Uint8Array(1);
  const wire = (line: number) => {
    const found = wires[line];
    if (found === undefined) {
      throw new Error(`${d.name} drives line ${line} but declares ${wires.length} lines`);
    }
    return found;
  };
  return {
    irq: (level, line = 0) => wire(line).set(level),
    signal: (line = 0) => wire(line).signal(),
    messages: () => false,
    message: () => -1,
    bar: () => null,
    now: () => host.nowNs(),
    timer: (name, atNs, arg = 0) => host.events.set(d.name, name, atNs, arg),
    out: (bytes) => host.out(d.name, typeof bytes === "number" ? (one[0] = bytes, one) : bytes),
    stop: (kind, code) => host.stop(kind, code),
    hartIrq: (hart, bit, level) => host.hartIrq(hart, bit, level),
    inputSpace: () => {},
    drive: (index) => d.drives.at(index) ?? null,
    mem: host.mem,
    trace: deviceTrace(host, d),
  };
}

type Command = RequestRow["command"];

const EVENTS = CODES.irq_event.length;
const PATHS = CODES.irq_path.length;

/** Writes `irq` rows, of which there are few different ones. */
function irqRows(trace: Trace, deviceOf: (row: IrqRow) => number | null): (row: IrqRow) => number {
  const rows: (() => number)[] = [];
  return (row) => {
    const { line } = row;
    const event = IRQ[row.event];
    const path = PATH[row.path];
    const index = (line * EVENTS + event) * PATHS + path;
    const write = rows[index] ??= trace.alike(
      "irq",
      { event, device: deviceOf(row), line, path },
      [],
    );
    return write();
  };
}

/** Writes `dma` rows of a device. */
function dmaRows(trace: Trace, device: number): (row: DmaRow) => void {
  const make = (write: 0 | 1, framing: 0 | 1) =>
    trace.alike("dma", { device, write, framing }, ["gpa", "bytes", "request"]);
  const rows: ReturnType<typeof make>[] = [];
  return (row) => {
    const write = row.write ? 1 : 0;
    const framing = row.framing ? 1 : 0;
    const append = rows[framing << 1 | write] ??= make(write, framing);
    append(row.gpa, row.bytes, row.request ?? -1);
  };
}

const REQUEST_CELLS = [
  ...["id", "bytes", "submit_ns", "submit_icount"] as const,
  ...["complete_ns", "kick_exit_seq", "irq_seq"] as const,
] as const;

/** Writes `request` rows of a device, which are of one sort for a while. */
function requestRows(trace: Trace, device: number): (row: RequestRow) => void {
  const make = (kind: RequestRow["kind"], status: RequestRow["status"], command: Command) =>
    trace.alike(
      "request",
      {
        ...{ device, kind: KIND[kind], status: STATUS[status] },
        command: command ? COMMAND[command] : null,
      },
      REQUEST_CELLS,
    );
  const rows = new Map<string, ReturnType<typeof make>>();
  let kind: RequestRow["kind"] | null = null;
  let status: RequestRow["status"] | null = null;
  let command: Command;
  let append: ReturnType<typeof make>;
  return (row) => {
    if (row.kind !== kind || row.status !== status || row.command !== command) {
      ({ kind, status, command } = row);
      const sort = `${kind} ${status} ${command}`;
      append = rows.get(sort) ?? make(kind, status, command);
      rows.set(sort, append);
    }
    const kick = row.kick_exit_seq ?? -1;
    const irq = row.irq_seq ?? -1;
    const { id, bytes, submit_ns, submit_icount, complete_ns } = row;
    append(id, bytes, submit_ns, submit_icount, complete_ns, kick, irq);
  };
}

function deviceTrace(host: PortHost, d: PortOf): DeviceTrace {
  const { trace } = host;
  const { clock } = trace;
  const device = d.code;
  const request = requestRows(trace, device);
  const irq = irqRows(trace, (row) => d.controller ? host.deviceOfLine(row.line) : device);
  const exitSeq = () => trace.exitSeq < 0 ? null : trace.exitSeq;
  return {
    vringRows: (event, queue, cells) =>
      trace.alike("vring", { event: VRING[event], device, queue }, cells),
    dma: dmaRows(trace, device),
    step: (row) =>
      void trace.step({
        device,
        kind: STEP[row.kind],
        op: OP[row.op],
        gpa: row.gpa,
        word: row.word,
        operand: row.operand,
        bytes: row.bytes,
        own_memory: row.own_memory,
        request: row.request ?? null,
      }),
    irq,
    request,
    mark: (row) => void trace.mark(row),
    nextRequestId: () => host.nextRequestId(),
    served: (kind, bytes) =>
      request({
        ...{ id: host.nextRequestId(), kind, bytes, status: "ok" },
        ...{ submit_ns: clock[0], submit_icount: clock[1], complete_ns: clock[0] },
        ...{ kick_exit_seq: exitSeq(), irq_seq: null },
      }),
    get icount() {
      return host.icount();
    },
    get exitSeq() {
      return exitSeq();
    },
  };
}
