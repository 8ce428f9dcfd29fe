/**
 * A chip with disks for tests, and a driver of one command at a time: written from the initiator's side
 * of the LSI53C895A Technical Manual and of SPI-3.
 * @module
 */
import assert from "node:assert/strict";
import type { PropValue } from "../device.ts";
import { type Drive, makeDrive, memoryMedium, overlayMedium } from "../medium.ts";
import { RAM_BASE, TestMachine } from "../test_machine.ts";
import { lsi53c895a } from "./lsi53c895a.ts";
import { DSTAT, ISTAT0, SIST0, SIST1 } from "./registers.ts";
import { assemble, type Program, registerAt } from "./test_assembler.ts";

export const SCRIPT_RAM = 0x4000_0000;
export const REGISTERS_AT = 0x4000_2000;
/** Where the driver keeps things, from RAM_BASE. */
export const AT = {
  script: 0x0000,
  table: 0x1000,
  message: 0x1100,
  cdb: 0x1140,
  status: 0x1160,
  messageIn: 0x1170,
  data: 0x2000,
} as const;
export const addr = (offset: number): number => RAM_BASE + offset;
const MAX_SEGMENTS = 16;

/** Selects, then follows the target through its phases. Interrupt 0 is the end. */
export const DRIVER = `
start:    SELECT ATN FROM 0, selected_us
          MOVE FROM 8, WHEN MSG_OUT
dispatch: JUMP msg_in, WHEN MSG_IN
          JUMP cmd, IF CMD
          JUMP data_out, IF DATA_OUT
          JUMP data_in, IF DATA_IN
          JUMP status, IF STATUS
          INT 0xbad
cmd:      MOVE FROM 16, WHEN CMD
          JUMP dispatch
status:   MOVE 1, status_byte, WHEN STATUS
          JUMP dispatch
msg_in:   MOVE 1, message_in, WHEN MSG_IN
          JUMP complete, IF 0
          JUMP leave, IF 4
          JUMP rejected, IF 7
          CLEAR ACK
          JUMP dispatch
rejected: CLEAR ACK
          INT 7
leave:    MOVE SCNTL2 & 0x7f TO SCNTL2
          CLEAR ACK
          WAIT DISCONNECT
          INTFLY
idle:     WAIT RESELECT signalled
          JUMP dispatch
complete: MOVE SCNTL2 & 0x7f TO SCNTL2
          CLEAR ACK
          WAIT DISCONNECT
          INT 0
signalled: INT 0x516
selected_us: INT 0x5e1
data_out:
${segments("DATA_OUT")}
          JUMP dispatch
data_in:
${segments("DATA_IN")}
          JUMP dispatch
`;

function segments(phase: string): string {
  return Array.from(
    { length: MAX_SEGMENTS },
    (_, i) => `CHMOV FROM ${24 + 8 * i}, WHEN ${phase}\nJUMP dispatch, WHEN NOT ${phase}`,
  ).join("\n");
}

export interface Command {
  readonly cdb: readonly number[];
  readonly target?: number;
  readonly lun?: number;
  readonly tag?: number;
  /** Instead of IDENTIFY and the tag. */
  readonly message?: readonly number[];
  readonly disconnect?: boolean;
  /** Data-out, or room for data-in. */
  readonly out?: Uint8Array;
  readonly room?: number;
  /** Bytes of each segment but the last, which has the rest. */
  readonly segments?: readonly number[];
}

export interface Outcome {
  readonly status: number;
  readonly data: Uint8Array;
}

/** A disk in memory that answers after `latencyNs`. */
export function disk(
  id: string,
  bytes: Uint8Array,
  o: { latencyNs?: number; readOnly?: boolean } = {},
): Drive {
  const medium = overlayMedium(memoryMedium(bytes), { readOnly: o.readOnly ?? false });
  return makeDrive(id, medium, { latencyNs: o.latencyNs ?? 0, bandwidth: 0 });
}

export class Chip {
  readonly m: TestMachine;
  readonly program: Program;

  constructor(
    drives: readonly Drive[],
    props: Readonly<Record<string, PropValue>> = {},
    text = DRIVER,
    ramBytes = 1 << 20,
  ) {
    this.m = new TestMachine(lsi53c895a, { drives, props, ramBytes });
    this.#configure();
    this.program = this.load(text);
    // Enable every interrupt; arbitrate with full arbitration, as drivers do.
    this.write("DIEN", 0x7d, 1);
    this.write("SIEN0", 0x8f, 1);
    this.write("SIEN1", 0x17, 1);
    this.write("SCID", 0x47, 1);
    this.write("SCNTL3", 0x03, 1);
    this.write("STIME0", 0x0c, 1);
  }

