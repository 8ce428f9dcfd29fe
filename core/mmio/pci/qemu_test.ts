/**
 * Our PCI bus with an edu against QEMU's: random accesses to configuration space, to the windows and
 * to wherever the BAR lies must read the same.
 *
 * Left out: what QEMU 7.2 lets be written behind the capabilities; work that takes time, which its
 * threads do when they like; MSI enabled, whose messages would hit anything.
 * @module
 */
import assert from "node:assert/strict";
import { qemu } from "../../../tests/needs.ts";
import { edu } from "../edu.ts";
import { type Access, askQemu } from "../../../tests/qtest.ts";
import { Random, seeds } from "../test_random.ts";
import { ECAM, MEM32, MEM64, PORTS, TestBus } from "./test_bus.ts";

const NAME = "pci: a bus with an edu reads as QEMU's does";
const FILE = "core/mmio/pci/qemu_test.ts";
const ACCESSES = 3000;
/** Past the MSI capability, or past the header of the bridge, which has none. */
const configEnd = (slot: number) => slot === 0 ? 0x40 : 0x4e;

/** What the guest would do to find, size and place BARs; without its order. */
function configAccess(rng: Random): Access {
  const size = rng.pick([1, 2, 4, 4] as const);
  const slot = rng.pick([0, 1, 1, 1, 2, 31]);
  const hot = rng.pick([0x04, 0x10, 0x10, 0x10, 0x3c, 0x40, 0x44]);
  const end = configEnd(slot);
  const chosen = rng.chance(0.6) ? hot : rng.below(end / size) * size;
  const at = chosen + size > end ? 0x2c : chosen;
  const addr = ECAM + slot * 0x8000 + at;
  if (rng.chance(0.5)) return { addr, size, value: null };
  const places = [0, 0xffff_ffff, MEM32, MEM32 + 0x10_0000, 0x7ff0_0000, 0x8000_0000];
  let value = at === 0x10 && size === 4 ? rng.pick(places) : rng.u32();
  if (at === 0x04 && rng.chance(0.7)) value = 7;
  if (at >= 0x40) value &= ~0x0001_0000 & ~1; // MSI stays off, whichever part is written.
  return { addr, size, value: (value >>> 0) % 2 ** (8 * size) };
}

const STEADY = [
  0,
  4,
  4,
  0xc,
  0x10,
  0x20,
  0x24,
  0x60,
  0x64,
  0x80,
  0x84,
  0x88,
  0x8c,
  0x90,
  0x94,
  0x98,
];

function windowAccess(rng: Random): Access {
  const at = rng.chance(0.8) ? rng.pick(STEADY) : 0xa0 + 4 * rng.below(100);
  const base = rng.pick([MEM32, MEM32, MEM32 + 0x10_0000, 0x7ff0_0000, MEM64, PORTS]);
  const size = at % 8 === 0 && rng.chance(0.3) ? 8 : 4;
  // Status: no thread of QEMU's edu may start, so only bits that start none. 0x98 starts a DMA.
  const value = at === 0x98 ? 0 : at === 0x20 ? 0x80 : rng.u32();
  return { addr: base + at, size, value: rng.chance(0.5) ? null : value };
}

function ours(accesses: readonly Access[]): bigint[] {
  const t = new TestBus([{ type: edu }]);
  const reads: bigint[] = [];
  for (const { addr, size, value } of accesses) {
    if (value !== null) t.write(addr, value, size);
    else {
      const m = t.bus.find(addr)!;
      const lo = m.region.read(addr - m.base, size);
      reads.push(BigInt(size === 8 ? m.region.hi : 0) << 32n | BigInt(lo));
    }
  }
  return reads;
}

qemu().test(NAME, async () => {
  for (const seed of seeds(3)) {
    const rng = new Random(seed);
    const probe: Access[] = Array.from({ length: 20 }, (_, i) => ({
      addr: ECAM + 0x8000 + 4 * i,
      size: 4,
      value: null,
    }));
    const random = Array.from(
      { length: ACCESSES },
      () => rng.chance(0.4) ? configAccess(rng) : windowAccess(rng),
    );
    const accesses = [...probe.slice(0, 19), ...random];
    const theirs = await askQemu(accesses, ["-device", "edu"]);
    const mine = ours(accesses);
    const ones = new Set([0xffff_ffffn, 0xffff_ffff_ffff_ffffn]);
    const telling = theirs.filter((v) => !ones.has(v)).length;
    assert.ok(telling > 400, `only ${telling} reads found the device`);
    const reads = accesses.flatMap((a, at) => a.value === null ? [{ ...a, at }] : []);
    const k = reads.findIndex((_, k) => mine[k] !== theirs[k]);
    if (k < 0) continue;
    const { at } = reads[k];
    const before = accesses.slice(Math.max(0, at - 30), at + 1).map((a) =>
      `${a.value === null ? "read" : `write 0x${a.value.toString(16)} to`} ${a.size} at 0x${
        a.addr.toString(16)
      }`
    );
    assert.fail(
      `at step ${at}; to replay: SEED=${seed} deno test -A ${FILE} --filter "${NAME}"\n` +
        `${before.join("\n")}\nours 0x${mine[k].toString(16)}, QEMU's 0x${theirs[k].toString(16)}`,
    );
  }
});
