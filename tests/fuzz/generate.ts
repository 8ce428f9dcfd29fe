/**
 * What a hostile guest might do, from a seed: machines with devices of every type, and operations of
 * which most mean something to the device that they reach.
 * @module
 */
import { DEVICES } from "../../core/mmio/devices.ts";
import type { DeviceInstance } from "../../core/mmio/device.ts";
import type { Region } from "../../core/mmio/region.ts";
import { place, value } from "../../core/mmio/test_laws.ts";
import type { Random } from "../../core/mmio/test_random.ts";
import { RAM_BASE } from "../../core/board/virt.ts";
import { AT, DRIVER } from "../../core/mmio/lsi53c895a/test_chip.ts";
import { assemble, registerAt } from "../../core/mmio/lsi53c895a/test_assembler.ts";
import {
  instruction,
  programAt,
  slot,
  SLOTS,
  table,
  words,
} from "../../core/mmio/lsi53c895a/test_random_scripts.ts";
import type { HostileBoard } from "./machine.ts";
import { type Op, PORTS, type Size } from "./script.ts";
import { RingDriver } from "./rings.ts";

const ECAM = 0x3000_0000;
const COMMAND = 0x04, BAR0 = 0x10;
/** Memory that programs, rings and buffers lie in; each device of them has a part of its own. */
const PART_BYTES = 0x1_0000;
/** Devices of the board itself, which --device cannot bring. */
const FIXED = ["aclint", "finisher", "pci-host", "plic", "virtio-mmio"];
const SIZES: readonly Size[] = [1, 2, 4, 8];
/** virtio-mmio slots of the board. */
const MOST_SLOTS = 7;

export const NAMES = Object.keys(DEVICES);

/** Properties worth trying, by type. */
const PROPS: Readonly<Record<string, readonly string[]>> = {
  edu: ["increment=on", "latency=0", "latency=1", "dma_mask=0xffffffffffffffff"],
  lsi53c895a: ["insn_ns=0", "insn_ns=1", "insn_ns=200"],
  "virtio-": ["legacy=on", "event_idx=off", "indirect=off", "suppress=on", "latency=0"],
};

function propsOf(rng: Random, name: string): string {
  const known = Object.keys(DEVICES[name].props);
  const given = Object.entries(PROPS).find(([k]) => name.startsWith(k))?.[1] ?? [];
  const able = given.filter((p) => known.includes(p.split("=")[0]));
  const chosen = new Map(
    able.filter(() => rng.chance(0.3)).map((p) => p.split("=") as [string, string]),
  );
  return [...chosen].map(([k, v]) => `,${k}=${v}`).join("");
}

function drive(rng: Random, id: string): string[] {
  const readOnly = rng.chance(0.2) ? ",readonly=on" : "";
  const latency = rng.pick(["0ns", "500ns", "20us"]);
  const bandwidth = rng.chance(0.3) ? ",bandwidth=100M" : "";
  const seed = rng.chance(0.5) ? ",seed=7" : "";
  return ["--drive", `size=64K,if=none,id=${id},latency=${latency}${bandwidth}${seed}${readOnly}`];
}

/** Words of a machine. With `only`, it has devices of that type. */
export function machineWords(rng: Random, only: string | null): string[] {
  const made: string[] = [];
  const bare = only === "aclint" || only === null && rng.chance(0.2);
  if (bare) made.push("--bios", "none");
  if (rng.chance(0.5)) made.push("--serial", rng.pick(["sifive", "16550"]));
  const able = NAMES.filter((n) => !FIXED.includes(n));
  const wanted = only === null
    ? able.filter(() => rng.chance(0.5))
    : able.includes(only)
    ? [only, only]
    : [rng.pick(able)];
  let slots = 0;
  wanted.forEach((name, i) => {
    const slotted = DEVICES[name].compatible.includes("virtio,mmio");
    if (slotted && ++slots > MOST_SLOTS) return;
    const bays = Math.min(DEVICES[name].drives, 2);
    const ids = Array.from({ length: bays }, (_, k) => `d${i}x${k}`);
    for (const id of ids) made.push(...drive(rng, id));
    const drives = ids.length === 0 ? "" : `,drive=${ids.join("+")}`;
    made.push("--device", name + propsOf(rng, name) + drives);
  });
  return made;
}

/** A region where the guest finds it. */
interface Target {
  readonly dev: DeviceInstance;
  readonly region: Region;
  readonly base: number;
}

type Mapped = { bar: number; kind: string; size: number; addr: number; region: Region };

/** Where a BAR goes: in its window, at a multiple of its size, behind those before. */
class Windows {
  readonly #next: Record<string, number> = {
    io: PORTS + 0x1000,
    mem32: 0x4000_0000,
    mem64: 0x4_0000_0000,
  };
  take(kind: string, size: number): number {
    const addr = Math.ceil(this.#next[kind] / size) * size;
    this.#next[kind] = addr + size;
    return addr;
  }
}

