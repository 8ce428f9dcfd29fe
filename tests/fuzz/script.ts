/**
 * What a hostile guest does, as a script: QEMU's qtest commands, one a line. Source: QEMU
 * docs/devel/testing/qtest and the comment that opens softmmu/qtest.c, whose reproducers of the generic
 * fuzzer are such scripts (`outl 0xcf8 0x80000810`, `writel 0xe0000000 0x1`, `clock_step`).
 *
 * - `in*` and `out*` are accesses in the PCI I/O window; ports 0xcf8 to 0xcff, by which a PC reaches
 *   configuration space, mean ECAM. Other addresses are those of our board.
 * - `irq_intercept_in`, `irq_intercept_out` and `endianness` change nothing.
 * - Ours are `input DEVICE CHANNEL 0xBYTES`, and `restore`: every device goes on as a new one that was
 *   loaded with what the old one saved.
 * - A comment begins with `#`. `# machine OPTIONS` says what is on the board, `# = 0x1` behind a read
 *   what it must give.
 * @module
 */

/** PCI Local Bus Specification 3.0, §3.2.2.3.2: configuration mechanism #1. */
const CONFIG_ADDRESS = 0xcf8;
const ECAM = 0x3000_0000;
export const PORTS = 0x0300_0000;
const DEFAULT_STEP_NS = 1_000_000;
/** A line of `write`, `memset` or `read` moves at most so many bytes. */
const MAX_BYTES = 1 << 20;

export type Size = 1 | 2 | 4 | 8;

export type Op =
  | { readonly op: "read"; readonly addr: number; readonly size: Size; readonly expect?: bigint }
  | {
    readonly op: "write";
    readonly addr: number;
    readonly size: Size;
    readonly lo: number;
    readonly hi: number;
  }
  /** Memory as if the guest had written it before. */
  | { readonly op: "fill"; readonly addr: number; readonly bytes: Uint8Array }
  | { readonly op: "dump"; readonly addr: number; readonly count: number }
  | { readonly op: "step"; readonly ns: number }
  | {
    readonly op: "input";
    readonly device: string;
    readonly channel: string;
    readonly bytes: Uint8Array;
  }
  | { readonly op: "restore" };

export interface Script {
  /** Words of `# machine`. */
  readonly machine: readonly string[];
  readonly ops: readonly Op[];
}

/** A line that is no command: `line 3: …`. */
export class ScriptError extends Error {
  override name = "ScriptError";
}

const SIZES: Readonly<Record<string, Size>> = { b: 1, w: 2, l: 4, q: 8 };
const LETTER = { 1: "b", 2: "w", 4: "l", 8: "q" } as const;

