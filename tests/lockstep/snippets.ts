/**
 * Short programs that a random choice of single instructions would hardly ever make: each does
 * something that takes several steps in the right order. They are written over random code, at any
 * place, so that streams run into them whole or in part.
 * @module
 */
import { CSRS } from "../../core/cpu/csr.ts";
import { MSTATUS, PTE, SATP } from "../../core/cpu/mstatus.ts";
import {
  ALIASES,
  instruction,
  leafBits,
  pointer,
  RAM_BASE,
  randomPc,
  type Rng,
  ROOTS,
  value,
} from "../../core/cpu/random_streams.ts";
import { type Line, word } from "../../core/cpu/testing.ts";

const PAGE = 4096;
/** The last page of code. */
export const HANDLER_PAGE = 15;
/** Scratch registers of the snippets: t4, t5, t6; s0 points at data. */
const [T4, T5, T6, S0] = [29, 30, 31, 8];
const number = (name: string) => CSRS.find((c) => c.name === name)!.number;

/** rd = v, any 64-bit value. */
export function li(rd: number, v: bigint): Line[] {
  v = BigInt.asIntN(64, v);
  const low = Number(BigInt.asIntN(12, v));
  if (v === BigInt.asIntN(12, v)) return [["addi", { rd, rs1: 0, imm: low }]];
  if (v === BigInt.asIntN(32, v)) {
    const high = Number(BigInt.asIntN(32, v - BigInt(low)));
    return [["lui", { rd, imm: high }], ["addiw", { rd, rs1: rd, imm: low }]];
  }
  return [
    ...li(rd, (v - BigInt(low)) >> 12n),
    ["slli", { rd, rs1: rd, shamt: 12 }],
    ["addi", { rd, rs1: rd, imm: low }],
  ];
}
const csrw = (name: string, rs1: number): Line => ["csrrw", { rd: 0, csr: number(name), rs1 }];
const any = (r: Rng, n: number): Line[] => Array.from({ length: n }, () => ["", raw(r)]);
/** A random instruction, as a line that `assemble` knows. */
const raw = (r: Rng) => {
  const { word, bytes } = instruction(r);
  return { word, bytes };
};

/** Changes one entry of the page tables and fences it, its page, or everything. */
function pageTableEdit(r: Rng): Line[] {
  const region = r.below(3);
  const page = r.below(48);
  const level0 = ROOTS[SATP.sv39] + (2 + region * 2) * PAGE;
  const base = region === 0 ? BigInt(RAM_BASE) : ALIASES[region - 1];
  const entry = BigInt(level0 + page * 8);
  const to = region === 0 && r.chance(70) ? page : r.below(48);
  const bits = leafBits(r, r.chance(50)) | (r.chance(90) ? PTE.V : 0);
  const fence: Line = r.chance(60)
    ? ["sfence.vma", { rs1: T4, rs2: 0 }]
    : ["sfence.vma", { rs2: r.chance(50) ? 0 : T6 }];
  return [
    ...li(T4, base + BigInt(page * PAGE + r.below(PAGE))),
    ...li(T5, entry),
    ...li(T6, BigInt(RAM_BASE / PAGE + to) << 10n | BigInt(bits)),
    ...(r.chance(30) ? [["ld", { rd: 28, rs1: T4, imm: 0 }] as Line] : []),
    ["sd", { rs2: T6, rs1: T5, imm: 0 }],
    ...(r.chance(90) ? [fence] : []),
    [r.pick(["ld", "lbu"]), { rd: 28, rs1: T4, imm: 0 }],
    ...(r.chance(50) ? [["sb", { rs2: 28, rs1: T4, imm: 0 }] as Line] : []),
  ];
}

/** Overwrites one of the next instructions, then runs it. */
function selfModifying(r: Rng): Line[] {
  const { word, bytes } = instruction(r);
  const fence = r.chance(80);
  const before = li(T6, BigInt(word | 0));
  const ahead = 4 + before.length * 4 + 4 + (fence ? 4 : 0) + r.below(3) * 2;
  return [
    ["auipc", { rd: T5, imm: 0 }],
    ...before,
    [bytes === 2 ? "sh" : "sw", { rs2: T6, rs1: T5, imm: ahead }],
    ...(fence ? [["fence.i"] as Line] : []),
    ...any(r, 4),
  ];
}

