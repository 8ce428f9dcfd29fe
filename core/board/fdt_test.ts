import assert from "node:assert/strict";
import { dtc } from "../../tests/needs.ts";
import { cellsOf, decodeFdt, type DtNode, encodeFdt, encodeValue, textsOf } from "./fdt.ts";

const TREE: DtNode = {
  name: "",
  props: { "#address-cells": 2, "#size-cells": 2, compatible: ["a,b", "c"], model: "exitscope" },
  children: [
    { name: "chosen", props: { bootargs: "quiet", odd: Uint8Array.of(1, 2, 3) }, children: [] },
    {
      name: "soc",
      props: { ranges: true, compatible: "simple-bus" },
      children: [{
        name: "serial@10000000",
        props: { reg: [0, 0x1000_0000, 0, 0x100], "clock-frequency": 0xffff_ffff },
        children: [],
      }],
    },
  ],
};

Deno.test("fdt: what is encoded is decoded", () => {
  const back = decodeFdt(encodeFdt(TREE));
  const compare = (a: DtNode, b: DtNode): void => {
    assert.equal(b.name, a.name);
    assert.deepEqual(Object.keys(b.props), Object.keys(a.props));
    for (const [k, v] of Object.entries(a.props)) assert.deepEqual(b.props[k], encodeValue(v));
    assert.equal(b.children.length, a.children.length);
    a.children.forEach((child, i) => compare(child, b.children[i]));
  };
  compare(TREE, back);
  assert.deepEqual(textsOf(back.props.compatible), ["a,b", "c"]);
  assert.deepEqual(cellsOf(back.children[1].children[0].props.reg), [0, 0x1000_0000, 0, 0x100]);
});

Deno.test("fdt: a value that is no u32 cell is refused", () => {
  for (const v of [-1, 2 ** 32, 0.5]) assert.throws(() => encodeValue(v), /is no u32 cell/);
});

Deno.test("fdt: any cut and any flipped byte gives a tree or one clear error", () => {
  const whole = encodeFdt(TREE);
  for (let n = 0; n < whole.length; n++) {
    assert.throws(() => decodeFdt(whole.subarray(0, n)), /^Error: device tree: /);
  }
  for (let at = 0; at < whole.length; at++) {
    for (const bits of [1, 0x80, 0xff]) {
      const bad = whole.slice();
      bad[at] ^= bits;
      try {
        decodeFdt(bad);
      } catch (e) {
        assert.match(String(e), /^Error: device tree: /);
      }
    }
  }
});

dtc().test("fdt: dtc reads the same tree", async () => {
  const run = async (input: Uint8Array, ...args: string[]) => {
    const child = new Deno.Command("dtc", { args, stdin: "piped", stdout: "piped" }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(input);
    await writer.close();
    return (await child.output()).stdout;
  };
  const source = await run(encodeFdt(TREE), "-q", "-I", "dtb", "-O", "dts");
  const text = new TextDecoder().decode(source);
  assert.match(text, /compatible = "a,b(", "|\\0)c";/);
  assert.match(text, /serial@10000000 \{\s+reg = <0x00 0x10000000 0x00 0x100>;/);
  assert.match(text, /ranges;/);
  assert.match(text, /odd = \[01 02 03\];/);
  const again = await run(source, "-q", "-I", "dts", "-O", "dtb");
  assert.deepEqual(decodeFdt(again), decodeFdt(encodeFdt(TREE)));
});
