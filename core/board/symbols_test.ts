import assert from "node:assert/strict";
import { LoadError } from "./loader.ts";
import { readSymbolFile, symbolsOfElf, symbolsOfKallsyms, SymbolTable } from "./symbols.ts";

const text = (lines: string) => new TextEncoder().encode(lines);
const shown = (symbols: readonly { addr: bigint; size: number; name: string }[]) =>
  symbols.map((s) => `${s.addr.toString(16)}+${s.size} ${s.name}`);

const SYSTEM_MAP = `ffffffff80000000 T _start
ffffffff80000000 t also_start
ffffffff80000040 t helper
ffffffff80000060 d data
ffffffff80000080 W weak
ffffffff80000090 A absolute
ffffffff01000000 t vm_notify\t[virtio_mmio]
`;

Deno.test("symbols: a listing names code once an address, up to what comes next", () => {
  const symbols = readSymbolFile(text(SYSTEM_MAP), "System.map");
  assert.deepEqual(shown(symbols), [
    `ffffffff01000000+${2 << 20} vm_notify`,
    "ffffffff80000000+64 _start",
    "ffffffff80000040+32 helper",
    "ffffffff80000080+16 weak",
  ]);
  assert.equal(symbols[0].module, "virtio_mmio");
});

Deno.test("symbols: what is no listing, or names no code, is refused with the fix", () => {
  for (const bad of ["#!/bin/sh\n", "ffffffff80000000 d data\n", ""]) {
    assert.throws(() => readSymbolFile(text(bad), "m"), (e: Error) => {
      assert.ok(e instanceof LoadError && e.message.startsWith("m ") && e.fix !== "");
      return true;
    });
  }
});

Deno.test("symbols: an ELF's sizes count; labels inside a function and past their section do not", () => {
  const at = (name: string, addr: bigint, size: number, limit: bigint | null = null) => ({
    name,
    addr,
    size,
    limit,
    code: true,
  });
  const symbols = symbolsOfElf([
    at("main", 0x1000n, 0x20),
    at("inside", 0x1008n, 0),
    at("label", 0x1040n, 0, 0x1080n),
    at("end", 0x1080n, 0, 0x1080n),
    { ...at("table", 0x1050n, 8), code: false },
  ]);
  assert.deepEqual(shown(symbols), ["1000+32 main", "1040+16 label"]);
});

Deno.test("symbols: of a kernel and its modules each keeps its own", () => {
  const kernel = { names: ["a", "b"], types: "Td", offsets: Uint32Array.of(0, 16), base: 0x100n };
  const symbol = { addr: 0x40n, size: 8, name: "probe", type: "t", module: "drv" };
  const data = { ...symbol, addr: 0x60n, name: "state", type: "b" };
  const symbols = symbolsOfKallsyms(kernel, [symbol, data]);
  assert.deepEqual(shown(symbols), ["40+8 probe", "100+16 a"]);
  assert.deepEqual(symbols.map((s) => s.module), ["drv", null]);
});

Deno.test("symbols: an address belongs to the symbol that covers it, the first source given wins", () => {
  const table = new SymbolTable();
  table.add(readSymbolFile(text(SYSTEM_MAP), "System.map"));
  const fresh = table.add(readSymbolFile(text("ffffffff80000040 T other\n1000 T user\n"), "b"));
  assert.deepEqual(fresh.map((s) => s.name), ["user"]);
  assert.equal(table.describe(0xffff_ffff_8000_0044n), "helper+0x4");
  assert.equal(table.describe(0xffff_ffff_0100_0000n), "vm_notify [virtio_mmio]");
  for (const nobodys of [0xffff_ffff_8000_0060n, 0xfffn, 0xffff_ffff_8000_0090n]) {
    assert.equal(table.describe(nobodys), null);
  }
});