/** Runs an instruction, overwrites it, and goes back to it. */
function selfModifyingLoop(r: Rng): Line[] {
  const { word: bits, bytes } = instruction(r);
  const change = li(T6, BigInt(bits | 0));
  const middle: Line[] = [["addi", { rd: 28, rs1: 28, imm: 1 }], ["addi", {
    rd: 28,
    rs1: 28,
    imm: 2,
  }]];
  const toPc = 4 * (middle.length + change.length);
  const fence: Line[] = r.chance(80) ? [["fence.i"]] : [];
  const back = toPc + 4 * (2 + fence.length + 1);
  return [
    ...middle,
    ...change,
    ["auipc", { rd: T5, imm: 0 }],
    [bytes === 2 ? "sh" : "sw", { rs2: T6, rs1: T5, imm: 2 * r.below(4) - toPc }],
    ...fence,
    ["xori", { rd: T4, rs1: T4, imm: 1 }],
    [r.pick(["bne", "beq"]), { rs1: T4, rs2: 0, imm: -back }],
  ];
}

function loadReserved(r: Rng): Line[] {
  const size = r.pick(["w", "d"]);
  const other = r.chance(10) ? r.pick(["w", "d"]) : size;
  const between: Line[] = r.chance(50)
    ? [["addi", { rd: T6, rs1: T5, imm: 1 }]]
    : r.chance(50)
    ? [["sw", { rs2: T6, rs1: S0, imm: r.below(4) * 4 }]]
    : any(r, 1);
  return [
    ["andi", { rd: S0, rs1: S0, imm: -8 }],
    [`lr.${size}`, { rd: T5, rs1: S0 }],
    ...between,
    [`sc.${other}`, { rd: T5, rs1: S0, rs2: T6 }],
    ["bne", { rs1: T5, rs2: 0, imm: r.chance(30) ? -12 : 8 }],
  ];
}

/** To another privilege, at a place that has code. */
function trapReturn(r: Rng): Line[] {
  const level = r.pick(["m", "s"]);
  const previous = BigInt(r.below(4)) << BigInt(MSTATUS.MPP) |
    BigInt(r.below(2)) << BigInt(MSTATUS.SPP) | BigInt(r.u32() & 0xaa);
  const set: Line = [r.pick(["csrrs", "csrrc"]), { rd: 0, csr: number(level + "status"), rs1: T6 }];
  return [
    ...li(T5, randomPc(r)),
    ...li(T6, previous),
    csrw(`${level}epc`, T5),
    ...(r.chance(70) ? [set] : []),
    [`${level}ret`],
  ];
}
/**
 * A trap handler: mostly steps over what trapped, or goes on somewhere else, as when code cannot be
 * fetched; sometimes turns floating point on. The nops are for vectored entries.
 */
function handler(r: Rng, level = r.pick(["m", "s"])): Line[] {
  const epc = number(`${level}epc`);
  const elsewhere: Line[] = [
    ["add", { rd: T4, rs1: T4, rs2: T6 }],
    ["mul", { rd: T4, rs1: T4, rs2: T4 }],
    ["addi", { rd: T4, rs1: T4, imm: 2 * r.below(1000) + 1 }],
    ["slli", { rd: T6, rs1: T4, shamt: 48 }],
    ["srli", { rd: T6, rs1: T6, shamt: 48 }],
    ...li(T5, BigInt(RAM_BASE)),
    ["or", { rd: T6, rs1: T6, rs2: T5 }],
  ];
  const float: Line[] = [
    ["lui", { rd: T5, imm: 0x6000 }],
    ["csrrs", { rd: 0, csr: number(`${level}status`), rs1: T5 }],
  ];
  return [
    ["csrrs", { rd: T6, csr: epc }],
    ["addi", { rd: T6, rs1: T6, imm: r.chance(50) ? 4 : 2 }],
    ...(r.chance(50) ? elsewhere : [
      ["csrrs", { rd: T5, csr: number(`${level}cause`) }],
      ["andi", { rd: T5, rs1: T5, imm: 3 }], // Fetch faults are 1 and 12, and others go along.
      ["addi", { rd: T4, rs1: 0, imm: 1 }],
      ["bltu", { rs1: T4, rs2: T5, imm: 4 + 4 * elsewhere.length }],
      ...elsewhere,
    ] as Line[]),
    ["csrrw", { rd: 0, csr: epc, rs1: T6 }],
    ...(r.chance(60) ? float : []),
    [`${level}ret`],
  ];
}
export const HANDLER_BYTES = 128;
const VECTORS = 12;

