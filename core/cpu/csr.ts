/**
 * Control and status registers, one line each: number, name, storage, writable bits, effects.
 * Number bits 9:8 give the least privilege and bits 11:10 = 3 mean read-only (Privileged ISA §2.1).
 * Simplifications: no event counters (their registers read zero); ASIDLEN is 0.
 *
 * @module
 */
import {
  COUNTEREN_WRITE,
  FS_MASK,
  IRQ,
  IRQ_ALL,
  IRQ_S,
  MEDELEG_WRITE,
  MENVCFG,
  MSTATUS,
  MSTATUS_WRITE,
  SATP,
  SATP_PPN,
  SD,
  SSTATUS_READ,
  SSTATUS_WRITE,
} from "./mstatus.ts";
import { type Feature, feature } from "./extensions.ts";
import type { Ops, Routine } from "./ops.ts";
import * as pmp from "./pmp.ts";
import { PMP_ADDRESSES, PMP_CONFIGS, type Slot, Stop, TRIGGER_CONTROLS } from "./state.ts";
import * as trigger from "./trigger.ts";
import { mipNow, time } from "./trap.ts";
import { bitSet } from "./values.ts";

type Read = <V, C>(o: Ops<V, C>) => V;
type Write = <V, C>(o: Ops<V, C>, v: V) => void;

export interface CsrDef {
  number: number;
  name: string;
  /** Registers of consecutive numbers that behave alike: "pmpaddr" 64 is pmpaddr0..63. */
  count: number;
  read: Read;
  /** What CSRRS and CSRRC start from, where it differs from what they return. */
  modify?: Read;
  write: Write;
  /** Beside the privilege that the number asks for. */
  allowed?: <V, C>(o: Ops<V, C>) => C;
  /** Without it there is no such register. */
  needs?: Feature;
}

interface Options extends Partial<Omit<CsrDef, "number" | "name">> {
  slot?: Slot;
  /** Read-only value. */
  value?: bigint;
  /** Bits of `slot` that are read, and written. */
  readMask?: bigint;
  mask?: bigint;
  /** The value to keep, given the old one and the one asked for. */
  legal?: <V, C>(o: Ops<V, C>, old: V, v: V) => V;
  /** A write may enable an interrupt or change the translation mode. */
  dirty?: boolean;
}

function csr(number: number, name: string, x: Options): CsrDef {
  const { slot, mask = -1n, readMask = -1n } = x;
  const read: Read = x.read ??
    ((o) => slot ? o.and(o.get(slot), o.konst(readMask)) : o.konst(x.value ?? 0n));
  const write: Write = x.write ?? ((o, v) => {
    if (!slot) return;
    const old = o.get(slot);
    const wanted = x.legal ? x.legal(o, old, v) : v;
    o.set(slot, merge(o, old, wanted, mask));
    if (x.dirty) o.set("dirty", o.konst(1));
  });
  const { count = 1, modify, allowed, needs } = x;
  return { number, name, count, read, modify, write, allowed, needs };
}

const merge = <V, C>(o: Ops<V, C>, old: V, v: V, mask: bigint): V =>
  mask === -1n ? v : o.or(o.and(old, o.konst(~mask)), o.and(v, o.konst(mask)));

/** Writes bits of mstatus. FS is zero without F. MPP keeps its value when asked for 2; MXR is not part of a TLB tag. */
function writeMstatus<V, C>(o: Ops<V, C>, v: V, mask: bigint): void {
  const old = o.get("mstatus");
  const mpp = 3n << BigInt(MSTATUS.MPP);
  const reserved = o.eq(o.and(v, o.konst(mpp)), o.konst(2n << BigInt(MSTATUS.MPP)));
  const kept = o.select(reserved, o.or(o.and(v, o.konst(~mpp)), o.and(old, o.konst(mpp))), v);
  const floats = feature(o, "f");
  const legal = o.select(floats, kept, o.and(kept, o.konst(~FS_MASK)));
  const next = merge(o, old, legal, mask);
  o.set("mstatus", next);
  o.set("dirty", o.konst(1));
  o.when(bitSet(o, o.xor(old, next), MSTATUS.MXR), () => o.flushTlb());
}

