/**
 * Traces as Perfetto shows them: a process per trace; in it a thread per vCPU with a slice per exit,
 * requests of each device on as many tracks as overlap, interrupts, and counters of exits per second and
 * of each virtqueue's depth. Flows lead from the exit that kicked over the request to its interrupt.
 *
 * An exit lasts what the trace tells: `duration_ns` of a host, `cost_ns` under --costs, else no time.
 * @module
 */
import type { Engine } from "../engine.ts";
import { records, type Value } from "../rows.ts";
import { type Annotation, TrackEvents } from "./track_events.ts";

/** Rows fetched at a time, by their seq. */
const WINDOW = 500_000n;
const BUCKETS = 1000n;
const NO_VCPU = 255;
const MOST_PID = 1000;

type Row = Record<string, Value>;

export async function writePerfetto(
  engine: Engine,
  runs: readonly string[],
  write: (bytes: Uint8Array) => void,
  progress: (part: number) => void,
): Promise<void> {
  const events = new TrackEvents(write);
  for (const [i, run] of runs.entries()) {
    await new RunTracks(engine, events, run, i + 1).write((part) =>
      progress((i + part) / runs.length)
    );
  }
  events.flush();
}

const big = (value: Value): bigint => BigInt(value as bigint | number);

class RunTracks {
  readonly #process: number;
  readonly #vcpus = new Map<number, number>();

  constructor(
    readonly engine: Engine,
    readonly events: TrackEvents,
    readonly run: string,
    readonly pid: number,
  ) {
    this.#process = events.process(pid, run);
  }

  async write(progress: (part: number) => void): Promise<void> {
    await this.#exits(progress);
    await this.#requests();
    await this.#interrupts();
    await this.#rate();
    await this.#depth();
  }

