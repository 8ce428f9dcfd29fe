/**
 * Values of options: sizes, addresses, counts, patterns, files at an address, devices. Each is
 * parsed once, here, into what the commands use, and says what it expected when it cannot be.
 * @module
 */
import { message, text as plain } from "@optique/core/message";
import type { NonEmptyString } from "@optique/core/nonempty";
import type { Suggestion } from "@optique/core/parser";
import type { ValueParser } from "@optique/core/valueparser";
import type { SerialKind } from "../../core/board/spec.ts";
import { LOG_ITEMS } from "../log_items.ts";
import type { Answer } from "../answers.ts";
import { type Between, parseBetween } from "../../analysis/between.ts";
import { EVENT_TABLES, type EventTable } from "../../core/trace/schema.ts";

const UNIT: Record<string, number> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** "128M" → 134217728; null when it is no size. Units are powers of 1024, as in QEMU. */
export function parseSize(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text);
  if (found === null) return null;
  const bytes = Number(found[1]) * UNIT[found[2].toLowerCase()];
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** 134217728 → "128M": the largest unit that divides it. */
export function formatSize(bytes: number): string {
  const unit = ["t", "g", "m", "k"].find((u) => bytes >= UNIT[u] && bytes % UNIT[u] === 0) ?? "";
  return `${bytes / UNIT[unit]}${unit.toUpperCase()}`;
}

/** "0x80200000" or "4096" → number; null when it is neither. */
export function parseNumber(text: string): number | null {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text)) return null;
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : null;
}

const TIME_UNIT: Record<string, number> = { "": 1, ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** "20us" → 20000 ns; null when it is no time. */
export function parseDuration(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)(ns|us|ms|s)?$/.exec(text);
  if (found === null) return null;
  const ns = Number(found[1]) * TIME_UNIT[found[2] ?? ""];
  return Number.isSafeInteger(ns) ? ns : null;
}

const COUNT_UNIT: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** "2500000", "2.5M" or "2_500_000" → count; units are powers of 1000. */
export function parseCount(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text.replaceAll("_", ""));
  if (found === null) return parseNumber(text);
  const n = Number(found[1]) * COUNT_UNIT[found[2].toLowerCase()];
  return Number.isSafeInteger(n) ? n : null;
}

interface Kind<T> {
  metavar: NonEmptyString;
  /** Completes "expected …". */
  expected: string;
  parse(text: string): T | null;
  format?: (value: T) => string;
  /** What the shell may offer. */
  files?: boolean;
  words?: readonly string[];
}

/** A value parser that names what it expected when it refuses. */
function value<T>(kind: Kind<T> & { placeholder: T }): ValueParser<"sync", T> {
  return {
    mode: "sync",
    metavar: kind.metavar,
    placeholder: kind.placeholder,
    parse(input) {
      const parsed = kind.parse(input);
      return parsed === null
        ? { success: false, error: message`${input}: expected ${plain(kind.expected)}` }
        : { success: true, value: parsed };
    },
    format: kind.format ?? String,
    *suggest(prefix): Iterable<Suggestion> {
      for (const text of kind.words ?? []) {
        if (text.startsWith(prefix)) yield { kind: "literal", text };
      }
      if (kind.files) yield { kind: "file", type: "any", pattern: prefix };
    },
  };
}

const atLeast = (n: number | null, least: number) => n !== null && n >= least ? n : null;

export const size = value<number>({
  metavar: "SIZE",
  expected: "a size such as 64M or 2G",
  parse: (text) => atLeast(parseSize(text), 1),
  format: formatSize,
  placeholder: 1,
});

export const count = value<number>({
  metavar: "N",
  expected: "a count such as 1000000 or 25M",
  parse: (text) => atLeast(parseCount(text), 1),
  placeholder: 1,
});

export const seconds = value<number>({
  metavar: "SECONDS",
  expected: "a number of seconds such as 10 or 0.5",
  parse: (text) => /^\d+(\.\d+)?$/.test(text) && Number(text) > 0 ? Number(text) : null,
  placeholder: 1,
});

/** Past this, one instruction would be an age. */
const MAX_PERIOD_NS = 1_000_000;

