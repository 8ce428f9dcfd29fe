/**
 * Ours against QEMU's virt machine, register by register: random accesses, driven into a QEMU whose hart
 * stands still, must read the same. Time stands still with it.
 *
 * Left out, because QEMU 7.2 does otherwise than the source document or than we decided: modem status
 * changes and overruns of the 16550, and clearing its FIFOs while they are off; setting the RTC under an alarm;
 * at the PLIC, source 0, claims below the threshold, a line that moves while its request is pending or claimed,
 * and completion while the line is up.
 * @module
 */
import assert from "node:assert/strict";
import { qemu } from "../../tests/needs.ts";
import { aclint } from "./aclint.ts";
import { Bus } from "./bus.ts";
import type { DeviceType, PropValue } from "./device.ts";
import { goldfishRtc } from "./goldfish_rtc.ts";
import { plic } from "./plic.ts";
import { TestMachine } from "./test_machine.ts";
import { type Access, askQemu } from "../../tests/qtest.ts";
import { Random, seeds } from "./test_random.ts";
import { uart16550 } from "./uart16550.ts";

const UART = 0x1000_0000, RTC = 0x10_1000, CLINT = 0x200_0000, PLIC = 0xc00_0000;
const UART_IRQ = 10, RTC_IRQ = 11;
const START = "2026-01-01T00:00:00";

/** The same on ours: the four devices on a bus, two of them wired to the PLIC. */
function askOurs(accesses: readonly Access[]): bigint[] {
  const bus = new Bus();
  const controller = new TestMachine(plic);
  const add = (type: DeviceType, addr: number, irq?: number, props?: Record<string, PropValue>) => {
    const drive = irq === undefined
      ? undefined
      : (level: boolean) => controller.dev.line(irq, level);
    bus.add(new TestMachine(type, { props, drive }).dev, addr);
  };
  bus.add(controller.dev, PLIC);
  add(uart16550, UART, UART_IRQ);
  add(aclint, CLINT);
  add(goldfishRtc, RTC, RTC_IRQ, { start_ns: `${Date.parse(`${START}Z`)}000000` });
  const read: bigint[] = [];
  for (const { addr, size, value } of accesses) {
    const { dev, base } = bus.find(addr)!;
    if (value !== null) dev.write(addr - base, size, value >>> 0, Math.floor(value / 2 ** 32));
    else {
      const lo = dev.read(addr - base, size);
      read.push(BigInt(dev.hi) << 32n | BigInt(lo));
    }
  }
  return read;
}

interface Comparison {
  readonly first?: readonly Access[];
  next(rng: Random): Access;
  /** Bits of a read that are compared; all, when absent. */
  mask?(addr: number): bigint;
}

const FILE = "core/mmio/qemu_test.ts";
const SEEDS = 3;
const ACCESSES = 1000;

function compare(device: string, { first = [], next, mask }: Comparison): void {
  const name = `${device}: reads as QEMU's does`;
  qemu().test(name, async () => {
    for (const seed of seeds(SEEDS)) {
      const rng = new Random(seed);
      const accesses = [...first, ...Array.from({ length: ACCESSES }, () => next(rng))];
      const reads = accesses.map((a, at) => ({ ...a, at })).filter((a) => a.value === null);
      const ours = askOurs(accesses);
      const theirs = await askQemu(accesses, ["-rtc", `base=${START},clock=vm`]);
      const k = reads.findIndex(({ addr }, k) =>
        ((ours[k] ^ theirs[k]) & (mask?.(addr) ?? -1n)) !== 0n
      );
      if (k < 0) continue;
      const { at } = reads[k];
      const before = accesses.slice(Math.max(0, at - 12), at + 1).map(({ addr, value }) =>
        `${value === null ? "read" : `write 0x${value.toString(16)} to`} 0x${addr.toString(16)}`
      );
      assert.fail(
        `at step ${at}; to replay: SEED=${seed} deno test -A ${FILE} --filter "${name}"\n` +
          `${before.join("\n")}\nours 0x${ours[k].toString(16)}, QEMU's 0x${
            theirs[k].toString(16)
          }`,
      );
    }
  });
}

const readOr = (rng: Random, value: () => number) => rng.chance(0.5) ? null : value();

compare("uart16550", {
  first: [{ addr: UART + 4, size: 1, value: 0 }], // QEMU resets MCR with OUT2, as a PC's firmware would.
  next(rng) {
    const at = rng.below(8);
    const value = () => {
      const v = rng.below(256);
      if (at === 1) return v & ~0xc; // No modem status and no line status interrupts.
      return at === 2 && !(v & 1) ? v & ~6 : v;
    };
    return { addr: UART + at, size: 1, value: readOr(rng, value) };
  },
  mask: (addr) => addr === UART + 6 ? 0xf0n : addr === UART + 5 ? 0xfdn : 0xffn,
});

compare("goldfish_rtc", {
  next(rng) {
    const at = 4 * rng.below(8);
    const value = at < 8 ? null : readOr(rng, () => rng.chance(0.5) ? rng.u32() : rng.below(4));
    return { addr: RTC + at, size: 4, value };
  },
});

compare("aclint", {
  first: [{ addr: CLINT + 0x4000, size: 8, value: 0 }],
  next(rng) {
    const at = rng.pick([0, 0x4000, 0x4004, 0xbff8]);
    const value = at === 0xbff8 ? null : readOr(rng, () => rng.u32());
    return { addr: CLINT + at, size: 4, value };
  },
});

compare("plic", {
  first: [
    { addr: UART + 1, size: 1, value: 2 }, // THR is empty: source 10 is up.
    { addr: RTC + 0x10, size: 4, value: 1 },
    { addr: RTC + 0x08, size: 4, value: 0 }, // An alarm in the past: source 11 is up.
  ],
  next(rng) {
    const claims = rng.chance(0.01);
    if (claims) return { addr: PLIC + 0x20_1004, size: 4, value: null };
    const at = rng.pick([0x28, 0x2c, 0x1000, 0x2080, 0x2084]);
    const value = () => at >> 12 === 2 ? rng.u32() & ~1 : rng.below(8);
    return { addr: PLIC + at, size: 4, value: readOr(rng, () => value() >>> 0) };
  },
});