/** The program of a driver that does what it should. */
function driverAt(base: number): Uint8Array {
  const symbols = {
    status_byte: base + AT.status,
    message_in: base + AT.messageIn,
    data: base + AT.data,
  };
  return assemble(base + AT.script, DRIVER, symbols).bytes;
}

const write = (addr: number, size: Size, v: number): Op => ({
  op: "write",
  addr,
  size,
  lo: v >>> 0,
  hi: Math.floor(v / 2 ** 32) >>> 0,
});
const read = (addr: number, size: Size): Op => ({ op: "read", addr, size });

export class Generator {
  readonly #targets: Target[] = [];
  readonly #macros: (() => Op[])[] = [];
  readonly #inputs: { device: string; channel: string }[] = [];
  readonly #setUp: Op[] = [];

  /** `board` is asked for what it has; nothing is done to it. */
  constructor(private readonly rng: Random, board: HostileBoard, only: string | null) {
    const windows = new Windows();
    let part = 0;
    for (const p of board.board.placed) {
      const dev = board.board.devices.get(p.name)!;
      const aim = only === null || p.type.name === only;
      const memory = RAM_BASE + PART_BYTES * (part++ & 15);
      const mapped = dev.pci === null ? [] : this.#plug(dev, p.slot!, windows, aim);
      if (!aim) continue;
      if (dev.pci === null && p.slot === undefined) {
        this.#targets.push({ dev, region: dev.main, base: p.addr });
      }
      for (const channel of dev.inputs) this.#inputs.push({ device: p.name, channel });
      this.#drivers(dev, p.addr, memory, mapped);
    }
  }

