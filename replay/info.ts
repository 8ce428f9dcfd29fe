/**
 * What the monitor's `info` commands show of a machine; looking changes nothing.
 * @module
 */
import type { Board } from "../core/board/build.ts";
import { RAM_BASE } from "../core/board/virt.ts";
import { CODES } from "../core/trace/schema.ts";

export interface MachineInfo {
  /** Exits by reason since reset. */
  exits(): { reason: string; count: number }[];
  memoryMap(): { addr: number; size: number; name: string }[];
  /** The registers of a hart, as text. */
  registers(hart: number): string;
  devices(): { name: string; type: string; addr: number; irq: number | null; regs: number }[];
}

const ABI =
  "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"
    .split(" ");
/** CSRs worth a line, by their numbers (Privileged ISA, CSR listing). */
const CSRS: Readonly<Record<string, number>> = {
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
};
const PRIV: Readonly<Record<number, string>> = { 0: "U", 1: "S", 3: "M" };

const RA = 1;

const hex = (v: bigint) => v.toString(16).padStart(16, "0");

function registers(board: Board, hart: number): string {
  const h = board.machine.harts[hart];
  if (h === undefined) return `there is no hart ${hart}`;
  const cells = [
    ...ABI.map((name, i) => [`${name}/x${i}`, h.x(i)] as const),
    ...Object.entries(CSRS).map(([name, n]) => [name, h.csr(n)] as const),
  ].map(([name, v]) => `${name.padEnd(9)} ${hex(v)}`);
  const lines = [
    `pc        ${hex(h.pc)}  mode ${PRIV[h.priv]}  icount ${h.icount}`,
    ...(["pc", "ra"] as const).flatMap((name) => {
      const symbol = board.symbols.table.describe(name === "pc" ? h.pc : h.x(RA));
      return symbol === null || h.priv === 0 ? [] : [`${name} is in  ${symbol}`];
    }),
  ];
  for (let i = 0; i < cells.length; i += 3) lines.push(cells.slice(i, i + 3).join(" "));
  return lines.join("\n");
}

export function machineInfo(board: Board): MachineInfo {
  return {
    exits: () =>
      CODES.reason.map(({ name }, i) => ({ reason: name, count: board.exits.counts[i] ?? 0 })),
    memoryMap: () => [
      ...board.bus.mappings.map((m) => ({
        addr: m.start,
        size: m.end - m.start,
        name: m.dev.name,
      })),
      { addr: RAM_BASE, size: board.spec.memoryBytes, name: "ram" },
    ],
    registers: (hart) => registers(board, hart),
    devices: () =>
      board.placed.map((p) => ({
        name: p.name,
        type: p.type.name,
        addr: p.addr,
        irq: p.irqs[0] ?? null,
        regs: board.devices.get(p.name)!.regs.length,
      })),
  };
}