export const period = value<number>({
  metavar: "TIME",
  expected: "a time from 1ns to 1ms, such as 10ns",
  parse(text) {
    const ns = atLeast(parseDuration(text), 1);
    return ns !== null && ns <= MAX_PERIOD_NS ? ns : null;
  },
  format: (ns) => `${ns}ns`,
  placeholder: 1,
});

/** An instant in ns since 1970; UTC unless the text says otherwise. */
export function parseInstant(text: string): number | null {
  if (text === "now") return Date.now() * 1e6;
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return null;
  const zoned = /T/.test(text) && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? `${text}Z` : text;
  const ms = Date.parse(zoned);
  return Number.isNaN(ms) || ms < 0 ? null : ms * 1e6;
}

export const instant = value<number>({
  metavar: "WHEN",
  expected: "now, or a date such as 2026-01-31T12:00",
  parse: parseInstant,
  format: (ns) => new Date(ns / 1e6).toISOString().slice(0, 10),
  placeholder: 0,
});

export const regex = value<RegExp>({
  metavar: "REGEX",
  expected: "a regular expression (escape brackets with a backslash)",
  parse(text) {
    try {
      return new RegExp(text);
    } catch {
      return null;
    }
  },
  format: (re) => re.source,
  placeholder: /$^/,
});

const ESCAPED: Record<string, string> = { n: "\n", r: "\r", t: "\t", "\\": "\\" };

/** `login: $=>root\n` → what to wait for, and what to type then; null when it is none. */
export function parseAnswer(text: string): Answer | null {
  const at = text.lastIndexOf("=>");
  if (at < 1) return null;
  const typed = text.slice(at + 2).replace(
    /\\(?:x([0-9a-f]{2})|([nrt\\]))/gi,
    (_, hex, letter) =>
      hex ? String.fromCharCode(parseInt(hex, 16)) : ESCAPED[letter.toLowerCase()],
  );
  try {
    return { after: new RegExp(text.slice(0, at)), type: typed };
  } catch {
    return null;
  }
}

export const answer = value<Answer>({
  metavar: "PATTERN=>TEXT",
  expected: "PATTERN=>TEXT such as 'login: $=>root\\n', PATTERN a regular expression",
  parse: parseAnswer,
  format: (a) => a.after.source,
  placeholder: { after: /$^/, type: "" },
});

export const file = (metavar: NonEmptyString) =>
  value<string>({
    metavar,
    expected: "the name of a file",
    parse: (text) => text === "" ? null : text,
    files: true,
    placeholder: "",
  });

/** A file and the guest-physical address it is placed at. */
export interface LoadArgument {
  path: string;
  addr: number;
}

export const load = value<LoadArgument>({
  metavar: "FILE@ADDR",
  expected: "FILE@ADDR such as data.bin@0x84000000",
  parse(text) {
    const at = text.lastIndexOf("@");
    const addr = at > 0 ? parseNumber(text.slice(at + 1)) : null;
    return addr === null ? null : { path: text.slice(0, at), addr };
  },
  format: (l) => `${l.path}@0x${l.addr.toString(16)}`,
  files: true,
  placeholder: { path: "", addr: 0 },
});

/** A device to plug in: a type that the project knows, or a file that declares one. */
export interface DeviceArgument {
  use: string;
  addr: number | null;
  irq: number | null;
  slot: number | null;
  props: Record<string, string>;
}

/** "increment.ts,addr=0x4010000,irq=64,step=2"; a property without a value is switched on. */
export function parseDevice(text: string): DeviceArgument | null {
  const [use, ...rest] = text.split(",");
  if (use === "" || use.includes("=")) return null;
  const made: DeviceArgument = { use, addr: null, irq: null, slot: null, props: {} };
  for (const part of rest) {
    const [name, ...values] = part.split("=");
    if (name === "") return null;
    const given = values.length === 0 ? "on" : values.join("=");
    if (name !== "addr" && name !== "irq" && name !== "slot") made.props[name] = given;
    else if ((made[name] = parseNumber(given)) === null) return null;
  }
  return made;
}

export const device = value<DeviceArgument>({
  metavar: "TYPE",
  expected: "FILE_OR_TYPE,addr=0x…,irq=N,slot=N,PROPERTY=VALUE…",
  parse: parseDevice,
  format: (d) => d.use,
  files: true,
  placeholder: { use: "", addr: null, irq: null, slot: null, props: {} },
});

