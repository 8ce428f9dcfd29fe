/**
 * Seeded random traces for tests: writes rows the way a machine does and keeps what it wrote, as the
 * reader should hand it back.
 * @module
 */
import { columnsOf, type ReadRow, type Row } from "./rows.ts";
import {
  COMMON,
  type EventTable,
  REFERENCE_TABLES,
  TABLE_NAMES,
  type TableName,
} from "./schema.ts";
import type { Trace } from "./trace.ts";

/** The seed of random tests: SEED in the environment repeats a failure. */
export const SEED = Number(Deno.env.get("SEED") ?? 1);

/** Runs `body`; when it throws, says how to repeat it. */
export function withSeed(file: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    console.error(`to repeat: SEED=${SEED} deno test -A ${file}`);
    throw error;
  }
}

/** mulberry32: 32 random bits per call. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  /** Up to 2^53 - 1, every number of bits as likely as any other. */
  u53(): number {
    return Math.floor(((this.u32() & 0x1fffff) * 0x1_0000_0000 + this.u32()) / 2 ** this.below(53));
  }
  bytes(max: number): Uint8Array {
    return Uint8Array.from({ length: this.below(max + 1) }, () => this.u32());
  }
  text(max: number): string {
    const letters = ["a", "Z", " ", "é", "中", "😀", "\0", '"'];
    return Array.from({ length: this.below(max + 1) }, () => letters[this.below(8)]).join("");
  }
}

export type Written = { [T in TableName]: ReadRow<T>[] };

export const nothingWritten = (): Written =>
  Object.fromEntries(TABLE_NAMES.map((t) => [t, []])) as unknown as Written;

function randomValue(type: string, random: Random): unknown {
  switch (type) {
    case "u8":
      return random.u32() & 0xff;
    case "u16":
      return random.u32() & 0xffff;
    case "u64":
      return random.u53();
    case "bool":
      return random.below(2) === 1;
    case "utf8":
      return random.text(12);
    case "binary":
      return random.bytes(20);
    default:
      return random.u32();
  }
}

/** A random row, and what it should read as apart from the columns that the trace fills in. */
function randomRow<T extends TableName>(table: T, random: Random) {
  const row: Record<string, unknown> = {};
  const read: Record<string, unknown> = {};
  for (const [name, { type, nullable }] of columnsOf(table)) {
    if (name in COMMON) continue;
    if (nullable && random.below(3) === 0) {
      read[name] = null;
      if (random.below(2) === 0) row[name] = null;
      continue;
    }
    row[name] = read[name] = randomValue(type, random);
    if (type !== "wide") continue;
    row[`${name}_hi`] = random.u32();
    read[name] = (BigInt(row[`${name}_hi`] as number) << 32n) | BigInt(row[name] as number);
  }
  return { row: row as Row<T>, read };
}

const WITHIN_EXITS = ["access", "vring", "dma", "step", "irq", "request", "mark"] as const;

/** Writes random rows like a machine: exits with rows inside them, other rows and inputs between. */
export class RandomMachine {
  readonly written = nothingWritten();
  #timeNs = 0;
  #icount = 0;
  #vcpu = 0;

  constructor(readonly trace: Trace, readonly random: Random) {
    for (const name of REFERENCE_TABLES) this.#plain(name);
  }

  /** One exit or one thing between exits; flushes when the trace asks for it. */
  step(): void {
    const { random, trace } = this;
    this.#timeNs += random.below(1 << 30) * 1000;
    this.#icount += random.below(1 << 30) * 900;
    this.#vcpu = random.below(4);
    trace.setClock(this.#timeNs, this.#icount, this.#vcpu);
    if (random.below(20) === 0) this.#event("input");
    else if (random.below(4) === 0) this.#event(WITHIN_EXITS[random.below(7)]);
    else this.#exit();
    if (trace.full) trace.flush();
  }

  #exit(): void {
    const seq = this.trace.take();
    this.trace.exitSeq = seq;
    for (let n = this.random.below(4); n > 0; n--) this.#event(WITHIN_EXITS[this.random.below(7)]);
    this.#event("exit", seq);
    this.trace.exitSeq = -1;
  }

  #event(table: EventTable, seq?: number): void {
    const { row, read } = randomRow(table, this.random);
    const given = row as { seq?: number; exit_seq?: number | null };
    if (seq !== undefined) given.seq = seq;
    if ("exit_seq" in read) {
      delete given.exit_seq;
      read.exit_seq = this.trace.exitSeq < 0 ? null : this.trace.exitSeq;
    }
    const got = (this.trace[table] as (r: unknown) => number)(row);
    const common = { seq: got, time_ns: this.#timeNs, icount: this.#icount, vcpu: this.#vcpu };
    (this.written[table] as unknown[]).push({ ...common, ...read });
  }

  #plain(table: (typeof REFERENCE_TABLES)[number]): void {
    for (let n = 3; n > 0; n--) {
      const { row, read } = randomRow(table, this.random);
      (this.trace[table] as (r: unknown) => number)(row);
      (this.written[table] as unknown[]).push(read);
    }
  }
}

/** Runs `body` with a folder that is removed afterwards. */
export function inTemp(body: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "trace-test-" });
  try {
    body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
