/**
 * A whole board for a hostile guest: every access is an instruction that a hart executes, so that it
 * is an exit with its rows. What the machine says is kept as a digest of its rows; work is counted.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Board, buildBoard } from "../../core/board/build.ts";
import { DEFAULT_SPEC, type MachineSpec } from "../../core/board/spec.ts";
import { RAM_BASE } from "../../core/board/virt.ts";
import { DEVICES } from "../../core/mmio/devices.ts";
import type { DeviceType, GuestMemory, Port } from "../../core/mmio/device.ts";
import { Trace } from "../../core/trace/trace.ts";
import { drivesOf } from "../../replay/cli/drive.ts";
import { parseDevice, parseDrive } from "../../replay/cli/values.ts";
import { Renewable } from "./renewable.ts";
import { type Op, ScriptError, type Size } from "./script.ts";

export const RAM_BYTES = 8 * 1024 * 1024;
const CODE = { at: RAM_BASE + 0x40_0000, name: "code" } as const;
const A0 = 10, A1 = 11;
/** LBU, LHU, LWU, LD and SB, SH, SW, SD of a0 at a1; WFI. */
const LOAD: Readonly<Record<Size, number>> = { 1: 4, 2: 5, 4: 6, 8: 3 };
const STORE: Readonly<Record<Size, number>> = { 1: 0, 2: 1, 4: 2, 8: 3 };
const loadInsn = (size: Size) => A1 << 15 | LOAD[size] << 12 | A0 << 7 | 0x03;
const storeInsn = (size: Size) => A0 << 20 | A1 << 15 | STORE[size] << 12 | 0x23;
const WFI = 0x1050_0073;

/**
 * Work is rows, calls into the port and bytes moved: an access, or an input, may do so much. That is
 * every chain of a full ring of 256 with a descriptor for each place in it, and the bytes it may name.
 */
const MOST_WORK = 256 * (4 * 256 + 64) + 64 * 1024;
const BYTES_PER_WORK = 256;
/** While time passes a device may do more: something at each moment that there is. */
const WORK_PER_NS = 1;

/** Counts what devices do since it was last cleared, and ends what does not end. */
export class Work {
  done = 0;
  limit = MOST_WORK;

  begin(limit: number): void {
    this.done = 0;
    this.limit = limit;
  }
  add(n: number): void {
    this.done += n;
    if (this.done > this.limit) throw new Error(`more than ${this.limit} pieces of work: no bound`);
  }
}

/** A digest that values are mixed into as they come: two lanes of 32 bits. */
class Digest {
  #a = 0x811c_9dc5;
  #b = 0x1234_5678;