/** A page of handlers for the privileges that the traps of a stream go to. */
export function handlers(r: Rng): number[] {
  const page: number[] = [];
  while (page.length < PAGE) {
    const level = page.length < PAGE / 2 ? "s" : "m";
    const nops = Array.from({ length: VECTORS }, (): Line => ["addi", { rd: 0 }]);
    const bytes = assemble([...nops, ...handler(r, level)]);
    page.push(...bytes, ...new Array(HANDLER_BYTES - bytes.length).fill(0));
  }
  return page;
}
/** Where the traps of a level go: usually to one of the handlers. */
export function trapVector(r: Rng, level: "m" | "s"): bigint {
  if (r.chance(10)) return randomPc(r) & ~3n | BigInt(r.below(2));
  const half = PAGE / 2 / HANDLER_BYTES;
  const at = HANDLER_PAGE * PAGE + ((level === "m" ? half : 0) + r.below(half)) * HANDLER_BYTES;
  return BigInt(RAM_BASE + at + (r.chance(40) ? 1 : 4 * VECTORS));
}

/** Any register with a plausible or a wild value, read back. */
function csrWrite(r: Rng): Line[] {
  const c = r.pick(CSRS);
  const csr = c.number + r.below(c.count);
  const wild = r.chance(50) ? value(r) : r.u64();
  const v = c.name === "satp" && r.chance(80)
    ? satp(r)
    : c.name.endsWith("tvec")
    ? trapVector(r, c.name[0] as "m" | "s")
    : wild;
  return [
    ...li(T5, v),
    [r.pick(["csrrw", "csrrs", "csrrc"]), { rd: T6, csr, rs1: T5 }],
    ["csrrs", { rd: T4, csr, rs1: 0 }],
  ];
}
function satp(r: Rng): bigint {
  const mode = r.pick([SATP.sv39, SATP.sv39, SATP.sv48, SATP.sv57]);
  const asid = BigInt(r.below(4)) << 44n;
  return BigInt(r.chance(80) ? mode : r.below(16)) << 60n | BigInt(ROOTS[mode] / PAGE) | asid;
}

/** Interrupts on, off, wanted, awaited. */
function interrupts(r: Rng): Line[] {
  const level = r.pick(["m", "s"]);
  return [
    ...li(T5, BigInt(r.below(0x1000) & 0xaaa)),
    ["csrrs", { rd: 0, csr: number(`${level}ie`), rs1: T5 }],
    ["csrrsi", { rd: 0, csr: number(`${level}status`), uimm: r.pick([2, 8, 10]) }],
    ["csrrsi", { rd: 0, csr: number(`${level}ip`), uimm: 2 }],
    ...(r.chance(30) ? [["wfi"] as Line] : []),
  ];
}
/** The same few bytes in every width, at every alignment. */
function overlapping(r: Rng): Line[] {
  const at = r.chance(40) ? pointer(r) & ~0xfffn : pointer(r);
  const access = (): Line => {
    const imm = r.below(24) - 12;
    return r.chance(50)
      ? [r.pick(["sb", "sh", "sw", "sd"]), { rs2: r.below(32), rs1: T5, imm }]
      : [r.pick(["lb", "lbu", "lh", "lhu", "lw", "lwu", "ld"]), { rd: T6, rs1: T5, imm }];
  };
  return [...li(T5, at), ...Array.from({ length: 6 }, access)];
}

const SNIPPETS: ((r: Rng) => Line[])[] = [
  ...[
    pageTableEdit,
    selfModifying,
    selfModifyingLoop,
    loadReserved,
    trapReturn,
    (r: Rng) => handler(r),
  ],
  ...[csrWrite, interrupts, overlapping],
];

function assemble(lines: Line[]): number[] {
  const out: number[] = [];
  for (const [name, values] of lines) {
    const { bits, bytes } = name === ""
      ? { bits: values!.word, bytes: values!.bytes }
      : word(name, values);
    for (let i = 0; i < bytes; i++) out.push(bits >>> 8 * i & 0xff);
  }
  return out;
}
/** A few random instructions as bytes. */
export const instructions = (r: Rng): number[] => assemble(any(r, 1 + r.below(3)));
/** A random snippet as bytes. */
export const snippet = (r: Rng): number[] => assemble(r.pick(SNIPPETS)(r));
