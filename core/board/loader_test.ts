import assert from "node:assert/strict";
import { type Image, LoadError, parseImage, type Placement } from "./loader.ts";

const RAM_BASE = 0x80000000;
const AT: Placement = { name: "k", ramBase: RAM_BASE, ramBytes: 16 << 20, flatAddr: null };

interface Part {
  vaddr?: bigint;
  addr?: bigint;
  bytes?: number[];
  memoryBytes?: number;
}

/** A small ELF file: header, program headers, contents, then a symbol table with its sections. */
function elf(parts: Part[], entry = 0x80200000n, symbols: [string, bigint, number][] = []) {
  const file = new Uint8Array(4096);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 243, true);
  view.setBigUint64(24, entry, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, parts.length, true);
  let end = 64 + 56 * parts.length;
  parts.forEach((part, i) => {
    const addr = part.addr ?? 0x80200000n;
    const bytes = part.bytes ?? [1, 2, 3, 4];
    view.setUint32(64 + 56 * i, 1, true);
    const fields = [BigInt(end), part.vaddr ?? addr, addr, BigInt(bytes.length)];
    fields.push(BigInt(part.memoryBytes ?? bytes.length));
    fields.forEach((v, k) => view.setBigUint64(64 + 56 * i + 8 + 8 * k, v, true));
    file.set(bytes, end);
    end += bytes.length;
  });
  if (symbols.length > 0) end = addSymbols(file, view, end, symbols);
  return file.slice(0, end);
}

function addSymbols(
  file: Uint8Array,
  view: DataView,
  at: number,
  symbols: [string, bigint, number][],
) {
  const names = new TextEncoder().encode("\0" + symbols.map(([name]) => name + "\0").join(""));
  const table = at + names.length;
  file.set(names, at);
  let name = 1;
  symbols.forEach(([text, addr, size], i) => {
    const s = table + 24 * i;
    view.setUint32(s, name, true);
    view.setUint8(s + 4, 2);
    view.setUint16(s + 6, 1, true);
    view.setBigUint64(s + 8, addr, true);
    view.setBigUint64(s + 16, BigInt(size), true);
    name += text.length + 1;
  });
  const sections = table + 24 * symbols.length;
  view.setBigUint64(40, BigInt(sections), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 2, true);
  view.setUint32(sections + 4, 2, true);
  view.setBigUint64(sections + 24, BigInt(table), true);
  view.setBigUint64(sections + 32, BigInt(24 * symbols.length), true);
  view.setUint32(sections + 40, 1, true);
  view.setUint32(sections + 64 + 4, 3, true);
  view.setBigUint64(sections + 64 + 24, BigInt(at), true);
  view.setBigUint64(sections + 64 + 32, BigInt(names.length), true);
  return sections + 128;
}

const refused = (file: Uint8Array, message: RegExp, at: Partial<Placement> = {}) =>
  assert.throws(() => parseImage(file, { ...AT, ...at }), (error: Error) => {
    assert.ok(error instanceof LoadError);
    assert.match(`${error.message}; ${error.fix}`, message);
    assert.match(error.message, /^k [^\n]+$/);
    return true;
  });

Deno.test("ELF: segments go to their physical addresses, with their size in memory", () => {
  const image = parseImage(elf([{}, { addr: 0x80201000n, bytes: [9], memoryBytes: 4 }]), AT);
  assert.equal(image.kind, "elf");
  assert.equal(image.entry, 0x80200000);
  assert.deepEqual(image.segments, [
    { addr: 0x80200000, bytes: Uint8Array.of(1, 2, 3, 4), memoryBytes: 4 },
    { addr: 0x80201000, bytes: Uint8Array.of(9), memoryBytes: 4 },
  ]);
});

Deno.test("ELF: a virtual entry point is entered at the physical address of the same byte", () => {
  const file = elf([{ vaddr: 0xffffffff80000000n }], 0xffffffff80000002n);
  assert.equal(parseImage(file, AT).entry, 0x80200002);
});

Deno.test("ELF: symbols come by address, mapping symbols left out, the one with a size last", () => {
  const file = elf([{}], undefined, [
    ["high", 0xffffffff80000001n, 4],
    ["$x", 0x80200000n, 0],
    ["label", 0x80200000n, 0],
    ["main", 0x80200000n, 8],
    ["unsized", 0x80200010n, 0],
  ]);
  const { symbols } = parseImage(file, AT);
  assert.deepEqual(symbols.map((s) => s.name), ["label", "main", "unsized", "high"]);
});

