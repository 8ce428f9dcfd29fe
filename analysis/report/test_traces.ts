/**
 * Two small runs for the tests of reports, row by row: the same KiB of work, byte by byte on one device
 * (`full`) and in two requests by one notification on another (`para`).
 * @module
 */
import type { TraceSource } from "../load.ts";
import { type LooseRow, traceOf } from "../testing.ts";

const COST = [
  { profile: "p", reason: "*", handler: "*", ns: 1000, source: "made up", measured: false },
  { profile: "p", reason: "wfi", handler: "*", ns: 500, source: "made up too", measured: false },
];

/** One KiB between two marks. */
const MARKS: LooseRow[] = [
  { seq: 0, time_ns: 0, label: "w begin", number: 1024 },
  { seq: 90, time_ns: 9000, label: "w end", number: 1024 },
];

const mmio = { reason: "mmio", handler: "user", transitions: 4, write: true };

const FULL = {
  mark: MARKS,
  exit: [
    { seq: 10, time_ns: 1000, ...mmio, device: "uart0", register: "THR" },
    { seq: 11, time_ns: 1010, ...mmio, device: "uart0", register: "THR" },
    { seq: 12, time_ns: 5000, ...mmio, device: "uart0", register: "THR" },
    { seq: 14, time_ns: 6000, reason: "external_interrupt", handler: "kernel", transitions: 2 },
    { seq: 15, time_ns: 6010, ...mmio, write: false, device: "plic", register: "claim" },
  ],
  irq: [
    { seq: 13, time_ns: 5500, event: "raise", device: "uart0", line: 10, path: "wire" },
    { seq: 16, time_ns: 6010, event: "acknowledge", device: "uart0", line: 10, path: "plic" },
  ],
  cost: COST,
};

const queue = { device: "disk", queue: 0 };

const PARA = {
  mark: MARKS,
  exit: [
    { seq: 10, time_ns: 2000, ...mmio, device: "disk", register: "QueueNotify" },
    { seq: 20, time_ns: 3000, reason: "wfi", handler: "kernel", transitions: 2 },
  ],
  vring: [
    { seq: 11, time_ns: 2000, event: "kick", ...queue, exit_seq: 10 },
    { seq: 12, time_ns: 2000, event: "pop", ...queue, exit_seq: 10, request: 1 },
    { seq: 13, time_ns: 2000, event: "pop", ...queue, exit_seq: 10, request: 2 },
    { seq: 14, time_ns: 2000, event: "descriptor", ...queue, exit_seq: 10, request: 1 },
    { seq: 15, time_ns: 2000, event: "descriptor", ...queue, exit_seq: 10, request: 2 },
    { seq: 16, time_ns: 2000, event: "descriptor", ...queue, exit_seq: 10, request: 2 },
    { seq: 21, time_ns: 4000, event: "push", ...queue, request: 1 },
    { seq: 31, time_ns: 6000, event: "push", ...queue, request: 2 },
  ],
  dma: [{ seq: 17, time_ns: 3000, device: "disk", bytes: 512, write: false, request: 1 }],
  request: [
    request(22, 1, 4000),
    request(32, 2, 6000),
  ],
  cost: COST,
};

function request(seq: number, id: number, complete: number): LooseRow {
  return {
    seq,
    time_ns: complete,
    id,
    device: "disk",
    kind: "disk_write",
    bytes: 512,
    submit_ns: 2000,
    complete_ns: complete,
    status: "ok",
    kick_exit_seq: 10,
  };
}

export const RUNS = ["full", "para"] as const;

export const testTraces = (): TraceSource[] => [traceOf(FULL, "full"), traceOf(PARA, "para")];