  async #ask(sql: string, ...params: Value[]): Promise<Row[]> {
    return records(await this.engine.query(sql, [this.run, ...params]));
  }

  /** Flows of different traces must not meet. */
  #flow(request: Value): bigint {
    return BigInt(this.pid) << 48n | big(request) & 0xffffffffffffn;
  }

  #vcpu(vcpu: number): number {
    let track = this.#vcpus.get(vcpu);
    if (track === undefined) {
      const name = vcpu === NO_VCPU ? "other threads" : `vCPU ${vcpu}`;
      track = this.events.thread(this.pid, this.pid * MOST_PID + vcpu + 1, name);
      this.#vcpus.set(vcpu, track);
    }
    return track;
  }

  async #exits(progress: (part: number) => void): Promise<void> {
    const [{ first, last }] = await this.#ask(
      "SELECT min(seq) AS first, max(seq) AS last FROM exit WHERE run = ?",
    );
    if (first === null || last === null) return;
    for (let from = big(first); from <= big(last); from += WINDOW) {
      const rows = await this.#ask(
        `SELECT e.vcpu, e.seq, e.time_ns, e.reason, e.hw_reason, e.handler, e.device, e.register,
           e.write, e.gpa, e.value, e.pc, e.insns, coalesce(e.duration_ns, e.cost_ns) AS ns, k.ids
         FROM exit e LEFT JOIN (
           SELECT kick_exit_seq, string_agg(id, ',') AS ids
           FROM request WHERE run = $1 AND kick_exit_seq IS NOT NULL GROUP BY 1
         ) k ON k.kick_exit_seq = e.seq
         WHERE e.run = $1 AND e.seq >= $2 AND e.seq < $3 ORDER BY e.vcpu, e.seq`,
        from,
        from + WINDOW,
      );
      for (const row of rows) this.#exit(row);
      progress(Number(from - big(first)) / Number(big(last) - big(first) + 1n));
    }
  }

  #exit(row: Row): void {
    const begin = big(row.time_ns);
    const register = row.register === null ? "" : `.${row.register}`;
    const access = row.device === null ? "" : ` ${row.device}${register}`;
    const { hw_reason, handler, gpa, value, pc, write, seq, insns } = row;
    this.events.slice(this.#vcpu(Number(row.vcpu)), begin, begin + big(row.ns), {
      category: "exit",
      name: `${row.reason}${access}`,
      flows: row.ids === null ? [] : String(row.ids).split(",").map((id) => this.#flow(BigInt(id))),
      annotations: { hw_reason, handler, gpa, value, pc, write, seq, insns } as Record<
        string,
        Annotation
      >,
    });
  }

  /** Each on the first track of its device that is free. */
  async #requests(): Promise<void> {
    const rows = await this.#ask(
      "SELECT * FROM request WHERE run = ? ORDER BY device, submit_ns, complete_ns",
    );
    const lanes = new Map<string, { track: number; until: bigint }[]>();
    for (const row of rows) {
      const device = String(row.device);
      const own = lanes.get(device) ?? [];
      lanes.set(device, own);
      const begin = big(row.submit_ns);
      let lane = own.find(({ until }) => until <= begin);
      if (lane === undefined) {
        const name = own.length === 0
          ? `${device} requests`
          : `${device} requests ${own.length + 1}`;
        own.push(lane = { track: this.events.track(this.#process, name), until: 0n });
      }
      lane.until = big(row.complete_ns);
      this.events.slice(lane.track, begin, lane.until, {
        category: "request",
        name: `${row.kind} ${row.bytes}`,
        flows: [this.#flow(row.id)],
        annotations: { id: big(row.id), bytes: row.bytes as number, status: String(row.status) },
      });
    }
  }

  async #interrupts(): Promise<void> {
    const rows = await this.#ask(
      `SELECT i.time_ns, i.event, i.device, i.line, i.path, string_agg(r.id, ',') AS ids
       FROM irq i LEFT JOIN request r ON r.run = i.run AND r.irq_seq = i.seq
       WHERE i.run = ? GROUP BY i.seq, i.time_ns, i.event, i.device, i.line, i.path ORDER BY i.seq`,
    );
    if (rows.length === 0) return;
    const track = this.events.track(this.#process, "interrupts");
    for (const row of rows) {
      const ids = row.ids === null ? [] : String(row.ids).split(",");
      this.events.instant(track, big(row.time_ns), {
        category: "irq",
        name: `${row.event} ${row.device ?? `${row.path} ${row.line}`}`,
        flowEnds: ids.map((id) => this.#flow(BigInt(id))),
        annotations: { line: row.line as number, path: String(row.path) },
      });
    }
  }

  async #rate(): Promise<void> {
    const rows = await this.#ask(
      `WITH span AS (
         SELECT min(time_ns) AS first, max(time_ns) - min(time_ns) + 1 AS ns FROM exit WHERE run = $1
       ), step AS (SELECT first, greatest(1, ns // ${BUCKETS}) AS ns FROM span)
       SELECT first + (time_ns - first) // ns * ns AS at, count(*) * 1000000000 // any_value(ns) AS rate
       FROM exit, step WHERE run = $1 GROUP BY 1 ORDER BY 1`,
    );
    if (rows.length === 0) return;
    const track = this.events.counter(this.#process, "exits per second", "exits/s");
    for (const { at, rate } of rows) this.events.value(track, big(at), big(rate));
  }

  async #depth(): Promise<void> {
    const rows = await this.#ask(
      `SELECT device, queue, time_ns,
         sum(CASE event WHEN 'pop' THEN 1 ELSE -1 END)
           OVER (PARTITION BY device, queue ORDER BY seq)::BIGINT AS depth
       FROM vring WHERE run = ? AND event IN ('pop', 'push') ORDER BY device, queue, seq`,
    );
    const tracks = new Map<string, number>();
    for (const { device, queue, time_ns, depth } of rows) {
      const name = `${device} queue ${queue} depth`;
      let track = tracks.get(name);
      if (track === undefined) {
        tracks.set(name, track = this.events.counter(this.#process, name, "chains"));
      }
      this.events.value(track, big(time_ns), big(depth));
    }
  }
}