const readMstatus: Read = (o) => {
  const v = o.get("mstatus");
  const dirty = o.eq(o.and(v, o.konst(FS_MASK)), o.konst(FS_MASK));
  return o.select(dirty, o.or(v, o.konst(SD)), v);
};

function writeMip<V, C>(o: Ops<V, C>, v: V, mask: V): void {
  const old = o.get("mip");
  o.set("mip", o.or(o.and(old, o.xor(mask, o.konst(-1))), o.and(v, mask)));
  o.set("dirty", o.konst(1));
}
/** STIP is writable from M-mode only where Sstc does not drive it. */
const mipWritable = <V, C>(o: Ops<V, C>): V =>
  o.select(
    bitSet(o, o.get("menvcfg"), MENVCFG.STCE),
    o.konst(IRQ_S & ~(1n << BigInt(IRQ.STI))),
    o.konst(IRQ_S),
  );
/** The software bits with the other bits as read: a wired SEIP never becomes a software one. */
const mipModify: Read = (o) => {
  const sei = o.konst(1n << BigInt(IRQ.SEI));
  return o.or(
    o.and(o.call(mipNow), o.xor(sei, o.konst(-1))),
    o.and(o.get("mip"), sei),
  );
};

function writeSatp<V, C>(o: Ops<V, C>, v: V): void {
  const mode = o.shr(v, o.konst(60));
  const is = (m: number) => o.eq(mode, o.konst(m));
  const always = o.either(is(SATP.bare), is(SATP.sv39));
  const sv48 = o.both(is(SATP.sv48), feature(o, "sv48"));
  const sv57 = o.both(is(SATP.sv57), feature(o, "sv57"));
  o.when(o.either(always, o.either(sv48, sv57)), () => {
    o.set("satp", o.and(v, o.konst(SATP_PPN | (15n << 60n))));
    o.set("dirty", o.konst(1));
    o.flushTlb();
  });
}

const counter = <V, C>(o: Ops<V, C>, bit: number): C => {
  const priv = o.get("priv");
  const m = o.either(o.eq(priv, o.konst(3)), bitSet(o, o.get("mcounteren"), bit));
  return o.both(m, o.either(o.ne(priv, o.konst(0)), bitSet(o, o.get("scounteren"), bit)));
};
const stimecmpAllowed = <V, C>(o: Ops<V, C>): C =>
  o.either(
    o.eq(o.get("priv"), o.konst(3)),
    o.both(bitSet(o, o.get("menvcfg"), MENVCFG.STCE), bitSet(o, o.get("mcounteren"), 1)),
  );
/** A counter that runs unless bit `inhibit` of mcountinhibit stops it; `now` is what it counts. */
const counted = (inhibit: number, offset: Slot, now: Read) => {
  const stopped = <V, C>(o: Ops<V, C>) => bitSet(o, o.get("mcountinhibit"), inhibit);
  return {
    read: ((o) => o.select(stopped(o), o.get(offset), o.add(now(o), o.get(offset)))) as Read,
    /** The writing instruction itself is counted before. */
    write: ((o, v) => {
      const next = o.add(now(o), o.konst(1));
      o.set(offset, o.select(stopped(o), v, o.sub(v, next)));
    }) as Write,
    /** Before mcountinhibit becomes `v`. */
    switch: ((o, v) => {
      const next = o.add(now(o), o.konst(1));
      const [was, is] = [stopped(o), bitSet(o, v, inhibit)];
      o.when(o.both(is, o.not(was)), () => o.set(offset, o.add(o.get(offset), next)));
      o.when(o.both(was, o.not(is)), () => o.set(offset, o.sub(o.get(offset), next)));
    }) as Write,
  };
};
const cycle = counted(0, "cycleOffset", (o) => o.get("icount"));
const instret = counted(2, "instretOffset", (o) => o.sub(o.get("icount"), o.get("exceptions")));

