/** Names out of guest memory that holds a kernel's tables and no kernel. @module */
import assert from "node:assert/strict";
import type { Hart } from "../cpu/mod.ts";
import { Random, SEED } from "../trace/random_trace.ts";
import { Trace } from "../trace/trace.ts";
import type { Booted } from "./boot.ts";
import { GuestSymbols } from "./guest_symbols.ts";
import { DEFAULT_SPEC } from "./spec.ts";
import {
  kallsymsBytes,
  mapGigabyte,
  randomSymbols,
  type TestSymbol,
  Writer,
} from "./test_kernel.ts";

const RAM_BASE = 0x8000_0000;
const BASE = 0xffff_ffff_8000_0000n;
/** Where things lie, from the start of RAM. */
const AT = { banner: 0x10_0000, modules: 0x10_1000, btf: 0x11_0000, tables: 0x12_0000 };
const BANNER = "Linux version 6.12.0 (test)";
const MODULE = { list: 8, name: 24, kallsyms: 128 };
const KALLSYMS = { symtab: 0, num_symtab: 8, strtab: 16, typetab: 24 };

/** BTF with two structures, and one type of another kind before them. */
function btfBytes(): Uint8Array {
  const texts = new Writer().u8(0);
  const text = (t: string) => {
    const at = texts.at;
    texts.text(t);
    return at;
  };
  const types = new Writer().u32(text("int")).u32(1 << 24).u32(4).u32(32);
  for (const [name, members] of [["module", MODULE], ["mod_kallsyms", KALLSYMS]] as const) {
    const entries = Object.entries(members);
    types.u32(text(name)).u32(4 << 24 | entries.length).u32(1024);
    for (const [member, at] of entries) types.u32(text(member)).u32(1).u32(at * 8);
  }
  const header = new Writer().u16(0xeb9f).u8(1, 0).u32(24).u32(0).u32(types.at).u32(types.at);
  return Uint8Array.from([...header.u32(texts.at).bytes, ...types.bytes, ...texts.bytes]);
}

interface Memory {
  readonly ram: Uint8Array;
  readonly satp: bigint;
}

/** A kernel's memory: names, banner, one module called drv. */
function kernelMemory(change: (ram: Uint8Array) => void = () => {}): Memory {
  const random = new Random(SEED);
  const ram = new Uint8Array(8 << 20);
  const btf = btfBytes();
  const own: TestSymbol[] = [
    { offset: AT.banner, type: "D", name: "linux_banner" },
    { offset: AT.modules, type: "D", name: "modules" },
    { offset: AT.btf, type: "R", name: "__start_BTF" },
    { offset: AT.btf + btf.length, type: "R", name: "__stop_BTF" },
  ];
  const symbols = [...randomSymbols(400, random).filter((s) => s.offset < AT.banner), ...own];
  const view = new DataView(ram.buffer);
  const put = (at: number, bytes: Uint8Array) => ram.set(bytes, at);
  const pointer = (at: number, to: number) => view.setBigUint64(at, BASE + BigInt(to), true);
  put(AT.banner, new TextEncoder().encode(BANNER));
  put(AT.btf, btf);
  const module = AT.modules + 0x1000;
  const [table, symtab, strtab, typetab] = [0x400, 0x500, 0x600, 0x700].map((o) => module + o);
  pointer(AT.modules, module + MODULE.list);
  pointer(module + MODULE.list, AT.modules);
  put(module + MODULE.name, new Writer().text("drv").bytes);
  pointer(module + MODULE.kallsyms, table);
  pointer(table + KALLSYMS.symtab, symtab);
  pointer(table + KALLSYMS.strtab, strtab);
  pointer(table + KALLSYMS.typetab, typetab);
  view.setUint32(table + KALLSYMS.num_symtab, 3, true);
  put(strtab, new Writer().text("").text("drv_probe").text("elsewhere").bytes);
  const entry = (name: number, home: number, addr: bigint) =>
    new Writer().u32(name).u16(2).u16(home).u64(addr).u64(64n);
  const entries = [entry(0, 0, 0n), entry(1, 1, 0xffff_ffff_0100_0000n), entry(11, 0, 0n)];
  put(symtab, Uint8Array.from(entries.flatMap((w) => [...w.bytes])));
  put(typetab, new TextEncoder().encode("?t?"));
  put(AT.tables, kallsymsBytes(symbols, BASE, "6.4", random));
  const satp = mapGigabyte(ram, RAM_BASE, BASE);
  change(ram);
  return { ram, satp };
}

function symbolsIn({ ram, satp }: Memory): GuestSymbols {
  const booted = { symbols: [], named: false, linux: true } as unknown as Booted;
  const hart = { csr: () => satp } as unknown as Hart;
  const machine = { ram: { base: RAM_BASE, bytes: ram }, harts: [hart] };
  return new GuestSymbols(DEFAULT_SPEC, new Map(), booted, machine, new Trace(null));
}

Deno.test("guest symbols: a kernel's names and those of its modules are read from memory", () => {
  const guest = symbolsIn(kernelMemory());
  assert.equal(guest.writeKernel(), null);
  assert.equal(guest.table.describe(0xffff_ffff_0100_0010n), "drv_probe+0x10 [drv]");
  assert.ok(guest.table.all.length > 100);
  assert.ok(guest.table.all.every((s) => s.source === "kallsyms"));
});

Deno.test("guest symbols: a table that is not the running kernel's gives no names, and says so", () => {
  const otherBanner = kernelMemory((ram) => ram[AT.banner] ^= 1);
  assert.match(symbolsIn(otherBanner).writeKernel()!, /not that of the running kernel/);
  const unmapped = kernelMemory((ram) => ram.fill(0, 0, 4096));
  assert.match(symbolsIn(unmapped).writeKernel()!, /not that of the running kernel/);
  const bare = { ...kernelMemory(), satp: 0n };
  assert.match(symbolsIn(bare).writeKernel()!, /address translation/);
  const none = kernelMemory((ram) => ram.fill(0, AT.tables));
  const guest = symbolsIn(none);
  assert.match(guest.writeKernel()!, /no kallsyms table/);
  assert.equal(guest.table.all.length, 0);
});

Deno.test("guest symbols: whatever a module's tables hold, the kernel's own names stay, and it ends", () => {
  const random = new Random(SEED);
  const sound = symbolsIn(kernelMemory());
  sound.writeKernel();
  const own = sound.table.all.filter((s) => s.module === null).length;
  for (let round = 0; round < 50; round++) {
    const noise = () => {
      const at = [AT.modules, AT.modules + 0x1000, AT.btf][random.below(3)] + random.below(0x420);
      return [at, random.below(256)] as const;
    };
    const guest = symbolsIn(kernelMemory((ram) => {
      for (let n = 0; n < 8; n++) {
        const [at, value] = noise();
        ram[at] = value;
      }
    }));
    assert.equal(guest.writeKernel(), null, `round ${round}, SEED=${SEED}`);
    assert.equal(guest.table.all.filter((s) => s.module === null).length, own);
  }
});
