/**
 * A guest in S-mode whose results several harts can only get right together: counters by LR/SC, by AMO
 * and under a lock, messages sent around with IPIs, mappings and code that change under remote fences.
 * Source of the calls: RISC-V SBI 2.0, "IPI", "RFENCE", "HSM", "SRST", "DBCN".
 * @module
 */
import { PTE } from "../../core/cpu/mstatus.ts";
import { Assembler, X } from "./assembler.ts";

export const KERNEL = 0x8020_0000;
const PAGE = 4096;
const AT = {
  data: KERNEL + 0x1_0000,
  root: KERNEL + 0x1_8000,
  level1: KERNEL + 0x1_9000,
  level0: KERNEL + 0x1_a000,
  /** Two pages that one virtual page shows in turns. */
  pages: KERNEL + 0x1_b000,
} as const;
const IMAGE_BYTES = 0x1_d000;
const WINDOW = 0x4000_0000;

/** Offsets in the data that is printed, a line of 64 bytes each. */
const CELL = {
  lrsc: 0,
  amo: 0x40,
  lock: 0x80,
  locked: 0xc0,
  barrier: 0x100,
  mismatches: 0x140,
  xor: 0x180,
  max: 0x1c0,
  token: 0x200,
  mailboxes: 0x240,
} as const;
const PRINTED = 0x240;

export const SBI = {
  ipi: 0x735049,
  rfence: 0x52464e43,
  hsm: 0x48534d,
  srst: 0x53525354,
  dbcn: 0x4442434e,
};
export const CSR = { sie: 0x104, sip: 0x144, satp: 0x180 } as const;

export interface Litmus {
  harts: number;
  /** Increments of each counter by each hart. */
  increments: number;
  /** Rounds of the message, and of changed mappings and code. */
  rounds: number;
}

/** What the guest prints, by name. */
export interface Results {
  lrsc: bigint;
  amo: bigint;
  locked: bigint;
  mismatches: bigint;
  xor: bigint;
  max: bigint;
  token: bigint;
}

export function results(printed: Uint8Array): Results {
  if (printed.length !== PRINTED) throw new Error(`the guest printed ${printed.length} bytes`);
  const view = new DataView(printed.buffer, printed.byteOffset);
  const cell = (name: keyof typeof CELL) => view.getBigUint64(CELL[name], true);
  return {
    ...{ lrsc: cell("lrsc"), amo: cell("amo"), locked: cell("locked") },
    ...{ mismatches: cell("mismatches"), xor: cell("xor"), max: cell("max"), token: cell("token") },
  };
}
export function expected({ harts, increments, rounds }: Litmus): Results {
  const count = BigInt(harts * increments);
  let xor = 0;
  for (let h = 1; h <= harts; h++) if (increments % 2 === 1) xor ^= h;
  return {
    ...{ lrsc: count, amo: count, locked: count, mismatches: 0n, xor: BigInt(xor) },
    ...{ max: BigInt(harts), token: BigInt(rounds * harts) },
  };
}

class Guest extends Assembler {
  #loops = 0;
  #barriers = 0;

  constructor(readonly o: Litmus) {
    super(KERNEL);
  }
  call(extension: number, fid: number): void {
    this.li(X.a7, extension);
    this.li(X.a6, fid);
    this.put("ecall");
  }
  /** t0 = address of a cell. */
  cell(name: keyof typeof CELL): void {
    this.li(X.t0, AT.data + CELL[name]);
  }
  /** Runs `body` so many times; s2 counts down. */
  times(n: number, body: () => void): void {
    const label = `loop${this.#loops++}`;
    this.li(X.s2, n);
    this.label(label);
    body();
    this.put("addi", { rd: X.s2, rs1: X.s2, imm: -1 });
    this.to(label, "bne", { rs1: X.s2, rs2: X.zero });
  }
  /** Everybody arrives; s3 holds the count to wait for. */
  barrier(): void {
    const label = `barrier${this.#barriers++}`;
    this.cell("barrier");
    this.put("addi", { rd: X.s3, rs1: X.s3, imm: this.o.harts });
    this.li(X.t1, 1);
    this.put("amoadd.d", { rd: X.zero, rs1: X.t0, rs2: X.t1, aq: 1, rl: 1 });
    this.label(label);
    this.put("ld", { rd: X.t1, rs1: X.t0, imm: 0 });
    this.to(label, "bltu", { rs1: X.t1, rs2: X.s3 });
  }
  onlyHart0(body: () => void): void {
    const label = `others${this.#loops++}`;
    this.to(label, "bne", { rs1: X.s0, rs2: X.zero });
    body();
    this.label(label);
  }
  /** Counts a mismatch unless the two registers are equal. */
  expect(a: number, b: number): void {
    const label = `equal${this.#loops++}`;
    this.to(label, "beq", { rs1: a, rs2: b });
    this.cell("mismatches");
    this.li(X.t1, 1);
    this.put("amoadd.d", { rd: X.zero, rs1: X.t0, rs2: X.t1 });
    this.label(label);
  }
}