  /** Gives a function its addresses, as firmware does. */
  #plug(dev: DeviceInstance, slot: number, windows: Windows, aim: boolean): Mapped[] {
    const config = ECAM + slot * 0x8000;
    const mapped: Mapped[] = [];
    for (const { bar, kind, size, space } of dev.pci!.bars) {
      const addr = windows.take(kind, size);
      const region = dev.region(space ?? "regs");
      this.#setUp.push(write(config + BAR0 + 4 * bar, 4, kind === "io" ? addr - PORTS : addr));
      if (kind === "mem64") {
        this.#setUp.push(write(config + BAR0 + 4 * bar + 4, 4, Math.floor(addr / 2 ** 32)));
      }
      mapped.push({ bar, kind, size, addr, region });
      if (aim) this.#targets.push({ dev, region, base: addr });
    }
    this.#setUp.push(write(config + COMMAND, 2, 7));
    if (aim) {
      this.#targets.push({ dev, region: dev.region("config"), base: config });
      this.#macros.push(() => this.#repair(config, mapped));
    }
    return mapped;
  }

  /** After the dice moved a BAR or took bus mastering away. */
  #repair(config: number, mapped: readonly Mapped[]): Op[] {
    const bars = mapped.flatMap(({ bar, kind, addr }) => [
      write(config + BAR0 + 4 * bar, 4, kind === "io" ? addr - PORTS : addr),
      ...kind === "mem64"
        ? [write(config + BAR0 + 4 * bar + 4, 4, Math.floor(addr / 2 ** 32))]
        : [],
    ]);
    return [...bars, write(config + COMMAND, 2, 7)];
  }

  #drivers(dev: DeviceInstance, addr: number, memory: number, mapped: readonly Mapped[]): void {
    const { rng } = this;
    const { name, compatible } = dev.type;
    const modern = mapped.find((m) => m.kind === "mem64");
    const overPci = name.startsWith("virtio-") && modern !== undefined;
    if (overPci || compatible.includes("virtio,mmio") && name !== "virtio-mmio") {
      const at = overPci ? modern.addr : addr;
      const rings = new RingDriver(rng, dev, at, memory, modern?.region ?? dev.main, overPci);
      this.#setUp.push(...rings.setUp());
      const weights = [() => rings.setUp(), ...Array(9).fill(() => rings.some())];
      this.#macros.push(...weights);
    }
    if (name === "edu") {
      const bar = mapped[0].addr;
      this.#macros.push(...Array(4).fill(() => this.#copy(bar, memory)));
    }
    if (name === "lsi53c895a") {
      const registers = mapped.find((m) => m.bar === 1)!.addr;
      const scriptRam = mapped.find((m) => m.bar === 2)!.addr;
      this.#macros.push(...Array(12).fill(() => this.#scripts(registers, scriptRam, memory)));
    }
    if (name === "plic") {
      this.#setUp.push(
        ...Array.from({ length: 95 }, (_, i) => write(addr + 4 * (i + 1), 4, 1)),
        ...[0, 4, 8, 0x80, 0x84, 0x88].map((at) => write(addr + 0x2000 + at, 4, 0xffff_ffff)),
      );
    }
  }

  #somewhere(memory: number): number {
    const { rng } = this;
    return rng.chance(0.85) ? memory + rng.below(PART_BYTES) : value(rng);
  }

  /** edu's DMA, mostly within its buffer. */
  #copy(bar: number, memory: number): Op[] {
    const { rng } = this;
    const inside = rng.chance(0.8) ? 0x4_0000 + rng.below(4096) : value(rng);
    const toRam = rng.chance(0.5);
    const outside = this.#somewhere(memory);
    const count = rng.chance(0.8) ? rng.below(4097 - (inside & 0xfff)) : value(rng);
    return [
      write(bar + 0x80, 8, toRam ? inside : outside),
      write(bar + 0x88, 8, toRam ? outside : inside),
      write(bar + 0x90, 8, count),
      write(bar + 0x98, rng.pick([4, 8]), rng.pick([1, 3, 5, 7]) & ~2 | (toRam ? 2 : 0)),
    ];
  }

  #scripts(registers: number, scriptRam: number, base: number): Op[] {
    const { rng } = this;
    const places = {
      base,
      place: () =>
        rng.chance(0.05)
          ? registers + rng.below(256)
          : rng.chance(0.05)
          ? scriptRam + rng.below(8192)
          : this.#somewhere(base),
    };
    const fill = (p: { at: number; bytes: Uint8Array }): Op => ({
      op: "fill",
      addr: base + p.at,
      bytes: p.bytes,
    });
    const register = (name: string) => registers + registerAt(name);
    switch (rng.below(6)) {
      case 0: {
        if (rng.chance(0.6)) return [fill({ at: AT.script, bytes: driverAt(base) })];
        const program = Array.from({ length: SLOTS }, () => instruction(rng, places)).flat();
        return [fill(words(AT.script, ...program))];
      }
      case 1:
        return [fill(words(slot(rng), ...instruction(rng, places)))];
      case 2:
        return table(rng, places).map(fill);
      case 3:
        return [write(register("ISTAT0"), 1, rng.pick([0x20, 0x80, 0x40, 0, 4]))];
      case 4:
        return [
          read(register("ISTAT0"), 1),
          read(register("DSTAT"), 1),
          read(register("SIST0"), 2),
        ];
      default:
        return [
          ...rng.chance(0.6) ? [0x40, 0].map((v) => write(register("ISTAT0"), 1, v)) : [],
          write(register("DIEN"), 1, 0x7d),
          write(register("SIEN0"), 2, 0x178f),
          write(register("DSA"), 4, base + AT.table),
          write(register("SCNTL3"), 1, 3),
          write(register("DSP"), 4, rng.chance(0.9) ? programAt(rng, places) : places.place()),
        ];
    }
  }

  setUp(): readonly Op[] {
    return this.#setUp;
  }

  #access(): Op[] {
    const { rng } = this;
    const { dev, region, base } = rng.pick(this.#targets);
    const { at, size: named } = place(rng, region);
    const size = SIZES.find((s) => s === named) ?? rng.pick(SIZES);
    const addr = base + at - at % size;
    if (rng.chance(0.5)) return [read(addr, size)];
    // One that ends the run tells little.
    if (dev.type.name === "finisher" && rng.chance(0.98)) return [write(addr, size, 1)];
    const hi = rng.chance(0.8) ? 0 : value(rng);
    return [{ op: "write", addr, size, lo: value(rng) >>> 0, hi: hi >>> 0 }];
  }

  /** What comes next. */
  next(): Op[] {
    const { rng } = this;
    const dice = rng.below(100);
    if (dice < 10) {
      const ns = rng.below(rng.pick([3000, 3000, 50_000, 50_000, 1_000_000]));
      return [{ op: "step", ns }];
    }
    if (dice < 14 && this.#inputs.length > 0) {
      return [{
        op: "input",
        ...rng.pick(this.#inputs),
        bytes: rng.bytes(rng.pick([1, 4, 8, 40])),
      }];
    }
    if (dice < 17) return [{ op: "restore" }];
    if (dice < 20) {
      const addr = RAM_BASE + rng.below(PART_BYTES * 16 - 64);
      return [{ op: "fill", addr, bytes: rng.bytes(rng.below(64)) }];
    }
    if (dice < 22) return [write(RAM_BASE + rng.below(PART_BYTES * 16) * 4, 4, value(rng))];
    if (dice < 75 && this.#macros.length > 0) return rng.pick(this.#macros)();
    return this.#access();
  }
}