/** Fields of menvcfg that exist: a bit for each feature; senvcfg has the low ones. */
const ENVCFG_FIELDS: [Feature, bigint][] = [
  ["zicbom", 7n << BigInt(MENVCFG.CBIE)],
  ["zicboz", 1n << BigInt(MENVCFG.CBZE)],
  ["svadu", 1n << BigInt(MENVCFG.ADUE)],
  ["svpbmt", 1n << BigInt(MENVCFG.PBMTE)],
  ["sstc", 1n << BigInt(MENVCFG.STCE)],
];
/** CBIE = 2 is reserved: the field keeps its value. */
const envcfg = (fields: bigint): NonNullable<Options["legal"]> => (o, old, v) => {
  let mask = o.konst(1n << BigInt(MENVCFG.FIOM));
  for (const [name, bits] of ENVCFG_FIELDS.filter(([, b]) => (b & fields) !== 0n)) {
    mask = o.or(mask, o.select(feature(o, name), o.konst(bits), o.konst(0)));
  }
  const cbie = o.konst(3n << BigInt(MENVCFG.CBIE));
  const reserved = o.eq(o.and(v, cbie), o.konst(2n << BigInt(MENVCFG.CBIE)));
  const kept = o.select(reserved, o.and(old, cbie), o.and(v, cbie));
  return o.and(o.or(o.and(v, o.xor(cbie, o.konst(-1))), kept), mask);
};

/** Direct and vectored modes exist; a write that asks for another changes nothing. */
const tvec: Options["legal"] = (o, old, v) => o.select(bitSet(o, v, 1), old, v);
const stopTimer = <V, C>(o: Ops<V, C>): void => {
  o.set("stopAfter", o.konst(1 + Stop.Timer));
  o.set("dirty", o.konst(1));
};

const supervisor = [
  csr(0x100, "sstatus", {
    read: (o) => o.and(readMstatus(o), o.konst(SSTATUS_READ | SD)),
    write: (o, v) => writeMstatus(o, v, SSTATUS_WRITE),
  }),
  csr(0x104, "sie", {
    read: (o) => o.and(o.get("mie"), o.get("mideleg")),
    write: (o, v) => {
      const mask = o.get("mideleg");
      const kept = o.and(o.get("mie"), o.xor(mask, o.konst(-1)));
      o.set("mie", o.or(kept, o.and(v, mask)));
      o.set("dirty", o.konst(1));
    },
  }),
  csr(0x105, "stvec", { slot: "stvec", legal: tvec, mask: ~2n }),
  csr(0x106, "scounteren", { slot: "scounteren", mask: COUNTEREN_WRITE }),
  csr(0x10a, "senvcfg", { slot: "senvcfg", legal: envcfg(0xffn) }),
  csr(0x140, "sscratch", { slot: "sscratch" }),
  csr(0x141, "sepc", { slot: "sepc", mask: ~1n }),
  csr(0x142, "scause", { slot: "scause" }),
  csr(0x143, "stval", { slot: "stval" }),
  csr(0x144, "sip", {
    read: (o) => o.and(o.call(mipNow), o.get("mideleg")),
    modify: (o) => o.and(mipModify(o), o.get("mideleg")),
    write: (o, v) => writeMip(o, v, o.and(o.get("mideleg"), o.konst(1n << BigInt(IRQ.SSI)))),
  }),
  csr(0x14d, "stimecmp", {
    slot: "stimecmp",
    needs: "sstc",
    allowed: stimecmpAllowed,
    write: (o, v) => {
      o.set("stimecmp", v);
      stopTimer(o);
    },
  }),
  csr(0x180, "satp", {
    slot: "satp",
    write: writeSatp,
    allowed: (o) =>
      o.not(o.both(o.eq(o.get("priv"), o.konst(1)), bitSet(o, o.get("mstatus"), MSTATUS.TVM))),
  }),
];

