import assert from "node:assert/strict";
import {
  bytes,
  device,
  flag,
  list,
  num,
  type PlugError,
  prop,
  records,
  type Reg,
  text,
  u16,
  u32,
  u32s,
  u64,
  u8,
} from "exitscope/device";
import { TestMachine } from "./test_machine.ts";

const ABOUT = { doc: "A device.", source: "this test", size: 0x100, state: {} };

/** A device of nothing but these registers. */
const of = (...regs: Reg[]) => device("thing", ABOUT, () => ({ regs }));
const get = () => 0;
const set = () => {};

const WRONG: [RegExp, Reg[]][] = [
  [/thing: register 0 has no name/, [{ at: 0, name: "", get }]],
  [/register A at 0x4: another register has that name/, [{ at: 0, name: "A", get }, {
    at: 4,
    name: "A",
    get,
  }]],
  [/A at 0x0: size is 3, expected 1, 2, 4 or 8/, [{ at: 0, name: "A", size: 3 as 4, get }]],
  [/A at is -4, expected an offset/, [{ at: -4, name: "A", get }]],
  [/A at 0x0: count is 0, expected 1 or more/, [{ at: 0, name: "A", count: 0, get }]],
  [/A at 0x0: stride is 2, expected a multiple of its size 4/, [
    { at: 0, name: "A", count: 2, stride: 2, get },
  ]],
  [/A at 0x2: not aligned to its size 4/, [{ at: 2, name: "A", get }]],
  [/A at 0xfc: ends at 0x104, beyond the region's size 0x100/, [
    { at: 0xfc, name: "A", count: 2, get },
  ]],
  [/A at 0x0: access size 8, expected 1, 2, 4 or 8 up to its size 4/, [
    { at: 0, name: "A", sizes: [8], get },
  ]],
  [/A at 0x0: a part of 1 bytes is set, so it needs get/, [
    { at: 0, name: "A", sizes: [1, 4], set },
  ]],
  [/A at 0x0: has neither get nor set/, [{ at: 0, name: "A" }]],
  [/A at 0x0: has onRead but no get/, [{ at: 0, name: "A", set, onRead: set }]],
  [/registers A and B both answer reads at 0x4: give each a `when`/, [
    { at: 4, name: "A", get, when: () => true },
    { at: 4, name: "B", get },
  ]],
  [/registers A and B both answer writes at 0x6/, [
    { at: 4, name: "A", set },
    { at: 6, name: "B", size: 2, set },
  ]],
];

for (const [message, regs] of WRONG) {
  Deno.test(`device: a wrong declaration throws ${message.source}`, () => {
    assert.throws(() => of(...regs).check(), message);
  });
}

Deno.test("device: its port cannot be used while it is built", () => {
  assert.throws(
    () =>
      device("thing", ABOUT, (_, port) => {
        port.irq(true);
        return { regs: [] };
      }).check(),
    /port.irq was used while the device was built/,
  );
});

Deno.test("device: bad names and sizes are refused", () => {
  assert.throws(() => device("Thing", ABOUT, () => ({ regs: [] })), /device "Thing": expected/);
  assert.throws(() => device("a", { ...ABOUT, size: 0 }, () => ({ regs: [] })), /a: size is 0/);
  assert.throws(() => device("a", { ...ABOUT, doc: "" }, () => ({ regs: [] })), /a: doc is empty/);
});

const banked = device("banked", { ...ABOUT, state: { bank: flag(), value: u16(7) } }, (s) => ({
  regs: [
    { at: 0, name: "LOW", size: 1, when: () => !s.bank, get: () => s.value & 0xff },
    { at: 0, name: "HIGH", size: 1, when: () => s.bank, get: () => s.value >> 8 },
    { at: 0, name: "SEND", size: 1, when: () => !s.bank, set: (v) => s.value = v * 0x101 },
    { at: 1, name: "BANK", size: 1, set: (v) => s.bank = v !== 0 },
  ],
}));

Deno.test("device: banked registers answer in turn, each under its own name", () => {
  const { dev } = new TestMachine(banked);
  dev.write(0, 1, 0x42);
  assert.equal(dev.regs[dev.reg], "SEND");
  assert.equal(dev.read(0, 1), 0x42);
  assert.equal(dev.regs[dev.reg], "LOW");
  dev.write(1, 1, 1);
  assert.equal(dev.read(0, 1), 0x42);
  assert.equal(dev.regs[dev.regAt(0, 1, false)], "HIGH");
  dev.write(0, 1, 0x55);
  assert.equal(dev.regs[dev.reg], "HIGH", "a write there is ignored and named by what can be read");
  assert.equal(dev.read(0, 1), 0x42);
});