Deno.test("Linux Image: it goes to RAM's start + text_offset and takes image_size bytes", () => {
  const file = new Uint8Array(128);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode("RISCV"), 48);
  file.set([0x52, 0x53, 0x43, 5], 56);
  view.setBigUint64(8, 0x200000n, true);
  view.setBigUint64(16, 0x1000n, true);
  const image = parseImage(file, AT);
  assert.equal(image.kind, "linux");
  assert.equal(image.entry, 0x80200000);
  assert.equal(image.segments[0].memoryBytes, 0x1000);
  view.setBigUint64(16, 0x4000000n, true);
  refused(file, /outside RAM.*--memory 66M/);
  view.setUint32(24, 1, true);
  refused(file, /big-endian/);
});

Deno.test("flat binary: taken where an address is given, refused elsewhere", () => {
  const file = Uint8Array.of(0x13, 0, 0, 0);
  assert.equal(parseImage(file, { ...AT, flatAddr: 0x80200000 }).entry, 0x80200000);
  refused(file, /neither an ELF file nor a Linux Image.*--load FILE@ADDR/);
  refused(new TextEncoder().encode("#!/bin/sh\n"), /is text/, { flatAddr: 0x80200000 });
  refused(new Uint8Array(0), /empty/, { flatAddr: 0x80200000 });
  refused(Uint8Array.of(0x1f, 0x8b, 8, 0), /gzip.*gunzip/, { flatAddr: 0x80200000 });
});

Deno.test("bad ELF files: one sentence that names the fix", () => {
  const patched = (at: number, ...bytes: number[]) => {
    const file = elf([{}]);
    file.set(bytes, at);
    return file;
  };
  refused(patched(4, 1), /32-bit.*rv64/);
  refused(patched(5, 2), /big-endian/);
  refused(patched(18, 62, 0), /for x86-64; build it for .*64-bit RISC-V/);
  refused(patched(18, 9, 9), /machine number 2313/);
  refused(patched(16, 1), /type 1, not an executable/);
  refused(patched(54, 8), /program headers of 8 bytes, expected 56/);
  refused(patched(24, 0), /outside RAM/, { ramBytes: 1 << 20 });
  refused(elf([]), /no PT_LOAD/);
  refused(elf([{ bytes: [1, 2], memoryBytes: 1 }]), /damaged: segment 0 has 2 bytes/);
  refused(elf([{}], 0x80300000n), /starts at 0x80300000, which lies in no part/);
  refused(elf([{ addr: 0x81fffff0n, memoryBytes: 0x1000 }]), /outside RAM.*--memory 33M/);
  refused(elf(Array(3).fill({ memoryBytes: 6 << 20 })), /segments overlap/);
  refused(elf([{ addr: 0x1000n }]), /outside RAM.*link it at 0x80000000/);
  refused(elf([{ addr: 0xffffffff80200000n }]), /outside RAM/);
});

const GOOD = elf([{}, { addr: 0x80201000n, memoryBytes: 64 }], undefined, [
  ["main", 0x80200000n, 4],
  ["other", 0x80200002n, 0],
]);

Deno.test("a file cut at any byte is refused in one sentence", () => {
  for (let n = 0; n < GOOD.length; n++) refused(GOOD.slice(0, n), /truncated|neither|empty/);
});

/** Numbers from a seed (mulberry32): a failure repeats with SEED. */
function random(seed: number): () => number {
  let s = seed;
  return () => {
    s = s + 0x6d2b79f5 | 0;
    let t = Math.imul(s ^ s >>> 15, 1 | s);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return (t ^ t >>> 14) >>> 0;
  };
}

Deno.test("mutated files: loaded inside RAM or refused, never a crash", () => {
  const seed = Number(Deno.env.get("SEED") ?? 1);
  const next = random(seed);
  for (let round = 0; round < 20000; round++) {
    const file = GOOD.slice();
    for (let n = 1 + next() % 4; n > 0; n--) {
      const values = [0, 1, 0x7f, 0x80, 0xff, next() & 0xff];
      file[next() % file.length] = values[next() % values.length];
    }
    let image: Image | null = null;
    try {
      image = parseImage(file, { ...AT, flatAddr: 0x80200000 });
    } catch (error) {
      assert.ok(
        error instanceof LoadError,
        `at round ${round}: ${error}; to replay: SEED=${seed} deno test -A core/board/loader_test.ts`,
      );
    }
    for (const { addr, memoryBytes } of image?.segments ?? []) {
      assert.ok(addr >= RAM_BASE && addr + memoryBytes <= RAM_BASE + AT.ramBytes);
    }
  }
});

Deno.test("the bundled guests load", () => {
  const file = Deno.readFileSync(new URL("../../fixtures/guests/serial.elf", import.meta.url));
  const image = parseImage(file, AT);
  assert.equal(image.entry, 0x80200000);
  assert.ok(image.symbols.some((s) => s.name === "_start" && s.addr === 0x80200000n && s.code));
  assert.ok(image.symbols.some((s) => s.name === "arguments" && !s.code));
});