const machine = [
  csr(0x300, "mstatus", {
    read: readMstatus,
    write: (o, v) => writeMstatus(o, v, MSTATUS_WRITE),
  }),
  csr(0x301, "misa", { slot: "misa", write: () => {} }),
  csr(0x302, "medeleg", { slot: "medeleg", mask: MEDELEG_WRITE }),
  csr(0x303, "mideleg", { slot: "mideleg", mask: IRQ_S, dirty: true }),
  csr(0x304, "mie", { slot: "mie", mask: IRQ_ALL, dirty: true }),
  csr(0x305, "mtvec", { slot: "mtvec", legal: tvec, mask: ~2n }),
  csr(0x306, "mcounteren", { slot: "mcounteren", mask: COUNTEREN_WRITE }),
  csr(0x30a, "menvcfg", {
    slot: "menvcfg",
    write: (o, v) => {
      const old = o.get("menvcfg");
      const next = envcfg(-1n)(o, old, v);
      o.set("menvcfg", next);
      o.when(bitSet(o, o.xor(old, next), MENVCFG.PBMTE), () => o.flushTlb());
      stopTimer(o);
    },
  }),
  csr(0x320, "mcountinhibit", {
    slot: "mcountinhibit",
    write: (o, v) => {
      for (const counter of [cycle, instret]) counter.switch(o, v);
      o.set("mcountinhibit", o.and(v, o.konst(0b101)));
    },
  }),
  csr(0x323, "mhpmevent", { count: 29 }),
  csr(0x340, "mscratch", { slot: "mscratch" }),
  csr(0x341, "mepc", { slot: "mepc", mask: ~1n }),
  csr(0x342, "mcause", { slot: "mcause" }),
  csr(0x343, "mtval", { slot: "mtval" }),
  csr(0x344, "mip", {
    read: (o) => o.call(mipNow),
    modify: mipModify,
    write: (o, v) => writeMip(o, v, mipWritable(o)),
  }),
  csr(0x7a0, "tselect", {
    slot: "tselect",
    legal: (o, old, v) => o.select(o.ltU(v, o.konst(TRIGGER_CONTROLS.length)), v, old),
  }),
  csr(0x7a1, "tdata1", {
    read: (o) => o.getAt("tdata1_0", o.get("tselect")),
    write: trigger.writeControl,
  }),
  csr(0x7a2, "tdata2", {
    read: (o) => o.getAt("tdata2_0", o.get("tselect")),
    write: trigger.writeAddress,
  }),
  csr(0x7a3, "tdata3", {}),
  csr(0x7a4, "tinfo", { value: trigger.TINFO }),
  ...PMP_CONFIGS.map((slot, i) =>
    csr(0x3a0 + i * 2, slot, { slot, write: (o, v) => pmp.writeConfig(o, i, v) })
  ),
  ...PMP_ADDRESSES.map((slot, i) =>
    csr(0x3b0 + i, slot, { slot, write: (o, v) => pmp.writeAddress(o, i, v) })
  ),
  csr(0xb00, "mcycle", { read: cycle.read, write: cycle.write }),
  csr(0xb02, "minstret", { read: instret.read, write: instret.write }),
  csr(0xb03, "mhpmcounter", { count: 29 }),
  csr(0xf11, "mvendorid", {}),
  csr(0xf12, "marchid", {}),
  csr(0xf13, "mimpid", {}),
  csr(0xf14, "mhartid", { slot: "hartid" }),
  csr(0xf15, "mconfigptr", {}),
];

