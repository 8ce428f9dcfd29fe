/**
 * The monitor behind Ctrl-A C: looks at the machine and changes nothing in it. Command names are
 * QEMU's where QEMU has them; an abbreviation is enough when only one command begins with it.
 * @module
 */
import type { MachineInfo } from "../info.ts";
import { nearest } from "./suggest.ts";

export type MonitorAction = "stay" | "leave" | "quit";

export interface Answer {
  text: string;
  action: MonitorAction;
}

const hex = (n: number) => `0x${n.toString(16)}`;
const grouped = (n: number) => n.toLocaleString("en-US");

/** Columns padded to their widest cell; numbers to the right. */
export function columns(rows: (string | number)[][]): string {
  const cells = rows.map((row) => row.map((c) => typeof c === "number" ? grouped(c) : c));
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  return cells.map((row, r) =>
    row.map((c, i) => typeof rows[r][i] === "number" ? c.padStart(widths[i]) : c.padEnd(widths[i]))
      .join("  ").trimEnd()
  ).join("\n");
}

function exits(info: MachineInfo): string {
  const found = info.exits().filter((e) => e.count > 0).sort((a, b) => b.count - a.count);
  const total = found.reduce((sum, e) => sum + e.count, 0);
  return columns([...found.map((e) => [e.reason, e.count]), ["total", total]]);
}

function memoryMap(info: MachineInfo): string {
  const regions = info.memoryMap().sort((a, b) => a.addr - b.addr);
  return columns(regions.map((r) => [`${hex(r.addr)}-${hex(r.addr + r.size - 1)}`, r.name]));
}

function devices(info: MachineInfo): string {
  return columns([
    ["device", "type", "address", "irq", "registers"],
    ...info.devices().map((
      d,
    ) => [d.name, d.type, hex(d.addr), d.irq === null ? "-" : String(d.irq), String(d.regs)]),
  ]);
}

const INFO: Record<string, { doc: string; show: (info: MachineInfo, argument: string) => string }> =
  {
    exits: { doc: "exits so far, by reason", show: exits },
    "memory-map": { doc: "what stands at which guest-physical address", show: memoryMap },
    registers: {
      doc: "registers of a hart (info registers 1; without a number, of hart 0)",
      show: (info, hart) => info.registers(Number(hart) || 0),
    },
    devices: { doc: "devices, their addresses and interrupt lines", show: devices },
  };

/** QEMU's names for the same thing. */
const ALIASES: Record<string, string> = { mtree: "memory-map", qtree: "devices" };

const COMMANDS: Record<string, string> = {
  help: "this help",
  info: `show one of ${Object.keys(INFO).join(", ")}`,
  cont: "close the monitor (or Ctrl-A C)",
  quit: "end the recording here, cleanly",
};

export const MONITOR_HELP = columns([
  ...Object.entries(COMMANDS),
  ...Object.entries(INFO).map(([name, i]) => [`info ${name}`, i.doc]),
]);

/** The one name that `word` is or begins; otherwise null. */
function complete(word: string, names: string[]): string | null {
  if (names.includes(word)) return word;
  const found = names.filter((n) => n.startsWith(word));
  return found.length === 1 ? found[0] : null;
}

function unknown(what: string, word: string, names: string[]): Answer {
  const meant = nearest(word, names);
  const fix = meant ? `did you mean ${meant}?` : `try ${names.join(", ")}`;
  return { text: `no ${what} "${word}": ${fix}`, action: "stay" };
}

function info(machine: MachineInfo | null, word: string, argument: string): Answer {
  const names = Object.keys(INFO);
  const name = complete(ALIASES[word] ?? word, names);
  if (word === "" || name === null) return unknown("info", word, names);
  if (machine === null) return { text: "the machine is not built yet", action: "stay" };
  return { text: INFO[name].show(machine, argument), action: "stay" };
}

/** Answers one line. */
export function answer(line: string, machine: MachineInfo | null): Answer {
  const [word, topic = "", argument = ""] = line.trim().split(/\s+/);
  if (word === "") return { text: "", action: "stay" };
  switch (complete(word, Object.keys(COMMANDS))) {
    case "help":
      return { text: MONITOR_HELP, action: "stay" };
    case "info":
      return info(machine, topic, argument);
    case "cont":
      return { text: "", action: "leave" };
    case "quit":
      return { text: "", action: "quit" };
    default:
      return unknown("command", word, Object.keys(COMMANDS));
  }
}

/** The line being typed: what to echo, and the line when it is complete. */
export class LineEditor {
  #line = "";

  /** Backspace, Ctrl-U and Ctrl-C edit; other control characters are dropped. */
  type(byte: number): { echo: string; line: string | null } {
    if (byte === 0x0d || byte === 0x0a) {
      const line = this.#line;
      this.#line = "";
      return { echo: "\n", line };
    }
    const erased = byte === 0x08 || byte === 0x7f
      ? 1
      : byte === 0x15 || byte === 0x03
      ? Infinity
      : 0;
    if (erased > 0) {
      const n = Math.min(erased, this.#line.length);
      this.#line = this.#line.slice(0, this.#line.length - n);
      return { echo: "\b \b".repeat(n), line: null };
    }
    if (byte < 0x20 || byte > 0x7e) return { echo: "", line: null };
    this.#line += String.fromCharCode(byte);
    return { echo: String.fromCharCode(byte), line: null };
  }
}
