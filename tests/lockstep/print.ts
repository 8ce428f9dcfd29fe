/**
 * A reduced stream as a person reads it: where the machines differ, what each hart starts from, the
 * memory that matters, and the instructions in the order of their execution.
 * @module
 */
import { disassemble } from "../../core/cpu/disassemble.ts";
import { ARCH_SLOTS } from "../../core/cpu/state.ts";
import { hex } from "./pair.ts";
import { defaultOf, type Shrunk } from "./shrink.ts";
import { type Act, type HartStart, RAM_BASE, RAM_BYTES, type Stream } from "./stream.ts";

/** More instructions than this are summed up. */
const MAX_LINES = 60;

function startLines(h: HartStart, sbi: boolean): string {
  const values = [
    ...h.x.flatMap((v, i) => i > 0 && v !== 0n ? [`x${i}=${hex(v)}`] : []),
    ...ARCH_SLOTS.flatMap((slot) => {
      const v = h.slots[slot];
      return v === undefined || v === defaultOf(slot, sbi) ? [] : [`${slot}=${hex(v)}`];
    }),
  ];
  return values.join(" ");
}

function actText(a: Act, sbi: boolean): string {
  switch (a.kind) {
    case "irq":
      return `wire ${a.bit} ${a.level ? "up" : "down"}`;
    case "pc":
      return `pc=${hex(a.value)}`;
    case "x":
      return `x${a.index}=${hex(a.value)}`;
    case "deadline":
      return `stimecmp: ${a.ticks} ticks from now`;
    case "dma":
      return `DMA to ${hex(RAM_BASE + a.at)}: ${a.bytes.map((b) => hex(b)).join(" ")}`;
    case "state":
      return `state ${startLines(a.start, sbi)}`;
  }
}

/** Words of memory that are not zero and were not executed. */
function memoryLines(s: Stream, executed: ReadonlySet<number>): string[] {
  const view = new DataView(s.ram.buffer);
  const lines: string[] = [];
  for (let at = 0; at < RAM_BYTES; at += 8) {
    const v = view.getBigUint64(at, true);
    const isCode = [0, 2, 4, 6].some((i) => executed.has(at + i) || executed.has(at + i - 2));
    if (v !== 0n && !isCode) lines.push(`  ${hex(RAM_BASE + at)}: ${hex(v)}`);
  }
  return lines;
}

export function printShrunk({ stream, difference, executed }: Shrunk, repeat: string): string {
  const code = executed.slice(-MAX_LINES).map(({ hart, pc, at, word }) => {
    const bits = (word & 3) === 3 ? word >>> 0 : word & 0xffff;
    const where = at + RAM_BASE === Number(pc) ? "" : ` (at ${hex(at + RAM_BASE)})`;
    return `  hart ${hart} ${hex(pc)}${where}: ${
      bits.toString(16).padStart((word & 3) === 3 ? 8 : 4, "0")
    }  ${disassemble(word, pc)}`;
  });
  const acts = stream.turns.flatMap((t, i) =>
    t.acts.map((a) =>
      `  before turn ${i} (hart ${t.hart}, ${t.counts} instructions): ${actText(a, stream.sbi)}`
    )
  );
  const turning = new Set([difference.hart, ...stream.turns.map((t) => t.hart)]);
  const memory = memoryLines(stream, new Set(executed.map((e) => e.at)));
  return [
    `hart ${difference.hart} differs: ${difference.what}`,
    `${executed.length} instructions${stream.sbi ? ", with the builtin SBI" : ""}${
      stream.mapped ? "" : ", stage 2 empty at first"
    }:`,
    ...code,
    "from (other registers as after reset):",
    ...stream.harts.flatMap((h, i) =>
      turning.has(i) ? [`  hart ${i}: ${startLines(h, stream.sbi)}`] : []
    ),
    ...(acts.length > 0 ? ["with:", ...acts] : []),
    ...(memory.length > 0 ? ["and memory, the rest zero:", ...memory] : []),
    `to repeat: ${repeat}`,
  ].join("\n");
}