function bytesOf(text: string): Uint8Array {
  const hex = /^0x((?:[0-9a-f]{2})*)$/i.exec(text)?.[1];
  if (hex === undefined) throw new ScriptError(`${text} is no even number of hexadecimal digits`);
  return Uint8Array.from(
    { length: hex.length / 2 },
    (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

function big(text: string | undefined): bigint {
  if (text === undefined || !/^(0x[0-9a-f]+|\d+)$/i.test(text)) {
    throw new ScriptError(`${text ?? "nothing"} where a number was expected`);
  }
  return BigInt.asUintN(64, BigInt(text));
}

const count = (text: string | undefined): number => {
  const n = big(text);
  if (n > BigInt(MAX_BYTES)) throw new ScriptError(`${text} bytes, at most ${MAX_BYTES}`);
  return Number(n);
};

const write = (addr: number, size: Size, v: bigint): Op => ({
  op: "write",
  addr,
  size,
  lo: Number(v & 0xffff_ffffn),
  hi: Number(v >> 32n),
});

/** Reads a script line by line; throws ScriptError with the line's number. */
export function parseScript(text: string): Script {
  const machine: string[] = [];
  const ops: Op[] = [];
  let configAddress = 0;

  /** Where a port leads, null for the address latch itself. */
  function port(at: number): number | null {
    if (at >= CONFIG_ADDRESS && at < CONFIG_ADDRESS + 4) return null;
    if (at < CONFIG_ADDRESS + 4 || at >= CONFIG_ADDRESS + 8) return PORTS + (at & 0xffff);
    const bus = configAddress >>> 16 & 0xff, slot = configAddress >>> 11 & 31;
    const fn = configAddress >>> 8 & 7;
    return ECAM + (bus << 20 | slot << 15 | fn << 12) + (configAddress & 0xfc) + (at & 3);
  }

  function io(kind: string, size: Size, words: readonly string[], expect?: bigint): Op[] {
    const at = Number(big(words[1]) & 0xffffn);
    const addr = port(at);
    if (kind === "in") return addr === null ? [] : [{ op: "read", addr, size, expect }];
    const v = big(words[2]);
    if (addr === null) {
      configAddress = Number(v & 0xffff_ffffn);
      return [];
    }
    return [write(addr, size, v)];
  }

  function command(words: readonly string[], expect?: bigint): Op[] {
    const [name] = words;
    const sized = /^(read|write|in|out)([bwlq])$/.exec(name);
    if (sized) {
      const size = SIZES[sized[2]];
      if (sized[1] === "in" || sized[1] === "out") return io(sized[1], size, words, expect);
      const addr = Number(big(words[1]));
      if (sized[1] === "read") return [{ op: "read", addr, size, expect }];
      return [write(addr, size, big(words[2]))];
    }
    switch (name) {
      case "write": {
        const bytes = bytesOf(words[3] ?? "");
        if (bytes.length !== count(words[2])) {
          throw new ScriptError(`${words[2]} bytes announced, ${bytes.length} given`);
        }
        return [{ op: "fill", addr: Number(big(words[1])), bytes }];
      }
      case "b64write":
        return [{
          op: "fill",
          addr: Number(big(words[1])),
          bytes: Uint8Array.from(atob(words[3] ?? ""), (c) => c.charCodeAt(0)),
        }];
      case "memset": {
        const bytes = new Uint8Array(count(words[2])).fill(Number(big(words[3]) & 0xffn));
        return [{ op: "fill", addr: Number(big(words[1])), bytes }];
      }
      case "read":
        return [{ op: "dump", addr: Number(big(words[1])), count: count(words[2]) }];
      case "clock_step":
        return [{
          op: "step",
          ns: words[1] === undefined ? DEFAULT_STEP_NS : Number(big(words[1])),
        }];
      case "input":
        return [{
          op: "input",
          device: words[1],
          channel: words[2],
          bytes: bytesOf(words[3] ?? ""),
        }];
      case "restore":
        return [{ op: "restore" }];
      case "irq_intercept_in":
      case "irq_intercept_out":
      case "endianness":
        return [];
      default:
        throw new ScriptError(`${name} is no command that is known here`);
    }
  }

  text.split("\n").forEach((line, i) => {
    const asked = /^#\s*machine\s+(.*)$/.exec(line.trim());
    if (asked) machine.push(...asked[1].trim().split(/\s+/));
    const [said, comment = ""] = line.split("#", 2);
    const words = said.trim().split(/\s+/).filter((w) => w !== "");
    if (words.length === 0) return;
    const told = /^\s*=\s*(\S+)/.exec(comment)?.[1];
    try {
      ops.push(...command(words, told === undefined ? undefined : big(told)));
    } catch (e) {
      throw new ScriptError(`line ${i + 1}: ${(e as Error).message}`);
    }
  });
  return { machine, ops };
}

const hex = (v: number | bigint) => `0x${v.toString(16)}`;
const hexBytes = (bytes: Uint8Array) =>
  `0x${Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("")}`;

/** An operation as a line that `parseScript` reads. */
export function lineOf(o: Op): string {
  switch (o.op) {
    case "read": {
      const told = o.expect === undefined ? "" : ` # = ${hex(o.expect)}`;
      return `read${LETTER[o.size]} ${hex(o.addr)}${told}`;
    }
    case "write": {
      const v = BigInt(o.hi) << 32n | BigInt(o.lo);
      return `write${LETTER[o.size]} ${hex(o.addr)} ${hex(BigInt.asUintN(8 * o.size, v))}`;
    }
    case "fill":
      return `write ${hex(o.addr)} ${hex(o.bytes.length)} ${hexBytes(o.bytes)}`;
    case "dump":
      return `read ${hex(o.addr)} ${hex(o.count)}`;
    case "step":
      return `clock_step ${o.ns}`;
    case "input":
      return `input ${o.device} ${o.channel} ${hexBytes(o.bytes)}`;
    case "restore":
      return "restore";
  }
}

export function textOf({ machine, ops }: Script): string {
  return [`# machine ${machine.join(" ")}`, ...ops.map(lineOf)].join("\n") + "\n";
}
