/** Shapes shared with the recorder. @module */
import type { MachineSpec } from "../../core/board/spec.ts";
import type { EventTable } from "../../core/trace/schema.ts";

export interface RecordOptions {
  spec: MachineSpec;
  files: Map<string, Uint8Array>;
  directory: string;
  force: boolean;
  tables?: EventTable[];
  traceLimitBytes?: number;
  batchRows?: number;
  untilIcount?: number;
  untilOutput?: RegExp;
  timeoutSeconds?: number;
}

export interface MachineInfo {
  exits(): { reason: string; count: number }[];
  memoryMap(): { addr: number; size: number; name: string }[];
  registers(hart: number): string;
  devices(): { name: string; type: string; addr: number; irq: number | null; regs: number }[];
}

export interface Progress {
  icount: number;
  timeNs: number;
  exits: number;
  outBytes: number;
}

export interface RecordHost {
  out(device: string, bytes: Uint8Array): void;
  pollInput(): Uint8Array | null;
  inputEnded(): boolean;
  waitInput(ms: number): Promise<void>;
  interactive: boolean;
  quit(): boolean;
  progress?(p: Progress): void;
  machine?(m: { info: MachineInfo }): void;
}

export type EndKind =
  | "poweroff"
  | "reboot"
  | "fail"
  | "until-icount"
  | "until-output"
  | "timeout"
  | "quit"
  | "trace-limit"
  | "idle-forever";

export interface RecordResult {
  end: { kind: EndKind; code: number };
  exitCode: number;
  icount: number;
  timeNs: number;
  hostMs: number;
  exits: number;
  rows: number;
  bytes: number;
}

export type Recorder = (o: RecordOptions, host: RecordHost) => Promise<RecordResult>;
