/**
 * Platform-level interrupt controller. § = RISC-V PLIC Specification 1.0.0.
 *
 * 95 level-triggered sources, priorities 0 to 7, two contexts a hart (machine, then supervisor), as
 * QEMU's virt machine has them.
 * @module
 */
import { device, prop, type Reg, type StateOf, u32s, u8s } from "./device.ts";
import { checkHarts, MAX_HARTS } from "./limits.ts";

export const PLIC_SOURCES = 95;
const WORDS = 3;
const MAX_PRIORITY = 7;
const SEIP = 9;
const MEIP = 11;
const ENABLE_WORDS = 32; // of 1024 sources, per context

const STATE = {
  priority: u8s(PLIC_SOURCES + 1),
  pending: u32s(WORDS),
  /** Forwarded and not completed yet: the gateway holds back (§ 1.2). */
  claimed: u32s(WORDS),
  level: u32s(WORDS),
  enable: u32s(2 * MAX_HARTS * WORDS),
  threshold: u8s(2 * MAX_HARTS),
};
type State = StateOf<typeof STATE>;

const has = (set: Uint32Array, id: number) => (set[id >> 5] >>> (id & 31) & 1) !== 0;

function put(set: Uint32Array, id: number, on: boolean): void {
  const bit = 1 << (id & 31);
  if (on) set[id >> 5] |= bit;
  else set[id >> 5] &= ~bit;
}

const isEnabled = (s: State, context: number, id: number) =>
  (s.enable[context * WORDS + (id >> 5)] >>> (id & 31) & 1) !== 0;

/** Highest priority above `floor`, the lowest id among equals (§ 4); 0 for none. */
function best(s: State, context: number, floor: number): number {
  let found = 0;
  let highest = floor;
  for (let w = 0; w < WORDS; w++) {
    let bits = s.pending[w] & s.enable[context * WORDS + w];
    while (bits !== 0) {
      const id = w * 32 + 31 - Math.clz32(bits & -bits);
      bits &= bits - 1;
      if (s.priority[id] > highest) {
        highest = s.priority[id];
        found = id;
      }
    }
  }
  return found;
}

/** § 1.2: one request per assertion until it is completed; once forwarded it is not retracted. */
function gateway(s: State, id: number): void {
  if (has(s.level, id) && !has(s.claimed, id)) put(s.pending, id, true);
}

/** Word of a context's enables as kept; beyond the sources that exist there is none. */
function enableWord(i: number): number | null {
  const word = i % ENABLE_WORDS;
  return word < WORDS ? Math.floor(i / ENABLE_WORDS) * WORDS + word : null;
}

/** Registers that configure sources and contexts. */
function configRegs(s: State, contexts: number): Reg[] {
  function setEnable(v: number, i: number): void {
    const word = enableWord(i);
    // Source 0 does not exist (§ 6).
    if (word !== null) s.enable[word] = i % ENABLE_WORDS === 0 ? v & ~1 : v;
  }
  function getEnable(i: number): number {
    const word = enableWord(i);
    return word === null ? 0 : s.enable[word];
  }
  return [
    {
      at: 0,
      name: "priority",
      count: PLIC_SOURCES + 1,
      get: (id) => s.priority[id],
      set: (v, id) => s.priority[id] = id === 0 ? 0 : v & MAX_PRIORITY,
      doc: "§ 4",
    },
    { at: 0x1000, name: "pending", count: WORDS, get: (w) => s.pending[w], doc: "§ 5" },
    {
      at: 0x2000,
      name: "enable",
      count: contexts * ENABLE_WORDS,
      get: getEnable,
      set: setEnable,
      doc: "§ 6",
    },
    {
      at: 0x20_0000,
      name: "threshold",
      count: contexts,
      stride: 0x1000,
      get: (c) => s.threshold[c],
      set: (v, c) => s.threshold[c] = v & MAX_PRIORITY,
      doc: "§ 7",
    },
  ];
}

export const plic = device("plic", {
  doc: "PLIC: routes device interrupts to harts.",
  source: "RISC-V PLIC Specification 1.0.0",
  size: 0x60_0000,
  compatible: ["sifive,plic-1.0.0", "riscv,plic0"],
  props: { harts: prop.u32(1, "Harts served.") },
  state: STATE,
  dt: (n) => ({
    "interrupt-controller": true,
    "#interrupt-cells": 1,
    "#address-cells": 0,
    "interrupts-extended": Array.from({ length: n.harts }, (_, h) => n.cpuIntc(h))
      .flatMap((intc) => [intc, MEIP, intc, SEIP]),
    "riscv,ndev": PLIC_SOURCES,
    phandle: n.phandle,
  }),
}, (s, port, props) => {
  const { harts } = props;
  checkHarts("plic", harts);
  const contexts = 2 * harts;

  /** § 8: claiming is not affected by the threshold. */
  const claimable = (context: number) => best(s, context, 0);
  function claim(context: number): void {
    const id = claimable(context);
    if (id === 0) return;
    put(s.pending, id, false);
    put(s.claimed, id, true);
    port.trace.irq({ event: "acknowledge", line: id, path: "plic" });
  }

  /** § 9: an id that is not enabled for the context is silently ignored. */
  function complete(id: number, context: number): void {
    if (id < 1 || id > PLIC_SOURCES || !isEnabled(s, context, id) || !has(s.claimed, id)) return;
    put(s.claimed, id, false);
    port.trace.irq({ event: "complete", line: id, path: "plic" });
    gateway(s, id);
  }

  return {
    regs: [
      ...configRegs(s, contexts),
      {
        at: 0x20_0004,
        name: "claim_complete",
        count: contexts,
        stride: 0x1000,
        get: claimable,
        onRead: claim,
        set: complete,
        doc: "§ 8, § 9",
      },
    ],
    lines: (id, level) => {
      if (id < 1 || id > PLIC_SOURCES) {
        throw new RangeError(`plic: line ${id}, expected 1 to ${PLIC_SOURCES}`);
      }
      put(s.level, id, level);
      gateway(s, id);
    },
    settle: () => {
      for (let c = 0; c < contexts; c++) {
        port.hartIrq(c >> 1, c & 1 ? SEIP : MEIP, best(s, c, s.threshold[c]) !== 0);
      }
    },
  };
});
