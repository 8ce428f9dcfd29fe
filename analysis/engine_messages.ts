/**
 * What the engine and its worker say to each other: one {@link Task}, one {@link Reply}.
 * @module
 */
import type { Value } from "./rows.ts";

export type Task =
  | { kind: "open" }
  | { kind: "run"; sql: string; params: readonly Value[] }
  | { kind: "insert"; schema: string; table: string; stream: Uint8Array }
  | { kind: "reset" };

export type TaskResult = Uint8Array | null;

export interface Reply {
  id: number;
  value: TaskResult;
  /** What went wrong, or null. */
  error: string | null;
  /** True when it was the start that failed. */
  opening: boolean;
}

/** The buffer of `bytes` to hand over without a copy, where nothing else lives in it. */
export function transferable(bytes: Uint8Array): Transferable[] {
  const whole = bytes.byteLength === bytes.buffer.byteLength;
  return whole && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
}