const wide = device("wide", { ...ABOUT, state: { v: u64(), a: u32s(4), n: num() } }, (s) => ({
  regs: [
    { at: 0, name: "V", size: 8, sizes: [1, 2, 4, 8], get: () => s.v, set: (v) => s.v = v },
    { at: 8, name: "N", size: 8, sizes: [4, 8], get: () => s.n },
    {
      at: 0x20,
      name: "A",
      count: 4,
      stride: 8,
      sizes: [1, 4],
      get: (i) => s.a[i],
      set: (v, i) => s.a[i] = v,
    },
    { at: 0x80, name: "SETN", set: (v) => s.n = v * 2 ** 20 },
  ],
}));

Deno.test("device: parts of a wide register are read and merged", () => {
  const { dev } = new TestMachine(wide);
  dev.write(0, 8, 0x89abcdef, 0x01234567);
  assert.equal(dev.read(0, 8), 0x89abcdef);
  assert.equal(dev.hi, 0x01234567);
  assert.equal(dev.read(4, 4), 0x01234567);
  assert.equal(dev.hi, 0);
  assert.equal(dev.read(6, 2), 0x0123);
  dev.write(5, 1, 0xff);
  assert.equal(dev.peek(0, 8), 0x0123_ff67_89ab_cdefn);
  dev.write(0x80, 4, 0xffff_ffff);
  assert.equal(dev.peek(8, 8), 0xf_ffff_fff0_0000n);
  assert.equal(dev.peek(12, 4), 0xf_ffffn);
});

Deno.test("device: an array of registers answers by index; gaps and wrong sizes do not", () => {
  const { dev } = new TestMachine(wide);
  dev.write(0x28, 4, 0xaabbccdd);
  dev.write(0x29, 1, 0x11);
  assert.equal(dev.read(0x28, 4), 0xaabb11dd);
  for (const [at, size] of [[0x24, 4], [0x28, 2], [0x28, 8], [0x1000, 4], [0x2a, 4]]) {
    dev.write(at, size, 1);
    assert.equal(dev.reg, -1);
    assert.equal(dev.read(at, size), 0);
    assert.equal(dev.peek(at, size), undefined);
  }
  assert.equal(dev.read(0x28, 4), 0xaabb11dd);
});

const laned = device(
  "laned",
  { ...ABOUT, state: { dsp: u32(), ends: bytes(8), seen: u8() } },
  (s) => ({
    lanes: true,
    regs: [
      { at: 0, name: "A", size: 1, get: () => 0x11, onRead: () => s.seen |= 1 },
      { at: 1, name: "B", size: 1, get: () => 0x22, onRead: () => s.seen |= 2 },
      {
        at: 4,
        name: "DSP",
        sizes: [1, 2, 4],
        get: () => s.dsp,
        set: (v, _, end) => {
          s.dsp = v;
          s.ends.push(end);
        },
      },
      { at: 8, name: "SEEN", size: 1, get: () => s.seen },
    ],
  }),
);

Deno.test("device: with byte lanes a wide access means the registers that lie there", () => {
  const { dev } = new TestMachine(laned);
  assert.equal(dev.peek(0, 2), 0x2211n);
  assert.equal(dev.read(8, 1), 0);
  assert.equal(dev.read(0, 2), 0x2211);
  assert.equal(dev.regs[dev.reg], "A");
  assert.equal(dev.read(8, 1), 3);
  assert.equal(dev.read(0, 4), 0x2211);
  assert.equal(dev.regs[dev.regAt(0, 4, false)], "A");
  assert.equal(dev.read(0, 8), 0);
  assert.equal(dev.peek(0x40, 4), undefined);
});

Deno.test("device: a register is told behind which of its bytes a write ends", () => {
  const { dev } = new TestMachine(laned);
  dev.write(4, 4, 0x8000_1234);
  dev.write(6, 2, 0x9000);
  dev.write(5, 1, 0x55);
  assert.equal(dev.read(4, 4), 0x9000_5534);
  const ends: number[] = [];
  for (const size of [1, 2, 4]) dev.write(4, size, 0), ends.push(size);
  // The FIFO stands behind the layout's hash and the register: length, then the ends.
  assert.deepEqual([...dev.save().subarray(12, 18)], [4, 4, 2, ...ends]);
});

type Same<A, B> = [A, B] extends [B, A] ? true : never;

