/**
 * edu, the educational PCI device of QEMU, by the offsets that QEMU's docs/specs/edu lists. The
 * increment (`increment=on`) is the function that the lab adds to it: 0x10, its status bits and its
 * interrupt.
 *
 * Work takes `latency` ns of virtual time and ends at that moment exactly. A factorial is modulo 2^32.
 * Deviates: a DMA that leaves the device's buffer, or RAM (or that COMMAND.bus_master does not allow),
 * moves nothing, and its `request` row says `error`; QEMU 7.2 aborts on the first.
 * @module
 */
import {
  device,
  flag,
  num,
  type Port,
  prop,
  records,
  type Reg,
  type RequestRow,
  type StateOf,
  u32,
  u64,
  u8s,
} from "./device.ts";
import { PlugError } from "./error.ts";

const BAR_BYTES = 0x10_0000;
const ID = 0x0100_00ed; // Version 1.0, then 0x00ed.
const BUFFER = { at: 0x4_0000, bytes: 4096 } as const;
const STATUS = { computing: 0x01, incComputing: 0x02, irqInc: 0x40, irqFact: 0x80 } as const;
const CAUSE = { factorial: 0x001, increment: 0x002, dma: 0x100 } as const;
const DMA = { run: 1n, toRam: 2n, irq: 4n } as const;
/** What reads give where there is no register, or one to be written only. */
const ONES = 0xffff_ffff;
/** 34! is a multiple of 2^32, and so is every later one. */
const ZERO_FROM = 34;

/** Jobs run beside each other; `arg` of the event `done` is the index. */
const JOBS = ["factorial", "increment", "dma"] as const;
type Job = (typeof JOBS)[number];
const KIND = { factorial: "factorial", increment: "increment", dma: "dma_copy" } as const;

const STATE = {
  liveness: u32(),
  factorial: u32(),
  increment: u32(),
  irqFact: flag(),
  irqInc: flag(),
  irqStatus: u32(),
  dmaSrc: u64(),
  dmaDst: u64(),
  dmaCount: u64(),
  dmaCmd: u64(),
  buffer: u8s(BUFFER.bytes),
  /** How each job began, for its row. */
  jobs: records(JOBS.length, {
    running: flag(),
    id: num(),
    submitNs: num(),
    submitIcount: num(),
    kickExitSeq: num(-1),
  }),
};
type State = StateOf<typeof STATE>;

function parseMask(text: string): bigint {
  const mask = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? BigInt(text) : -1n;
  if (mask >= 0n && mask < 2n ** 64n) return mask;
  throw new PlugError(
    `edu: dma_mask=${text} is no mask`,
    "use a number of 64 bits, such as 0xfffffff",
  );
}

function factorialOf(v: number): number {
  if (v >= ZERO_FROM) return 0;
  let product = 1;
  for (let i = 2; i <= v; i++) product = Math.imul(product, i);
  return product >>> 0;
}

/** Begins jobs and ends them, with their rows. */
function makeJobs(s: State, port: Port, latencyNs: number, work: Record<Job, () => Outcome>) {
  const state = (job: Job) => s.jobs[JOBS.indexOf(job)];

  function done(index: number): void {
    const job = JOBS[index];
    const { id, submitNs, submitIcount, kickExitSeq } = s.jobs[index];
    s.jobs[index].running = false;
    const { status, bytes, irqSeq } = work[job]();
    port.trace.request({
      id,
      kind: KIND[job],
      bytes,
      submit_ns: submitNs,
      submit_icount: submitIcount,
      complete_ns: port.now(),
      status,
      kick_exit_seq: kickExitSeq < 0 ? null : kickExitSeq,
      irq_seq: irqSeq < 0 ? null : irqSeq,
    });
  }
  function start(job: Job): void {
    const index = JOBS.indexOf(job);
    Object.assign(s.jobs[index], {
      running: true,
      id: port.trace.nextRequestId(),
      submitNs: port.now(),
      submitIcount: port.trace.icount,
      kickExitSeq: port.trace.exitSeq ?? -1,
    });
    if (latencyNs === 0) done(index);
    else port.timer("done", port.now() + latencyNs, index);
  }
  return { start, done, isRunning: (job: Job) => state(job).running };
}

interface Outcome {
  readonly status: RequestRow["status"];
  readonly bytes: number;
  /** seq of the `irq` row that told of it, -1 for none. */
  readonly irqSeq: number;
}

/** Moves bytes between the buffer and RAM; false when it may not. `id` is the request's. */
function copy(s: State, port: Port, mask: bigint, id: number): boolean {
  const toRam = (s.dmaCmd & DMA.toRam) !== 0n;
  const inside = (toRam ? s.dmaSrc : s.dmaDst) - BigInt(BUFFER.at);
  const { dmaCount } = s;
  if (dmaCount === 0n || inside < 0n || inside + dmaCount > BigInt(BUFFER.bytes)) return false;
  const bytes = Number(dmaCount);
  const gpa = Number((toRam ? s.dmaDst : s.dmaSrc) & mask);
  if (!port.mem.ok(gpa, bytes)) return false;
  const at = Number(inside);
  if (toRam) port.mem.write(gpa, s.buffer.subarray(at, at + bytes));
  else s.buffer.set(port.mem.read(gpa, bytes), at);
  port.trace.dma({ gpa, bytes, write: toRam, request: id });
  return true;
}

