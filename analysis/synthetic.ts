/**
 * Traces of imagined runs, written through the recorder's own `Trace`: the bundled serial guest's work
 * on a SiFive UART or on virtio-console, access by access as its drivers make them. For tests and for
 * trying queries without a machine.
 * @module
 */
import { DirectTrace } from "../core/trace/direct_trace.ts";
import { TraceDirectory } from "../core/trace/directory.ts";
import { type CodeKind, codeOf, CODES } from "../core/trace/schema.ts";
import { Trace } from "../core/trace/trace.ts";

export interface SyntheticRegion {
  readonly label: string;
  /** Payload bytes of the region. */
  readonly bytes: number;
  /** Bytes per write() of the guest. */
  readonly chunk: number;
}

export interface SyntheticRun {
  readonly serial: "sifive" | "virtio";
  readonly regions: readonly SyntheticRegion[];
}

const NAMES: Partial<Record<CodeKind, readonly string[]>> = {
  device: ["marker", "plic", "uart0", "virtio-console0"],
  register: ["LABEL", "NUMBER_LO", "COMMIT", "claim", "txdata", "ip", "QueueNotify"].concat(
    "InterruptStatus",
    "InterruptACK",
  ),
  hw_reason: ["STORE_GUEST_PAGE_FAULT", "LOAD_GUEST_PAGE_FAULT", "S_EXT"],
};
const BASES: Record<string, number> = {
  "marker": 0x0400_0000,
  "plic": 0x0c00_0000,
  "uart0": 0x1001_0000,
  "virtio-console0": 0x1000_1000,
};
const UART_LINE = 12;
const VIRTIO_LINE = 1;
const SUPERVISOR_EXTERNAL = 9;
const INSNS_BETWEEN = 40;
const FIFO_BYTES = 8;

const named = (kind: CodeKind, name: string): number => {
  const code = NAMES[kind]!.indexOf(name);
  if (code < 0) throw new Error(`synthetic: ${kind} "${name}" is not declared`);
  return code;
};

/** Writes the run to `path`, which must not exist. */
export function writeSynthetic(path: string, run: SyntheticRun, machine: unknown = {}): void {
  const recording = { version: "0", machine, files: [], batch_rows: 65536 };
  const trace = new DirectTrace(new TraceDirectory(path, recording));
  new SyntheticGuest(trace).run(run);
  trace.close({ kind: "poweroff", code: 0 });
}

class SyntheticGuest {
  #icount = 0;
  #lastExit = 0;
  #requests = 0;

  constructor(readonly trace: Trace) {
    for (const [kind, names] of Object.entries(NAMES)) {
      trace.names(kind as CodeKind, names.map((name) => ({ name, spec: "synthetic" })));
    }
    trace.cost({
      profile: "kvm-x86",
      reason: "*",
      handler: "user",
      ns: 3000,
      source: "synthetic",
      measured: false,
    });
    trace.cost({
      profile: "kvm-x86",
      reason: "*",
      handler: "*",
      ns: 1000,
      source: "synthetic",
      measured: false,
    });
  }

  run({ serial, regions }: SyntheticRun): void {
    for (const region of regions) {
      this.#mark(`${region.label} begin`, region.bytes);
      for (let done = 0; done < region.bytes; done += region.chunk) {
        const bytes = Math.min(region.chunk, region.bytes - done);
        if (serial === "sifive") this.#writeUart(bytes);
        else this.#writeVirtio(bytes);
      }
      this.#mark(`${region.label} end`, region.bytes);
      if (this.trace.full) this.trace.flush();
    }
  }