/** An image, or none, and what was said about it. */
export interface DriveArgument {
  path: string | null;
  options: Record<string, string>;
}

/** "disk.img,latency=20us"; "size=64M" needs no image. A word without a value is switched on. */
export function parseDrive(text: string): DriveArgument | null {
  const made: DriveArgument = { path: null, options: {} };
  const [first, ...rest] = text.split(",");
  const words = first.includes("=") ? [first, ...rest] : rest;
  if (!first.includes("=")) made.path = first;
  for (const word of words) {
    const [name, ...values] = word.split("=");
    if (name === "") return null;
    const given = values.length === 0 ? "on" : values.join("=");
    if (name === "file" && made.path === null) made.path = given;
    else made.options[name] = given;
  }
  return made.path === "" ? null : made;
}

export const drive = value<DriveArgument>({
  metavar: "FILE",
  expected: "FILE,PROPERTY=VALUE… or size=64M,PROPERTY=VALUE…",
  parse: parseDrive,
  format: (d) => d.path ?? `size=${d.options.size}`,
  files: true,
  placeholder: { path: null, options: {} },
});

/** The console's device and its properties. */
export interface SerialArgument {
  kind: SerialKind;
  props: Record<string, string>;
}

const SERIALS: readonly SerialKind[] = ["sifive", "16550", "virtio"];

export const serial = value<SerialArgument>({
  metavar: "DEVICE",
  expected: `one of ${SERIALS.join(", ")}, with ,PROPERTY=VALUE for its properties`,
  parse(text) {
    const made = parseDevice(text);
    const kind = SERIALS.find((k) => k === made?.use);
    if (
      made === null || kind === undefined || made.addr !== null || made.irq !== null ||
      made.slot !== null
    ) {
      return null;
    }
    return { kind, props: made.props };
  },
  format: (s) => s.kind,
  words: SERIALS,
  placeholder: { kind: "16550", props: {} },
});

/** "exit,access" → the tables to write. */
export const tables = value<EventTable[]>({
  metavar: "LIST",
  expected: `a list, comma between, of ${EVENT_TABLES.join(", ")}`,
  parse(text) {
    const names = text.split(",").map((n) => n.trim());
    const known = names.filter((n): n is EventTable => (EVENT_TABLES as string[]).includes(n));
    return known.length === names.length ? known : null;
  },
  format: (list) => list.join(","),
  placeholder: [],
});

/** Items of `--log`, comma between. */
export const LOG_ITEM_LIST = [...LOG_ITEMS.keys()].join(", ");

/** "exits,irq" → the tables whose rows are logged. */
export const logItems = value<EventTable[]>({
  metavar: "LIST",
  expected: `a list, comma between, of ${LOG_ITEM_LIST}`,
  parse(text) {
    const found = text.split(",").map((item) => LOG_ITEMS.get(item.trim()));
    return found.every((table) => table !== undefined) ? found : null;
  },
  format: (list) => list.join(","),
  words: [...LOG_ITEMS.keys()],
  placeholder: [],
});

/** What a panic begins with; null: nobody looks for one. */
export const panic = value<{ begins: RegExp | null }>({
  metavar: "REGEX|off",
  expected: "off, or a regular expression (escape brackets with a backslash)",
  parse(text) {
    try {
      return { begins: text === "off" ? null : new RegExp(text) };
    } catch {
      return null;
    }
  },
  format: (p) => p.begins?.source ?? "off",
  words: ["off"],
  placeholder: { begins: null },
});

/** Two marks, and what lies between them. */
export const between = value<Between>({
  metavar: "LABEL|FROM..TO",
  expected: "a region's label such as write-16, or two marks such as boot..ready",
  parse: parseBetween,
  format: (b) => b.text,
  placeholder: { from: "", to: "", text: "" },
});

/** What `$name` in a query stands for. */
export interface Parameter {
  name: string;
  value: string;
}

export const parameter = value<Parameter>({
  metavar: "NAME=VALUE",
  expected: "NAME=VALUE such as id=7",
  parse(text) {
    const [, name, given] = /^([a-z_]\w*)=([^]*)$/i.exec(text) ?? [];
    return name === undefined || given === undefined ? null : { name, value: given };
  },
  format: (p) => `${p.name}=${p.value}`,
  placeholder: { name: "", value: "" },
});
