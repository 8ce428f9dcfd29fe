/**
 * Events per second from the machine's thread into Arrow streams on disk, with no machine that makes
 * them: the path that every recording takes, alone. An access that exits is two events.
 * @module
 */
import { RiscvCpu } from "../../core/cpu/mod.ts";
import { BackgroundDirectory } from "../../core/trace/background.ts";
import { codeOf, EVENT_TABLES } from "../../core/trace/schema.ts";
import { DEFAULT_BATCH_ROWS, Trace } from "../../core/trace/trace.ts";
import { ACCESS_LANES, accessEnders } from "../../core/vmm/access_log.ts";
import { mainThreadMs, show, spread, table } from "./measure.ts";

const EVENTS = 10_000_000;
const ROUNDS = 3;

/** Writes events, `perCall` at each call. */
interface Source {
  readonly name: string;
  readonly perCall: number;
  make(trace: Trace): () => void;
}

function accesses(trace: Trace): () => void {
  const cpu = new RiscvCpu({
    ...{ harts: 1, ramBase: 0x8000_0000, ramBytes: 2 ** 21, nsPerInsn: 1, timebaseHz: 10_000_000 },
    sbi: true,
  });
  const hart = cpu.hart(0);
  const log = trace.log!;
  const { placed: end } = accessEnders(cpu.memory, log.memory);
  const kind = log.template("access_exit", {
    ...{ reason: codeOf("reason", "mmio"), hw_reason: 2, handler: 1, transitions: 4, cpu_mode: 1 },
    ...{ size: 4, write: 1, device: 3, register: 7, cost_ns: 0, space: 0, duration_ns: null },
    ...{ gpa: 0x1000_0010, offset: 0x10, vcpu: 0 },
  });
  return () => {
    const seq = trace.take();
    trace.take();
    end(hart.at, log.address(log.reserve(ACCESS_LANES.placed, 2)), kind, 0x10, seq, 0, 0, seq);
  };
}

function interrupts(trace: Trace): () => void {
  const [event, path] = [codeOf("irq_event", "raise"), codeOf("irq_path", "wire")];
  const raise = trace.alike("irq", { event, device: 3, line: 10, path }, []);
  return () => void raise();
}

function dma(trace: Trace): () => void {
  const cells = ["gpa", "bytes", "request"] as const;
  const append = trace.alike("dma", { device: 3, write: 0, framing: 0 }, cells);
  return () => void append(trace.seq, 64, 9);
}

const SOURCES: readonly Source[] = [
  { name: "exit + access", perCall: 2, make: accesses },
  { name: "irq", perCall: 1, make: interrupts },
  { name: "dma", perCall: 1, make: dma },
  {
    name: "dma, by its columns",
    perCall: 1,
    make: (trace) => () =>
      void trace.dma({
        device: 3,
        gpa: trace.seq,
        bytes: 64,
        write: false,
        framing: false,
        request: 9,
      }),
  },
];

interface Figures {
  readonly perSecond: number;
  readonly threadNs: number;
  readonly bytes: number;
}

function measure(source: Source, path: string): Figures {
  const sink = new BackgroundDirectory(path, {
    ...{ version: "bench", machine: {}, files: [] },
    ...{ batch_rows: DEFAULT_BATCH_ROWS, event_tables: EVENT_TABLES },
  }, { force: true });
  const trace = new Trace(sink, { columns: "machine" });
  const write = source.make(trace);
  const cpu = mainThreadMs() ?? NaN;
  const start = performance.now();
  for (let i = 0; i < EVENTS; i += source.perCall) {
    trace.setClock(i, i, 0);
    write();
    if (trace.full) trace.flush();
  }
  const threadMs = (mainThreadMs() ?? NaN) - cpu;
  trace.close();
  const ms = performance.now() - start;
  return {
    perSecond: EVENTS / ms / 1000,
    threadNs: threadMs * 1e6 / EVENTS,
    bytes: trace.bytes / EVENTS,
  };
}

export function events(folder: string): Promise<string> {
  const rows = SOURCES.map((source, i) => {
    const runs = Array.from(
      { length: ROUNDS },
      () => measure(source, `${folder}/events-${i}.trace`),
    );
    const of = (key: keyof Figures) => spread(runs.map((r) => r[key]));
    return [
      source.name,
      show(of("perSecond"), 1),
      show(of("threadNs"), 0),
      of("bytes").median.toFixed(1),
    ];
  });
  const head = ["", "M events/s to disk", "ns/event, machine's thread", "bytes/event"];
  const title = `${EVENTS / 1e6} M events into Arrow streams on disk, median of ${ROUNDS} (range)`;
  return Promise.resolve(`${title}\n` + table(head, rows));
}