/** A DMA register takes 4 or 8 bytes; 4 replace it whole. The upper half alone is no register. */
function dmaRegs(at: number, name: string, get: () => bigint, set: (v: bigint) => void): Reg[] {
  return [
    { at, name, size: 8, get, set },
    { at, name: `${name}_32`, get: () => Number(get() & 0xffff_ffffn), set: (v) => set(BigInt(v)) },
  ];
}

export const edu = device("edu", {
  doc: "edu: a PCI device to learn on, which computes factorials, interrupts and copies.",
  source: "QEMU docs/specs/edu",
  irqs: 1,
  pci: {
    vendor: 0x1234,
    device: 0x11e8,
    class: 0x00_ff00,
    revision: 0x10,
    subsystem: [0x1af4, 0x1100],
    bars: [{ bar: 0, kind: "mem32", size: BAR_BYTES }],
    msi: { vectors: 1 },
  },
  props: {
    latency: prop.u32(1000, "Virtual ns that a job takes; 0 finishes it within the access."),
    dma_mask: prop.text("0xfffffff", "Bits of a bus address that DMA keeps."),
    increment: prop.flag(false, "Offer the lab's increment at 0x10."),
  },
  state: STATE,
}, (s, port, props) => {
  const mask = parseMask(props.dma_mask);

  function raise(causes: number): number {
    s.irqStatus |= causes;
    return s.irqStatus === 0 ? -1 : port.signal();
  }
  const ended = (ok: boolean, bytes: number, irq: boolean, cause: number): Outcome => ({
    status: ok ? "ok" : "error",
    bytes: ok ? bytes : 0,
    irqSeq: irq ? raise(cause) : -1,
  });
  const jobs = makeJobs(s, port, props.latency, {
    factorial() {
      s.factorial = factorialOf(s.factorial);
      return ended(true, 4, s.irqFact, CAUSE.factorial);
    },
    increment() {
      s.increment++;
      return ended(true, 4, s.irqInc, CAUSE.increment);
    },
    dma() {
      const ok = copy(s, port, mask, s.jobs[JOBS.indexOf("dma")].id);
      s.dmaCmd &= ~DMA.run;
      return ended(ok, Number(s.dmaCount), (s.dmaCmd & DMA.irq) !== 0n, CAUSE.dma);
    },
  });

  const status = () =>
    (jobs.isRunning("factorial") ? STATUS.computing : 0) |
    (jobs.isRunning("increment") ? STATUS.incComputing : 0) |
    (s.irqFact ? STATUS.irqFact : 0) | (s.irqInc ? STATUS.irqInc : 0);
  function setStatus(v: number): void {
    s.irqFact = (v & STATUS.irqFact) !== 0;
    s.irqInc = props.increment && (v & STATUS.irqInc) !== 0;
  }
  /** A number to work on; one that comes while the device works on another is ignored. */
  const operand = (job: "factorial" | "increment") => (v: number) => {
    if (jobs.isRunning(job)) return;
    s[job] = v;
    jobs.start(job);
  };
  const dma = (key: "dmaSrc" | "dmaDst" | "dmaCount") => (v: bigint) => {
    if (!jobs.isRunning("dma")) s[key] = v;
  };
  function command(v: bigint): void {
    if (jobs.isRunning("dma") || (v & DMA.run) === 0n) return;
    s.dmaCmd = v;
    jobs.start("dma");
  }
  const increment: Reg = {
    at: 0x10,
    name: "increment",
    get: () => s.increment,
    set: operand("increment"),
  };
  return {
    regs: [
      { at: 0x00, name: "identification", get: () => ID },
      { at: 0x04, name: "liveness_check", get: () => s.liveness, set: (v) => s.liveness = ~v },
      {
        at: 0x08,
        name: "factorial_computation",
        get: () => s.factorial,
        set: operand("factorial"),
      },
      ...(props.increment ? [increment] : []),
      { at: 0x20, name: "status", get: status, set: setStatus },
      { at: 0x24, name: "interrupt_status", get: () => s.irqStatus },
      { at: 0x60, name: "interrupt_raise", get: () => ONES, set: raise },
      { at: 0x64, name: "interrupt_acknowledge", get: () => ONES, set: (v) => s.irqStatus &= ~v },
      ...dmaRegs(0x80, "DMA_source_address", () => s.dmaSrc, dma("dmaSrc")),
      ...dmaRegs(0x88, "DMA_destination_address", () => s.dmaDst, dma("dmaDst")),
      ...dmaRegs(0x90, "DMA_transfer_count", () => s.dmaCount, dma("dmaCount")),
      ...dmaRegs(0x98, "DMA_command", () => s.dmaCmd, command),
    ],
    // Where there is no register, as in QEMU's.
    raw: { read: () => ONES, write: () => {} },
    events: { done: jobs.done },
    settle: () => void port.irq(s.irqStatus !== 0),
  };
});