  #mix(v: number): void {
    this.#a = Math.imul(this.#a ^ v, 0x0100_0193);
    this.#b = Math.imul(this.#b ^ v >>> 15 ^ v, 0x85eb_ca6b) + 1 | 0;
  }
  add(v: unknown): void {
    if (typeof v === "number") {
      this.#mix(v | 0);
      this.#mix(v / 2 ** 32 | 0);
    } else if (typeof v === "string") {
      this.#mix(v.length);
      for (let i = 0; i < v.length; i++) this.#mix(v.charCodeAt(i));
    } else if (v instanceof Uint8Array) v.forEach((b) => this.#mix(b));
    else this.#mix(v === null ? 3 : v === true ? 5 : v === false ? 7 : 11);
  }
  get text(): string {
    return [this.#a, this.#b].map((v) => (v >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

/** Words as on the command line: `--device`, `--drive`, `--bios none`, `--serial`. */
export function specOf(words: readonly string[]): MachineSpec {
  const devices: MachineSpec["devices"][number][] = [];
  const drives: Parameters<typeof drivesOf>[0][number][] = [];
  let change: Partial<MachineSpec> = {};
  for (let i = 0; i < words.length; i += 2) {
    const text = words[i + 1] ?? "";
    const wrong = () => new ScriptError(`${words[i]} ${text}: no option of a machine`);
    if (words[i] === "--device") {
      const made = parseDevice(text);
      if (made === null) throw wrong();
      devices.push({ ...made, file: null });
    } else if (words[i] === "--drive") {
      const made = parseDrive(text);
      if (made === null) throw wrong();
      drives.push(made);
    } else if (words[i] === "--bios" && text === "none") {
      change = { ...change, bios: "none", hypervisor: "none" };
    } else if (words[i] === "--serial") {
      change = { ...change, serial: text as MachineSpec["serial"] };
    } else throw wrong();
  }
  return {
    ...DEFAULT_SPEC,
    ...change,
    memoryBytes: RAM_BYTES,
    loads: [{ file: { path: CODE.name, sha256: "", bytes: 4 }, addr: CODE.at }],
    devices,
    drives: drivesOf(drives),
  };
}

/** Memory that counts what passes through it. */
function countedMemory(mem: GuestMemory, work: Work): GuestMemory {
  const count = <T>(bytes: number, v: T): T => (work.add(1 + bytes / BYTES_PER_WORK), v);
  return {
    ok: (gpa, n) => mem.ok(gpa, n),
    read: (gpa, n) => count(n, mem.read(gpa, n)),
    view: (gpa, n) => count(n, mem.view(gpa, n)),
    room: (gpa, n) => count(n, mem.room(gpa, n)),
    u8: (gpa) => count(1, mem.u8(gpa)),
    u16: (gpa) => count(2, mem.u16(gpa)),
    u32: (gpa) => count(4, mem.u32(gpa)),
    u64: (gpa) => count(8, mem.u64(gpa)),
    write: (gpa, b) => count(b.length, mem.write(gpa, b)),
    setU8: (gpa, v) => count(1, mem.setU8(gpa, v)),
    setU16: (gpa, v) => count(2, mem.setU16(gpa, v)),
    setU32: (gpa, v) => count(4, mem.setU32(gpa, v)),
    setU64: (gpa, v) => count(8, mem.setU64(gpa, v)),
  };
}

function countedPort(port: Port, work: Work): Port {
  const own = {
    mem: { value: countedMemory(port.mem, work) },
    timer: {
      value: (...args: Parameters<Port["timer"]>) => (work.add(1), port.timer(...args)),
    },
  };
  return Object.create(port, own);
}

export class HostileBoard {
  readonly board: Board;
  readonly work = new Work();
  readonly #renewable: Renewable[] = [];
  readonly #digest = new Digest();
  readonly #image: Uint32Array<ArrayBuffer>;
  #rows = 0;

  /** `more` are types beside those of DEVICES. */
  constructor(readonly words: readonly string[], more: readonly DeviceType[] = []) {
    const code = [...Object.keys(LOAD), ...Object.keys(STORE)].map((size, i) =>
      (i < 4 ? loadInsn : storeInsn)(Number(size) as Size)
    );
    this.#image = Uint32Array.from([...code, WFI]);
    const files = new Map([[CODE.name as string, new Uint8Array(this.#image.buffer)]]);
    const known = [...Object.values(DEVICES), ...more];
    const types = new Map(known.map((t) => [t.name, this.#watched(t)]));
    const trace = new Trace(null, {
      watch: (table, row, seq, clock) => {
        this.#rows++;

        this.work.add(1);
        const d = this.#digest;
        d.add(table);
        for (const key in row) d.add(row[key]);
        d.add(seq);
        for (const v of clock) d.add(v);
      },
    });
    const out = (device: string, bytes: Uint8Array) => {
      this.work.add(bytes.length / BYTES_PER_WORK);
      this.#digest.add(device);
      this.#digest.add(bytes);
    };
    this.work.begin(Infinity); // Names and costs are rows, too.
    this.board = buildBoard(specOf(words), files, types, trace, { out });
  }

  /** Devices of --device are counted, and can be put in new ones' place. */
  #watched(type: DeviceType): DeviceType {
    return {
      ...type,
      create: (name, port, props) => {
        const made = new Renewable(() => type.create(name, countedPort(port, this.work), props));
        this.#renewable.push(made);
        return made.instance;
      },
    };
  }

  get rows(): number {
    return this.#rows;
  }
  /** Of everything that was said so far. */
  get said(): string {
    return this.#digest.text;
  }
  get ended(): boolean {
    return this.board.machine.run({ executed: 0, idle: "return" }).why === "guest";
  }

  /** Runs the instruction with that index in the code's page. */
  #execute(index: number, a0: bigint, a1: number): void {
    const { machine } = this.board;
    const [hart] = machine.harts;
    const { ram } = machine.cpu;
    const at = CODE.at - RAM_BASE;
    const there = new Uint32Array(ram.buffer, ram.byteOffset + at, this.#image.length);
    if (this.#image.some((v, i) => there[i] !== v)) {
      there.set(this.#image);
      machine.cpu.wroteRam(at, this.#image.byteLength);
    }
    hart.pc = BigInt(CODE.at + 4 * index);
    hart.setX(A0, a0);
    hart.setX(A1, BigInt(a1));
    machine.run({ executed: machine.executed + 1, idle: "return" });
  }

  /** Its pieces, where an access does not lie at a multiple of its size. */
  #pieces(addr: number, size: number): { addr: number; size: Size }[] {
    const pieces: { addr: number; size: Size }[] = [];
    for (let at = addr; at < addr + size;) {
      const fits = ([8, 4, 2, 1] as const).find((s) => at % s === 0 && s <= addr + size - at)!;
      pieces.push({ addr: at, size: fits });
      at += fits;
    }
    return pieces;
  }

  read(addr: number, size: number): bigint {
    let v = 0n, shift = 0n;
    for (const p of this.#pieces(addr, size)) {
      this.#execute(Math.log2(p.size), 0n, p.addr);
      v |= this.board.machine.harts[0].x(A0) << shift;
      shift += BigInt(8 * p.size);
    }
    return v;
  }

  write(addr: number, size: number, value: bigint): void {
    let rest = value;
    for (const p of this.#pieces(addr, size)) {
      this.#execute(4 + Math.log2(p.size), BigInt.asUintN(8 * p.size, rest), p.addr);
      rest >>= BigInt(8 * p.size);
    }
  }

  #step(ns: number): void {
    const { machine } = this.board;
    const [hart] = machine.harts;
    this.#execute(8, 0n, 0);
    if (!machine.idle) return; // The guest has ended the run.
    machine.idleUntil(machine.nowNs + ns);
    hart.addNs(Math.max(0, machine.nowNs - hart.clockNs));
    const priv = hart.priv === 3 ? 3 : 1;
    machine.start(0, { pc: BigInt(CODE.at), a0: 0n, a1: 0n, priv });
  }

  #inRam(addr: number, bytes: number): boolean {
    return addr >= RAM_BASE && addr + bytes <= RAM_BASE + RAM_BYTES;
  }

  #fill(addr: number, bytes: Uint8Array): void {
    if (this.#inRam(addr, bytes.length)) {
      const { cpu } = this.board.machine;
      cpu.ram.set(bytes, addr - RAM_BASE);
      cpu.wroteRam(addr - RAM_BASE, bytes.length);
      return;
    }
    bytes.forEach((b, i) => this.write(addr + i, 1, BigInt(b)));
  }

  #dump(addr: number, count: number): Uint8Array {
    const { ram } = this.board.machine.cpu;
    const at = addr - RAM_BASE;
    if (this.#inRam(addr, count)) return ram.slice(at, at + count);
    return Uint8Array.from({ length: count }, (_, i) => Number(this.read(addr + i, 1)));
  }

  #input(device: string, channel: string, bytes: Uint8Array): string {
    const { board } = this;
    const dev = board.devices.get(device);
    if (dev === undefined || !dev.inputs.includes(channel)) return "";
    const data = bytes.subarray(0, board.canInput(device, channel));
    try {
      board.input(device, channel, data);
      return "";
    } catch (e) {
      // Half a message is the host's mistake, told by an exception.
      if (!/takes \d+ bytes, got/.test(String(e))) throw e;
      return String(e);
    }
  }

  /** Every device goes on as a new one with its state, and every drive as one that was loaded. */
  restore(): void {
    for (const r of this.#renewable) r.renew();
    for (const dev of this.board.devices.values()) dev.load(dev.save());
    for (const drive of this.board.drives.values()) drive.load(drive.save());
  }

  /** What a reader of the script is told: the value of a read, else nothing. */
  perform(o: Op): bigint | Uint8Array | string {
    this.work.begin(o.op === "step" ? MOST_WORK + o.ns * WORK_PER_NS : MOST_WORK);
    switch (o.op) {
      case "read":
        return this.read(o.addr, o.size);
      case "write":
        return this.write(o.addr, o.size, BigInt(o.hi >>> 0) << 32n | BigInt(o.lo >>> 0)), "";
      case "fill":
        return this.#fill(o.addr, o.bytes), "";
      case "dump":
        return this.#dump(o.addr, o.count);
      case "step":
        return this.#step(o.ns), "";
      case "input":
        return this.#input(o.device, o.channel, o.bytes);
      case "restore":
        return "";
    }
  }

  /** Where all that can be saved differs from another board; null where it does not. */
  difference(other: HostileBoard): string | null {
    const { machine, devices, drives } = this.board;
    const there = other.board;
    const saved: [string, { save(): Uint8Array }][] = [...devices, ...drives];
    const differ = saved.filter(([name, d]) => {
      const twin = there.devices.get(name) ?? there.drives.get(name)!;
      return Buffer.compare(d.save(), twin.save()) !== 0;
    });
    if (differ.length > 0) return differ.map(([name]) => name).join(", ");
    return Buffer.compare(machine.cpu.ram, there.machine.cpu.ram) === 0 ? null : "RAM";
  }

  /** Ranges that answer neither overlap nor lie upside down. */
  checkBus(): void {
    const ranges = this.board.bus.mappings;
    const sound = ranges.every((r, k) =>
      r.start < r.end && (k === 0 || ranges[k - 1].end <= r.start)
    );
    assert.ok(sound, "mappings overlap");
  }
}