/** Checked by the compiler: what `s` and `props` are, and that arrays cannot be replaced. */
device("typed", {
  ...ABOUT,
  state: { a: u8(), b: u64(), c: flag(), d: bytes(2), e: list({ x: u8(), y: text(4) }, 3) },
  props: {
    n: prop.u32(1, "A number."),
    f: prop.flag(true, "A flag."),
    t: prop.text("", "A text."),
  },
}, (s, _, props) => {
  const state: Same<
    {
      a: number;
      b: bigint;
      c: boolean;
      readonly d: number[];
      readonly e: { x: number; y: string }[];
    },
    typeof s
  > = true;
  const given: Same<{ readonly n: number; readonly f: boolean; readonly t: string }, typeof props> =
    true;
  const replace = () => {
    // @ts-expect-error arrays are changed in place
    s.d = [];
    // @ts-expect-error there is no such field
    s.z = 1;
  };
  assert.ok(state && given);
  assert.throws(replace, TypeError);
  return { regs: [] };
});

const everything = device("everything", {
  ...ABOUT,
  state: {
    a: u8(1),
    b: u16(2),
    c: u32(3),
    d: u64(4n),
    e: flag(true),
    f: num(5),
    g: bytes(4),
    h: u32s(2),
    t: text(3),
    l: list({ x: u8(), y: u64(), z: bytes(2) }, 2),
    q: records(2, { size: u16(8), ready: flag(), fly: list({ head: u16() }, 2) }),
  },
  props: { limit: prop.u32(10, "A limit."), loud: prop.flag(false, "Is it?") },
}, (s, _, props) => ({
  regs: [{
    at: 0,
    name: "GO",
    get: () => s.a,
    set: (v) => {
      s.a = v;
      s.b = s.c = -1;
      s.d = -1n;
      s.e = false;
      s.f = -(2 ** 52);
      s.g.push(9, 8);
      s.h[1] = 77;
      s.t = "häuser";
      s.l.push({ x: 1, y: 2n, z: [3] });
      s.q[1].size = 0x12345;
      s.q[1].fly.push({ head: 4 });
    },
  }, { at: 4, name: "LIMIT", get: () => props.loud ? props.limit * 2 : props.limit }],
}));

Deno.test("device: state wraps, saves, loads and resets as declared", () => {
  const a = new TestMachine(everything);
  const fresh = a.dev.save();
  a.write(0, 0x1ff);
  assert.equal(a.read(0), 0xff);
  const saved = a.dev.save();
  const b = new TestMachine(everything);
  b.dev.load(saved);
  assert.deepEqual(b.dev.save(), saved);
  assert.equal(b.read(0), 0xff);
  a.reset();
  assert.deepEqual(a.dev.save(), fresh);
});

Deno.test("device: saved bytes of another declaration, cut or longer, are refused", () => {
  const { dev } = new TestMachine(everything);
  const saved = dev.save();
  assert.throws(
    () => dev.load(new TestMachine(wide).dev.save()),
    /everything0: saved by another version/,
  );
  assert.throws(
    () => dev.load(saved.subarray(0, saved.length - 1)),
    /everything0: saved state ends/,
  );
  assert.throws(() => dev.load(new Uint8Array([...saved, 0])), /1 bytes too many/);
});

Deno.test("device: a field that outgrows its declaration is a bug that is told at once", () => {
  const { dev } = new TestMachine(everything);
  dev.write(0, 4, 0);
  dev.write(0, 4, 0);
  assert.throws(() => dev.write(0, 4, 0), /state field g holds 6 entries, declared are 4/);
});

Deno.test("device: properties are typed, parsed and refused with what is known", () => {
  const m = new TestMachine(everything, { props: { limit: "0x10", loud: "on" } });
  assert.equal(m.read(4), 32);
  const wrong = (props: Record<string, string>) => () => new TestMachine(everything, { props });
  assert.throws(
    wrong({ speed: "1" }),
    (e: PlugError) =>
      /everything has no property "speed"/.test(e.message) && e.fix === "it has: limit, loud",
  );
  assert.throws(wrong({ limit: "-1" }), /limit=-1 is no number/);
  assert.throws(wrong({ limit: "" }), /limit= is no number/);
  assert.throws(wrong({ loud: "perhaps" }), /loud=perhaps is no flag/);
  assert.throws(wrong({ constructor: "1" }), /no property/);
});

Deno.test("device: unknown inputs and events are told by name", () => {
  const { dev } = new TestMachine(everything);
  assert.throws(() => dev.input("rx", new Uint8Array()), /has no input "rx"; it has: none/);
  assert.throws(() => dev.event("tick"), /asked for event "tick"; it declares: none/);
});
