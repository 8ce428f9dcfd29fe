/**
 * The VMM's SBI: what a kernel in S-mode asks of its execution environment. § = RISC-V Supervisor
 * Binary Interface Specification 2.0.
 *
 * Extensions: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN and the legacy calls 0–8. Not offered: PMU, SUSP,
 * NACL, STA (probe answers 0).
 * @module
 */
import type { Hart } from "../cpu/mod.ts";
import type { Handler } from "./profiles.ts";
import { translate } from "./guest_virtual.ts";

const EXT = {
  setTimer: 0x00,
  putchar: 0x01,
  getchar: 0x02,
  clearIpi: 0x03,
  sendIpi: 0x04,
  remoteFenceI: 0x05,
  remoteSfence: 0x06,
  remoteSfenceAsid: 0x07,
  shutdown: 0x08,
  base: 0x10,
  time: 0x54494d45,
  ipi: 0x735049,
  rfence: 0x52464e43,
  hsm: 0x48534d,
  srst: 0x53525354,
  dbcn: 0x4442434e,
} as const;

/** § 3: standard error codes. */
const SBI = {
  SUCCESS: 0,
  ERR_NOT_SUPPORTED: -2,
  ERR_INVALID_PARAM: -3,
  ERR_INVALID_ADDRESS: -5,
  ERR_ALREADY_AVAILABLE: -6,
} as const;

/** § 4.1: major version in bits 30:24. */
const SPEC_VERSION = 2 << 24;
/** Not a registered implementation id: guests print it, none depends on it. */
const IMPL_ID = 0x7e5c;
const IMPL_VERSION = 1;

/** § 9: HSM hart states. */
export const HSM = { STARTED: 0, STOPPED: 1, SUSPENDED: 4 } as const;
const HSM_RETENTIVE = 0x00000000;
const HSM_NON_RETENTIVE = 0x80000000;

const STIMECMP = 0x14d;
const SSIP = 1;
const A0 = 10;
const A1 = 11;
const A2 = 12;
const A6 = 16;
const A7 = 17;

/** What SBI calls do to the machine around the calling hart. */
export interface SbiHost {
  readonly harts: readonly Hart[];
  readonly ram: { readonly base: number; readonly bytes: Uint8Array };
  hsmState(hart: number): number;
  startHart(hart: number, pc: bigint, opaque: bigint): void;
  stopHart(hart: number): void;
  /** The hart waits; with `resume` it then restarts at an address instead of going on. */
  suspendHart(hart: number, resume: { pc: bigint; opaque: bigint } | null): void;
  sendIpi(from: number, to: number): void;
  flushTlb(hart: number): void;
  consoleOut(bytes: Uint8Array): void;
  /** Takes up to `max` bytes that were typed. */
  consoleIn(max: number): Uint8Array;
  /** Tells caches and reservations that the VMM wrote guest RAM. */
  wroteRam(offset: number, bytes: number): void;
  stop(kind: "poweroff" | "reboot" | "fail", code: number): void;
}

/** What a call returns: one value for legacy calls (a0), two for the rest (a0 error, a1 value). */
type Answer = { readonly error: number; readonly value: bigint } | { readonly legacy: bigint };
const ok = (value: bigint | number = 0n): Answer => ({ error: 0, value: BigInt(value) });
const fail = (error: number): Answer => ({ error, value: 0n });
const legacy = (a0: bigint | number = 0n): Answer => ({ legacy: BigInt(a0) });

/** Who serves a call under KVM: console and reset reach user space, the rest stays in the kernel. */
export function sbiHandler(extension: number): Handler {
  const user: number[] = [EXT.putchar, EXT.getchar, EXT.shutdown, EXT.srst, EXT.dbcn];
  return user.includes(extension) ? "user" : "kernel";
}

type Call = (host: SbiHost, hart: number, h: Hart) => Answer;

/**
 * Serves the call that `hart` stopped at: a7 extension, a6 function, a0–a5 arguments. Registers
 * other than a0 and a1 keep their values; the caller retires the instruction.
 */