  #writeUart(bytes: number): void {
    for (let done = 0; done < bytes; done += FIFO_BYTES) {
      this.#irq("raise", "uart0", UART_LINE, "wire");
      this.#interrupt("uart0", UART_LINE, () => {
        this.#access("uart0", "ip", false, 1);
        for (let i = done; i < Math.min(bytes, done + FIFO_BYTES); i++) {
          this.#access("uart0", "txdata", true, 0x20 + i % 64);
        }
        this.#irq("lower", "uart0", UART_LINE, "wire");
      });
    }
  }

  #writeVirtio(bytes: number): void {
    const device = named("device", "virtio-console0");
    const request = ++this.#requests;
    const submitted = this.#icount + INSNS_BETWEEN;
    const vring = (event: (typeof CODES.vring_event)[number]["name"], length: number | null) =>
      this.trace.vring({
        event: codeOf("vring_event", event),
        device,
        queue: 1,
        head: 0,
        desc_index: event === "descriptor" ? 0 : null,
        gpa: 0x8100_0000,
        length,
        flags: null,
        avail_idx: request & 0xffff,
        used_idx: (request - 1) & 0xffff,
        request: event === "kick" || event === "interrupt" ? null : request,
      });
    let kick = -1;
    let raised = -1;
    this.#access("virtio-console0", "QueueNotify", true, 1, () => {
      kick = this.trace.exitSeq;
      vring("kick", null);
      vring("pop", null);
      vring("descriptor", bytes);
      this.trace.dma({
        device,
        gpa: 0x8100_0000,
        bytes,
        write: false,
        framing: false,
        request,
      });
      vring("push", 0);
      vring("interrupt", null);
      raised = this.#irq("raise", "virtio-console0", VIRTIO_LINE, "wire");
      this.trace.request({
        id: request,
        device,
        kind: codeOf("request_kind", "console_write"),
        bytes,
        submit_ns: submitted,
        submit_icount: submitted,
        complete_ns: this.#icount,
        status: codeOf("request_status", "ok"),
        kick_exit_seq: kick,
        irq_seq: raised,
      });
    });
    this.#interrupt("virtio-console0", VIRTIO_LINE, () => {
      this.#access("virtio-console0", "InterruptStatus", false, 1);
      this.#access("virtio-console0", "InterruptACK", true, 1, () => {
        this.#irq("lower", "virtio-console0", VIRTIO_LINE, "wire");
      });
    });
  }

  /** The hart's trap, the claim, the handler, the completion. */
  #interrupt(device: string, line: number, handler: () => void): void {
    this.#exit({ reason: "external_interrupt", hw: "S_EXT" }, () => {
      this.#irq("inject", null, SUPERVISOR_EXTERNAL, "plic");
    });
    this.#access(
      "plic",
      "claim",
      false,
      line,
      () => this.#irq("acknowledge", device, line, "plic"),
    );
    handler();
    this.#access("plic", "claim", true, line, () => this.#irq("complete", device, line, "plic"));
  }

  #mark(label: string, number: number): void {
    for (let i = 0; i < label.length; i += 4) this.#access("marker", "LABEL", true, 0x20202020);
    this.#access("marker", "NUMBER_LO", true, number);
    this.#access("marker", "COMMIT", true, 1, () => this.trace.mark({ label, number }));
  }

  #irq(
    event: (typeof CODES.irq_event)[number]["name"],
    device: string | null,
    line: number,
    path: (typeof CODES.irq_path)[number]["name"],
  ): number {
    return this.trace.irq({
      event: codeOf("irq_event", event),
      device: device === null ? null : named("device", device),
      line,
      path: codeOf("irq_path", path),
    });
  }

  #access(
    device: string,
    register: string,
    write: boolean,
    value: number,
    effects = () => {},
  ): void {
    const at = named("register", register) * 4;
    const codes = { device: named("device", device), register: named("register", register) };
    this.#exit({
      reason: "mmio",
      hw: write ? "STORE_GUEST_PAGE_FAULT" : "LOAD_GUEST_PAGE_FAULT",
      access: { ...codes, gpa: BASES[device]! + at, size: 4, write, value },
    }, () => {
      this.trace.access({
        space: codeOf("space", "mmio"),
        ...codes,
        offset: at,
        size: 4,
        write,
        value,
      });
      effects();
    });
  }

  #exit(
    what: {
      reason: (typeof CODES.reason)[number]["name"];
      hw: string;
      access?: {
        device: number;
        register: number;
        gpa: number;
        size: number;
        write: boolean;
        value: number;
      };
    },
    effects: () => void,
  ): void {
    this.#icount += INSNS_BETWEEN;
    this.trace.setClock(this.#icount, this.#icount, 0);
    const seq = this.trace.take();
    this.trace.exitSeq = seq;
    effects();
    this.trace.exitSeq = -1;
    this.trace.exit({
      seq,
      reason: codeOf("reason", what.reason),
      hw_reason: named("hw_reason", what.hw),
      handler: codeOf("handler", what.access === undefined ? "kernel" : "user"),
      transitions: what.access === undefined ? 2 : 4,
      cpu_mode: codeOf("cpu_mode", "S"),
      pc: 0x8020_0000,
      gpa: what.access?.gpa ?? null,
      size: what.access?.size ?? null,
      write: what.access?.write ?? null,
      value: what.access?.value ?? null,
      device: what.access?.device ?? null,
      register: what.access?.register ?? null,
      insns: this.#icount - this.#lastExit,
      cost_ns: 0,
    });
    this.#lastExit = this.#icount;
  }
}
