/**
 * What recordings and replays have in common: a machine with its trace, and the inputs that a recording
 * takes from the world and a replay from the `input` table.
 * @module
 */
import { type Board, type BoardHost, buildBoard } from "../core/board/build.ts";
import type { MachineSpec } from "../core/board/spec.ts";
import { codeOf } from "../core/trace/schema.ts";
import type { Trace } from "../core/trace/trace.ts";
import { type Files, loadDeviceTypes } from "./files.ts";
import type { Images } from "./images.ts";

export const INPUT = {
  device: codeOf("input_kind", "device"),
  stop: codeOf("input_kind", "stop"),
  medium: codeOf("input_kind", "medium"),
};

/** A place in a run at which an input takes effect: where it is met again by a replay. */
export interface Place {
  /** Instructions executed by all harts together. */
  readonly executed: number;
  /** Virtual ns; beyond the last instruction only where every hart waits. */
  readonly timeNs: number;
}

export async function buildRun(
  spec: MachineSpec,
  files: Files,
  trace: Trace,
  host: Pick<BoardHost, "cpu" | "meter" | "modules" | "out">,
  images: Images,
): Promise<Board> {
  const types = await loadDeviceTypes(spec);
  const board: Board = buildBoard(spec, files, types, trace, {
    ...host,
    open: (drive) =>
      images.open(drive, (at, data) => {
        trace.found({
          kind: INPUT.medium,
          executed: board.machine.executed,
          device: drive.id,
          channel: String(at),
          data,
        });
      }),
  });
  // Names and prices are committed before the guest runs: a killed recording has them all.
  trace.flush();
  return board;
}

/**
 * Writes what is only known when a run has ended: names of the code in guest memory. Returns why a Linux
 * kernel has none, else null. A trace that is as large as it may be gets none.
 */
export function endRun(board: Board, kind: string): string | null {
  return kind === "trace-limit" ? null : board.symbols.writeKernel();
}

/** Writes the input's row, durable before it returns, then lets it take effect. */
export function giveInput(
  board: Board,
  trace: Trace,
  device: string,
  channel: string,
  data: Uint8Array,
): void {
  writeInput(board, trace, { kind: INPUT.device, device, channel, data });
  board.input(device, channel, data);
}

/** Writes the row that says the run was asked to stop here, and why. */
export function giveStop(board: Board, trace: Trace, why: string): void {
  writeInput(board, trace, {
    kind: INPUT.stop,
    device: null,
    channel: why,
    data: new Uint8Array(),
  });
}

function writeInput(
  board: Board,
  trace: Trace,
  row: { kind: number; device: string | null; channel: string; data: Uint8Array },
): void {
  const { machine } = board;
  // What is due already happens first, here as in a replay.
  machine.idleUntil(machine.nowNs);
  const h = machine.harts[machine.turn];
  trace.setClock(machine.nowNs, h.icount, machine.turn);
  trace.input({
    kind: row.kind,
    executed: machine.executed,
    device: row.device,
    channel: row.channel,
    data: row.data,
  });
}
