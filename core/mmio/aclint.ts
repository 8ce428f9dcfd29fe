/**
 * ACLINT: machine-level software interrupts (MSWI) and timer (MTIMER) in one region, laid out as the
 * SiFive CLINT that drivers know. § = RISC-V ACLINT Specification 1.0-rc4.
 *
 * Deviates: MTIME ignores writes. The time CSR shadows it and every hart reads it from virtual time, which
 * is not the guest's to change. Reset values of MTIMECMP are not given (§ 2.3); here no timer is pending.
 * @module
 */
import { device, flag, prop, records, u64, u8s } from "./device.ts";
import { PlugError } from "./error.ts";
import { checkHarts, MAX_HARTS } from "./limits.ts";

const MSIP = 3;
const MTIP = 7;
const NEVER = 0xffff_ffff_ffff_ffffn;
const NS_PER_S = 1_000_000_000n;

export const aclint = device("aclint", {
  doc: "ACLINT: timer and software interrupts of machine mode.",
  source: "RISC-V ACLINT Specification 1.0-rc4",
  size: 0x10000,
  compatible: ["sifive,clint0", "riscv,clint0"],
  node: "clint",
  props: {
    harts: prop.u32(1, "Harts served."),
    timebase_hz: prop.u32(10_000_000, "Ticks of MTIME a second."),
  },
  state: {
    msip: u8s(MAX_HARTS),
    timers: records(MAX_HARTS, { mtimecmp: u64(NEVER), mtip: flag() }),
  },
  dt: (n) => ({
    "interrupts-extended": Array.from({ length: n.harts }, (_, h) => n.cpuIntc(h))
      .flatMap((intc) => [intc, MSIP, intc, MTIP]),
  }),
}, (s, port, props) => {
  const { harts } = props;
  checkHarts("aclint", harts);
  const hz = BigInt(props.timebase_hz);
  if (hz === 0n) throw new PlugError("aclint: timebase_hz is 0", "use ticks a second");
  const mtime = () => BigInt(port.now()) * hz / NS_PER_S;

  /** § 2.3: MTIP is pending while MTIME >= MTIMECMP, both unsigned. */
  function setMtimecmp(v: bigint, hart: number): void {
    const timer = s.timers[hart];
    timer.mtimecmp = v;
    timer.mtip = mtime() >= v;
    const dueNs = (v * NS_PER_S + hz - 1n) / hz;
    const waits = !timer.mtip && dueNs <= BigInt(Number.MAX_SAFE_INTEGER);
    port.timer("mtimecmp", waits ? Number(dueNs) : null, hart);
  }

  return {
    regs: [
      {
        at: 0,
        name: "MSIP",
        count: harts,
        get: (h) => s.msip[h],
        set: (v, h) => s.msip[h] = v & 1, // § 3.2: the upper 31 bits are wired to zero
      },
      {
        at: 0x4000,
        name: "MTIMECMP",
        size: 8,
        sizes: [4, 8],
        count: harts,
        get: (h) => s.timers[h].mtimecmp,
        set: setMtimecmp,
      },
      { at: 0xbff8, name: "MTIME", size: 8, sizes: [4, 8], get: mtime },
    ],
    // The due hart's clock may be ahead of another's, so MTIP is not derived from now() again.
    events: { mtimecmp: (hart) => s.timers[hart].mtip = true },
    settle: () => {
      for (let h = 0; h < harts; h++) {
        port.hartIrq(h, MSIP, s.msip[h] !== 0);
        port.hartIrq(h, MTIP, s.timers[h].mtip);
      }
    },
  };
});