export function sbiCall(host: SbiHost, hart: number): void {
  const h = host.harts[hart];
  const extension = h.xLo(A7);
  const call: Call | undefined = h.xHi(A7) === 0 || h.xHi(A7) === 0xffffffff
    ? CALLS[extension]
    : undefined;
  const answer = call ? call(host, hart, h) : fail(SBI.ERR_NOT_SUPPORTED);
  if ("legacy" in answer) {
    h.setX(A0, BigInt.asUintN(64, answer.legacy));
  } else {
    h.setX(A0, BigInt.asUintN(64, BigInt(answer.error)));
    h.setX(A1, BigInt.asUintN(64, answer.value));
  }
}

function setTimer(h: Hart): void {
  h.setCsr(STIMECMP, h.x(A0));
}

/** § 3.1: the harts that a mask and its base name, or null when one of them does not exist. */
function maskedHarts(host: SbiHost, mask: bigint, base: bigint): number[] | null {
  if (BigInt.asIntN(64, base) === -1n) return host.harts.map((_, i) => i);
  const harts: number[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((mask >> BigInt(bit)) & 1n) === 0n) continue;
    const hart = base + BigInt(bit);
    if (hart >= BigInt(host.harts.length)) return null;
    harts.push(Number(hart));
  }
  return harts;
}

function each(host: SbiHost, h: Hart, act: (hart: number) => void): Answer {
  const harts = maskedHarts(host, h.x(A0), h.x(A1));
  if (harts === null) return fail(SBI.ERR_INVALID_PARAM);
  harts.forEach(act);
  return ok();
}

/** § 5: legacy masks are read through the caller's page tables; a null pointer means every hart. */
function legacyEach(host: SbiHost, h: Hart, act: (hart: number) => void): Answer {
  const pointer = h.x(A0);
  let mask = (1n << BigInt(host.harts.length)) - 1n;
  if (pointer !== 0n) {
    const gpa = translate(h, host.ram, pointer);
    if (gpa === null) return legacy(SBI.ERR_INVALID_ADDRESS);
    const view = new DataView(host.ram.bytes.buffer, host.ram.bytes.byteOffset);
    mask &= view.getBigUint64(gpa - host.ram.base, true);
  }
  (maskedHarts(host, mask, 0n) ?? []).forEach(act);
  return legacy();
}

function base(_host: SbiHost, _hart: number, h: Hart): Answer {
  switch (h.xLo(A6)) {
    case 0:
      return ok(SPEC_VERSION);
    case 1:
      return ok(IMPL_ID);
    case 2:
      return ok(IMPL_VERSION);
    case 3:
      return ok(h.xLo(A0) in CALLS ? 1 : 0);
    case 4:
    case 5:
    case 6:
      return ok(0); // mvendorid, marchid, mimpid
    default:
      return fail(SBI.ERR_NOT_SUPPORTED);
  }
}

/** § 8: stores by a hart are coherent with fetches here, so FENCE.I on another hart is free. */
function rfence(host: SbiHost, _hart: number, h: Hart): Answer {
  switch (h.xLo(A6)) {
    case 0:
      return each(host, h, () => {});
    case 1:
    case 2:
      return each(host, h, (target) => host.flushTlb(target));
    default:
      return fail(SBI.ERR_NOT_SUPPORTED); // The HFENCE calls need the hypervisor extension.
  }
}

/** § 9. */
function hsm(host: SbiHost, hart: number, h: Hart): Answer {
  const target = h.x(A0);
  switch (h.xLo(A6)) {
    case 0: {
      if (target >= BigInt(host.harts.length)) return fail(SBI.ERR_INVALID_PARAM);
      if (host.hsmState(Number(target)) !== HSM.STOPPED) return fail(SBI.ERR_ALREADY_AVAILABLE);
      if (!inRam(host, h.x(A1), 2n)) return fail(SBI.ERR_INVALID_ADDRESS);
      host.startHart(Number(target), h.x(A1), h.x(A2));
      return ok();
    }
    case 1:
      host.stopHart(hart);
      return ok();
    case 2:
      if (target >= BigInt(host.harts.length)) return fail(SBI.ERR_INVALID_PARAM);
      return ok(host.hsmState(Number(target)));
    case 3:
      return suspend(host, hart, h);
    default:
      return fail(SBI.ERR_NOT_SUPPORTED);
  }
}