function start(g: Guest): void {
  g.put("addi", { rd: X.s0, rs1: X.a0, imm: 0 });
  g.onlyHart0(() => {
    for (let h = 1; h < g.o.harts; h++) {
      g.li(X.a0, h);
      g.li(X.a1, KERNEL);
      g.li(X.a2, 0);
      g.call(SBI.hsm, 0);
    }
  });
  g.li(X.s3, 0);
  g.li(X.t0, 2); // Software interrupts wake, and are never taken: sstatus.SIE stays clear.
  g.put("csrrw", { rd: X.zero, csr: CSR.sie, rs1: X.t0 });
  g.li(X.t0, 8n << 60n | BigInt(AT.root / PAGE));
  g.put("csrrw", { rd: X.zero, csr: CSR.satp, rs1: X.t0 });
  g.put("sfence.vma", { rs2: X.zero });
  g.barrier();
}

function counters(g: Guest): void {
  g.times(g.o.increments, () => {
    g.cell("lrsc");
    const retry = `retry${g.at}`;
    g.label(retry);
    g.put("lr.d", { rd: X.t1, rs1: X.t0 });
    g.put("addi", { rd: X.t1, rs1: X.t1, imm: 1 });
    g.put("sc.d", { rd: X.t2, rs1: X.t0, rs2: X.t1 });
    g.to(retry, "bne", { rs1: X.t2, rs2: X.zero });
    g.cell("amo");
    g.li(X.t1, 1);
    g.put("amoadd.w", { rd: X.zero, rs1: X.t0, rs2: X.t1 });
    g.cell("xor");
    g.put("addi", { rd: X.t1, rs1: X.s0, imm: 1 });
    g.put("amoxor.d", { rd: X.zero, rs1: X.t0, rs2: X.t1 });
    g.cell("max");
    g.put("amomaxu.d", { rd: X.zero, rs1: X.t0, rs2: X.t1 });
  });
  g.barrier();
}

/** A spinlock around an increment in three steps. */
function lock(g: Guest): void {
  g.times(g.o.increments, () => {
    g.cell("lock");
    g.li(X.t1, 1);
    const spin = `spin${g.at}`;
    g.label(spin);
    g.put("amoswap.w", { rd: X.t2, rs1: X.t0, rs2: X.t1, aq: 1 });
    g.to(spin, "bne", { rs1: X.t2, rs2: X.zero });
    g.put("ld", { rd: X.t3, rs1: X.t0, imm: CELL.locked - CELL.lock });
    g.put("addi", { rd: X.t3, rs1: X.t3, imm: 1 });
    g.put("sd", { rs2: X.t3, rs1: X.t0, imm: CELL.locked - CELL.lock });
    g.put("amoswap.w", { rd: X.zero, rs1: X.t0, rs2: X.zero, rl: 1 });
  });
  g.barrier();
}

/** Puts t4 into the next hart's mailbox and rings. */
function send(g: Guest): void {
  g.put("addi", { rd: X.a1, rs1: X.s0, imm: 1 });
  g.li(X.t1, g.o.harts);
  g.put("remu", { rd: X.a1, rs1: X.a1, rs2: X.t1 });
  g.put("slli", { rd: X.t1, rs1: X.a1, shamt: 6 });
  g.cell("mailboxes");
  g.put("add", { rd: X.t0, rs1: X.t0, rs2: X.t1 });
  g.put("sd", { rs2: X.t4, rs1: X.t0, imm: 0 });
  g.put("fence", { pred: 15, succ: 15 });
  g.li(X.a0, 1);
  g.call(SBI.ipi, 0);
}
/** The token goes round: each hart adds one and passes it on. */
function messages(g: Guest): void {
  g.onlyHart0(() => {
    g.li(X.t4, 1);
    send(g);
  });
  g.times(g.o.rounds, () => {
    const wait = `wait${g.at}`;
    g.label(wait);
    g.put("wfi");
    g.put("csrrs", { rd: X.t1, csr: CSR.sip });
    g.put("andi", { rd: X.t1, rs1: X.t1, imm: 2 });
    g.to(wait, "beq", { rs1: X.t1, rs2: X.zero });
    g.put("csrrci", { rd: X.zero, csr: CSR.sip, uimm: 2 });
    g.cell("mailboxes");
    g.put("slli", { rd: X.t1, rs1: X.s0, shamt: 6 });
    g.put("add", { rd: X.t0, rs1: X.t0, rs2: X.t1 });
    g.put("ld", { rd: X.t4, rs1: X.t0, imm: 0 });
    g.cell("token");
    g.put("sd", { rs2: X.t4, rs1: X.t0, imm: 0 });
    g.put("addi", { rd: X.t4, rs1: X.t4, imm: 1 });
    const last = `last${g.at}`;
    g.li(X.t1, g.o.rounds * g.o.harts);
    g.to(last, "bltu", { rs1: X.t1, rs2: X.t4 });
    send(g);
    g.label(last);
  });
  g.barrier();
}