/** Bits of fcsr, kept in two slots (Unprivileged ISA, "Floating-Point Control and Status Register"). */
const float = (number: number, name: string, read: Read, write: Write) =>
  csr(number, name, {
    read,
    write: (o, v) => {
      write(o, v);
      o.set("mstatus", o.or(o.get("mstatus"), o.konst(FS_MASK)));
    },
    needs: "f",
    allowed: (o) => o.ne(o.and(o.get("mstatus"), o.konst(FS_MASK)), o.konst(0)),
  });
const setFlags: Write = (o, v) => o.set("fflags", o.and(v, o.konst(31)));
const setMode: Write = (o, v) => o.set("frm", o.and(v, o.konst(7)));

const unprivileged = [
  float(0x001, "fflags", (o) => o.get("fflags"), setFlags),
  float(0x002, "frm", (o) => o.get("frm"), setMode),
  float(0x003, "fcsr", (o) => o.or(o.shl(o.get("frm"), o.konst(5)), o.get("fflags")), (o, v) => {
    setFlags(o, v);
    setMode(o, o.shr(v, o.konst(5)));
  }),
  csr(0xc00, "cycle", { read: cycle.read, allowed: (o) => counter(o, 0) }),
  csr(0xc01, "time", { read: (o) => o.call(time), allowed: (o) => counter(o, 1) }),
  csr(0xc02, "instret", { read: instret.read, allowed: (o) => counter(o, 2) }),
  csr(0xc03, "hpmcounter", { count: 29, allowed: (o) => o.eq(o.get("priv"), o.konst(3)) }),
];

export const CSRS: readonly CsrDef[] = [...unprivileged, ...supervisor, ...machine];

const FIRST_SUFFIX: Record<string, number> = {
  mhpmevent: 3,
  mhpmcounter: 3,
  hpmcounter: 3,
};
const INDEX = new Map<number, number>();
const NAMES = new Map<number, string>();
CSRS.forEach((c, index) => {
  for (let i = 0; i < c.count; i++) {
    if (INDEX.has(c.number + i)) throw new Error(`${c.name}: CSR 0x${c.number.toString(16)} twice`);
    INDEX.set(c.number + i, index);
    NAMES.set(c.number + i, c.count > 1 ? c.name + ((FIRST_SUFFIX[c.name] ?? 0) + i) : c.name);
  }
});

/** Position in CSRS; CSRS.length for a number that no register has. */
export const csrIndex = (number: number): number => INDEX.get(number) ?? CSRS.length;
export const csrName = (number: number): string | undefined => NAMES.get(number);
export const csrNumbers = (): number[] => [...INDEX.keys()];

function check<V, C>(o: Ops<V, C>, c: CsrDef): void {
  const needed = c.number >> 8 & 3;
  if (needed > 0) o.when(o.ltU(o.get("priv"), o.konst(needed)), () => o.illegal());
  const { needs } = c;
  if (needs) o.when(o.not(feature(o, needs)), () => o.illegal());
  if (c.allowed) o.when(o.not(c.allowed(o)), () => o.illegal());
}

const access = (name: string, params: number, act: <V, C>(o: Ops<V, C>, c: CsrDef, v: V) => V) =>
  ({
    name,
    params,
    raises: true,
    body: (o, index, v = index) => {
      const result = o.var(o.konst(0));
      o.when(o.not(o.ltU(index, o.konst(CSRS.length))), () => o.illegal());
      o.switch(
        index,
        CSRS.map((c) => () => {
          check(o, c);
          result.set(act(o, c, v));
        }),
      );
      return result.get();
    },
  }) satisfies Routine;

export const csrRead = access("csrRead", 1, (o, c) => c.read(o));
/** The value that CSRRS and CSRRC change. */
export const csrModify = access("csrModify", 1, (o, c) => (c.modify ?? c.read)(o));
export const csrWrite = access("csrWrite", 2, (o, c, v) => {
  if ((c.number >> 10 & 3) === 3) o.illegal();
  else c.write(o, v);
  return o.konst(0);
});