function suspend(host: SbiHost, hart: number, h: Hart): Answer {
  const type = h.xLo(A0);
  if (type === HSM_RETENTIVE) {
    host.suspendHart(hart, null);
    return ok();
  }
  if (type !== HSM_NON_RETENTIVE) return fail(SBI.ERR_INVALID_PARAM);
  if (!inRam(host, h.x(A1), 2n)) return fail(SBI.ERR_INVALID_ADDRESS);
  host.suspendHart(hart, { pc: h.x(A1), opaque: h.x(A2) });
  return ok();
}

/** § 10: type 0 shutdown, 1 cold and 2 warm reboot; reason 1 is a system failure. */
function srst(host: SbiHost, _hart: number, h: Hart): Answer {
  const [type, reason] = [h.xLo(A0), h.xLo(A1)];
  if (type > 2 || reason > 1) return fail(SBI.ERR_INVALID_PARAM);
  if (type === 0) host.stop(reason === 0 ? "poweroff" : "fail", reason === 0 ? 0 : 1);
  else host.stop("reboot", 0);
  return ok();
}

function inRam(host: SbiHost, addr: bigint, bytes: bigint): boolean {
  const start = BigInt(host.ram.base);
  return addr >= start && addr + bytes <= start + BigInt(host.ram.bytes.length);
}

/** § 12: debug console; buffers are physical addresses. */
function dbcn(host: SbiHost, _hart: number, h: Hart): Answer {
  if (h.xLo(A6) === 2) {
    host.consoleOut(Uint8Array.of(h.xLo(A0) & 0xff));
    return ok();
  }
  if (h.xLo(A6) > 2) return fail(SBI.ERR_NOT_SUPPORTED);
  const bytes = h.x(A0);
  if (h.x(A2) !== 0n || !inRam(host, h.x(A1), bytes)) return fail(SBI.ERR_INVALID_PARAM);
  const offset = Number(h.x(A1)) - host.ram.base;
  if (h.xLo(A6) === 0) {
    host.consoleOut(host.ram.bytes.slice(offset, offset + Number(bytes)));
    return ok(bytes);
  }
  const typed = host.consoleIn(Number(bytes));
  host.ram.bytes.set(typed, offset);
  host.wroteRam(offset, typed.length);
  return ok(typed.length);
}

const CALLS: Readonly<Record<number, Call>> = {
  [EXT.base]: base,
  [EXT.time]: (_host, _hart, h) => {
    if (h.xLo(A6) !== 0) return fail(SBI.ERR_NOT_SUPPORTED);
    setTimer(h);
    return ok();
  },
  [EXT.ipi]: (host, hart, h) =>
    h.xLo(A6) === 0
      ? each(host, h, (target) => host.sendIpi(hart, target))
      : fail(SBI.ERR_NOT_SUPPORTED),
  [EXT.rfence]: rfence,
  [EXT.hsm]: hsm,
  [EXT.srst]: (host, hart, h) =>
    h.xLo(A6) === 0 ? srst(host, hart, h) : fail(SBI.ERR_NOT_SUPPORTED),
  [EXT.dbcn]: dbcn,
  [EXT.setTimer]: (_host, _hart, h) => {
    setTimer(h);
    return legacy();
  },
  [EXT.putchar]: (host, _hart, h) => {
    host.consoleOut(Uint8Array.of(h.xLo(A0) & 0xff));
    return legacy();
  },
  [EXT.getchar]: (host) => legacy(host.consoleIn(1)[0] ?? -1),
  [EXT.clearIpi]: (_host, _hart, h) => {
    h.setIrq(SSIP, false);
    return legacy();
  },
  [EXT.sendIpi]: (host, hart, h) => legacyEach(host, h, (target) => host.sendIpi(hart, target)),
  [EXT.remoteFenceI]: (host, _hart, h) => legacyEach(host, h, () => {}),
  [EXT.remoteSfence]: (host, _hart, h) => legacyEach(host, h, (t) => host.flushTlb(t)),
  [EXT.remoteSfenceAsid]: (host, _hart, h) => legacyEach(host, h, (t) => host.flushTlb(t)),
  [EXT.shutdown]: (host) => {
    host.stop("poweroff", 0);
    return legacy();
  },
};