/** Each round shows the other page at WINDOW, and gives a function another result. */
function fences(g: Guest): void {
  const round = X.s4;
  g.li(round, 0);
  g.to("rounds", "jal", { rd: X.zero });
  g.label("function");
  g.put("addi", { rd: X.a0, rs1: X.zero, imm: 0 });
  g.put("jalr", { rd: X.zero, rs1: X.ra, imm: 0 });
  g.label("rounds");
  g.times(g.o.rounds, () => {
    g.li(X.t0, WINDOW);
    g.put("ld", { rd: X.t1, rs1: X.t0, imm: 0 });
    g.put("andi", { rd: X.t2, rs1: round, imm: 1 });
    g.expect(X.t1, X.t2);
    g.to("function", "jal", { rd: X.ra });
    g.expect(X.a0, round);
    g.barrier();
    g.put("addi", { rd: round, rs1: round, imm: 1 });
    g.onlyHart0(() => {
      g.li(X.t0, AT.level0);
      g.li(X.t1, AT.pages / PAGE);
      g.put("andi", { rd: X.t2, rs1: round, imm: 1 });
      g.put("add", { rd: X.t1, rs1: X.t1, rs2: X.t2 });
      g.put("slli", { rd: X.t1, rs1: X.t1, shamt: 10 });
      g.put("ori", { rd: X.t1, rs1: X.t1, imm: PTE.V | PTE.R | PTE.A });
      g.put("sd", { rs2: X.t1, rs1: X.t0, imm: 0 });
      g.li(X.t0, g.address("function"));
      g.put("lw", { rd: X.t1, rs1: X.t0, imm: 0 });
      g.put("lui", { rd: X.t2, imm: 1 << 20 }); // One in the immediate of ADDI.
      g.put("addw", { rd: X.t1, rs1: X.t1, rs2: X.t2 });
      g.put("sw", { rs2: X.t1, rs1: X.t0, imm: 0 });
      g.put("fence.i");
      for (const fid of [1, 0]) {
        g.li(X.a0, 0);
        g.li(X.a1, -1);
        g.li(X.a2, WINDOW);
        g.li(X.a3, PAGE);
        g.call(SBI.rfence, fid);
      }
    });
    g.barrier();
  });
}

function end(g: Guest): void {
  g.barrier();
  g.onlyHart0(() => {
    g.li(X.a0, PRINTED);
    g.li(X.a1, AT.data);
    g.li(X.a2, 0);
    g.call(SBI.dbcn, 0);
    g.li(X.a0, 0);
    g.li(X.a1, 0);
    g.call(SBI.srst, 0);
  });
  g.call(SBI.hsm, 1);
}

/** A flat image for KERNEL, with its page tables. */
export function litmus(o: Litmus): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(IMAGE_BYTES);
  const image = new DataView(bytes.buffer);
  const g = new Guest(o);
  for (const part of [start, counters, lock, messages, fences, end]) part(g);
  if (KERNEL + g.at > AT.data) throw new Error(`the program has ${g.at} bytes`);
  g.write(image);
  const pte = (to: number, bits: number) => BigInt(to / PAGE) << 10n | BigInt(bits);
  const put = (at: number, v: bigint) => image.setBigUint64(at - KERNEL, v, true);
  const { V, R, W, X: E, A, D } = PTE;
  put(AT.root + 8 * 2, pte(0x8000_0000, V | R | W | E | A | D));
  put(AT.root + 8, pte(AT.level1, V));
  put(AT.level1, pte(AT.level0, V));
  put(AT.level0, pte(AT.pages, V | R | A));
  put(AT.pages + PAGE, 1n);
  return bytes;
}