  /** As firmware does: BARs, memory and bus mastering. */
  #configure(): void {
    const config = this.m.dev.region("config");
    config.write(0x14, 4, REGISTERS_AT);
    config.write(0x18, 4, SCRIPT_RAM);
    config.write(0x04, 2, 0x7);
  }

  /** Puts a program into guest memory. */
  load(text: string, at = addr(AT.script)): Program {
    const symbols = {
      status_byte: addr(AT.status),
      message_in: addr(AT.messageIn),
      data: addr(AT.data),
    };
    const program = assemble(at, text, symbols);
    this.m.ram.set(program.bytes, at - RAM_BASE);
    return program;
  }

  read(name: string, size = 4): number {
    return this.m.read(registerAt(name), size);
  }
  write(name: string, v: number, size = 4): void {
    this.m.write(registerAt(name), v, size);
  }

  put32(offset: number, ...words: number[]): void {
    new DataView(this.m.ram.buffer, this.m.ram.byteOffset).setUint32(offset, words[0], true);
    if (words.length > 1) this.put32(offset + 4, ...words.slice(1));
  }

  /** Runs a program to its next interrupt: what DSTAT, SIST0 and SIST1 say, and DSPS. */
  run(at: number | null): { dstat: number; sist0: number; sist1: number; dsps: number } {
    if (at !== null) this.write("DSP", at);
    return this.interrupted();
  }

  /** Waits for the line, at most a second of virtual time. */
  interrupted(ns = 1_000_000_000) {
    for (const end = this.m.nowNs + ns;;) {
      this.clearFly();
      const next = this.m.pending[0];
      if (this.m.wires[0].level || next === undefined || next.atNs > end) break;
      this.m.advance(Math.max(0, next.atNs - this.m.nowNs), 1);
    }
    const istat = this.read("ISTAT0", 1);
    const dstat = istat & ISTAT0.DIP ? this.read("DSTAT", 1) & ~DSTAT.DFE : 0;
    const sist = istat & ISTAT0.SIP ? this.read("SIST0", 2) : 0;
    return { dstat, sist0: sist & 0xff, sist1: sist >>> 8, dsps: this.read("DSPS") };
  }

  /** An interrupt on the fly tells of nothing that a driver of one command waits for. */
  clearFly(): void {
    if (this.read("ISTAT0", 1) & ISTAT0.INTF) this.write("ISTAT0", ISTAT0.INTF, 1);
  }

  /** Describes a command in the table that DSA points to. */
  prepare(c: Command): void {
    const { ram } = this.m;
    const { target = 0, lun = 0, disconnect = true, cdb } = c;
    const identify = 0x80 | (disconnect ? 0x40 : 0) | lun;
    const message = c.message ?? [identify, ...c.tag === undefined ? [] : [0x20, c.tag]];
    ram.set(message, AT.message);
    ram.set(cdb, AT.cdb);
    const size = c.out?.length ?? c.room ?? 0;
    if (c.out) ram.set(c.out, AT.data);
    else ram.fill(0xee, AT.data, AT.data + size);
    this.put32(AT.table, 0x0300_0000 | target << 16, 0);
    this.put32(AT.table + 8, message.length, addr(AT.message));
    this.put32(AT.table + 16, cdb.length, addr(AT.cdb));
    const parts = [...c.segments ?? []];
    let at = 0;
    for (let i = 0; i < MAX_SEGMENTS; i++) {
      const rest = size - at;
      const bytes = Math.min(rest, parts[i] ?? rest);
      this.put32(AT.table + 24 + 8 * i, bytes, addr(AT.data + at));
      at += bytes;
    }
    this.write("DSA", addr(AT.table));
  }

  /** Runs one command to its end; a phase that ends early is followed. */
  command(c: Command): Outcome {
    this.prepare(c);
    const { at } = this.program;
    let moved = c.room ?? 0;
    for (let next = at.start, turns = 0; turns < 8; turns++, next = at.dispatch) {
      const { dstat, sist0, sist1, dsps } = this.run(next);
      if (sist0 === SIST0.MA) {
        moved = this.read("DNAD") - addr(AT.data);
        continue;
      }
      // Anything else, such as a count of 0 where there is no room for what the target has.
      assert.deepEqual({ dstat, sist0, sist1 }, { dstat: DSTAT.SIR, sist0: 0, sist1: 0 });
      if (dsps === 7) continue;
      assert.equal(dsps, 0);
      const data = this.m.ram.slice(AT.data, AT.data + Math.min(moved, c.room ?? 0));
      return { status: this.m.ram[AT.status], data };
    }
    throw new Error("the command does not end");
  }

  /** The sense key, code and qualifier that REQUEST SENSE tells. */
  sense(target = 0, lun = 0): string {
    const { data } = this.command({ cdb: [3, 0, 0, 0, 18, 0], room: 18, target, lun });
    return [data[2], data[12], data[13]].map((v) => v.toString(16).padStart(2, "0")).join("/");
  }
}

export { DSTAT, ISTAT0, SIST0, SIST1 };
