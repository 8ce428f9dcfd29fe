/**
 * A SCRIPTS assembler for tests, in the notation of the LSI53C895A Technical Manual, chapter 5, as far
 * as tests need it. One instruction a line; `label:` before it; numbers in any base; `;` begins a remark.
 *
 *     MOVE 6, cdb, WHEN CMD          CHMOV FROM 8, WHEN DATA_IN      MOVE 4, PTR at, WHEN DATA_OUT
 *     SELECT ATN 0, failed           SELECT ATN FROM 0, failed       WAIT DISCONNECT | WAIT RESELECT to
 *     SET ATN AND CARRY              CLEAR ACK                       JUMP to, WHEN NOT MSG_IN
 *     INT 7, IF 0x80 AND MASK 0x7f   CALL REL(to), IF CARRY          INTFLY | RETURN
 *     MOVE SCNTL2 & 0x7f TO SCNTL2   MOVE SSID & 15 TO SFBR          MOVE SFBR + 0 TO DSA1
 *     MOVE MEMORY 4, from, to        LOAD SCRATCHA, 4, addr          STORE DSA, 4, DSA(12)
 * @module
 */
import { type RegisterName, REGISTERS, SCRATCH } from "./registers.ts";

const PHASES: Readonly<Record<string, number>> = {
  DATA_OUT: 0,
  DATA_IN: 1,
  CMD: 2,
  STATUS: 3,
  MSG_OUT: 6,
  MSG_IN: 7,
};
const OPERATORS = ["=", "<<", "|", "^", "&", ">>", "+", "+c"];
const SIGNALS: Readonly<Record<string, number>> = {
  ATN: 1 << 3,
  ACK: 1 << 6,
  TARGET: 1 << 9,
  CARRY: 1 << 10,
};
const JUMPS: Readonly<Record<string, number>> = {
  JUMP: 0x8000_0000,
  CALL: 0x8800_0000,
  RETURN: 0x9000_0000,
  INT: 0x9800_0000,
  INTFLY: 0x9810_0000,
};

/** Offset of a register, or of one of its bytes: DSA, DSA2. */
export function registerAt(name: string): number {
  const whole = REGISTERS[name as RegisterName];
  if (whole !== undefined) return whole.at;
  const scratch = /^SCRATCH([C-R])([0-3])?$/.exec(name);
  if (scratch) {
    return SCRATCH.at + 4 * (scratch[1].charCodeAt(0) - SCRATCH.first.charCodeAt(0)) +
      Number(scratch[2] ?? 0);
  }
  const part = /^(\w+?)([0-3])$/.exec(name);
  const found = part && REGISTERS[part[1] as RegisterName];
  if (!found) throw new Error(`no register ${name}`);
  return found.at + Number(part[2]);
}

export interface Program {
  readonly words: readonly number[];
  /** Addresses of labels. */
  readonly at: Readonly<Record<string, number>>;
  readonly bytes: Uint8Array;
}

type Value = (text: string) => number;

/** Condition of a transfer control instruction, as bits of its first word. */
function condition(text: string, value: Value): number {
  const m = /^(WHEN|IF) (NOT )?(.+)$/.exec(text);
  if (m === null) throw new Error(`no condition: ${text}`);
  let word = (m[1] === "WHEN" ? 1 << 16 : 0) | (m[2] ? 0 : 1 << 19);
  for (const term of m[3].split(/ AND (?!MASK)/)) {
    const data = /^(\S+) AND MASK (\S+)$/.exec(term);
    if (term === "CARRY") word |= 1 << 21;
    else if (term in PHASES) word |= 1 << 17 | PHASES[term] << 24;
    else if (data) word |= 1 << 18 | value(data[2]) << 8 | value(data[1]);
    else word |= 1 << 18 | value(term);
  }
  return word;
}

function transfer(op: string, rest: string[], value: Value, next: number): number[] {
  const to = op === "RETURN" || op === "INTFLY" ? "0" : rest.shift()!;
  const when = rest.length > 0 ? condition(rest.join(", "), value) : 1 << 19;
  const relative = /^REL\((\w+)\)$/.exec(to);
  if (relative) return [JUMPS[op] | when | 1 << 23, value(relative[1]) - next & 0xff_ffff];
  return [JUMPS[op] | when, value(to)];
}

function blockMove(op: string, args: string[], value: Value): number[] {
  const unchained = op === "MOVE" ? 1 << 27 : 0;
  const phase = PHASES[args.at(-1)!.replace("WHEN ", "")] << 24;
  if (args.length === 2) {
    return [unchained | 1 << 28 | phase, value(args[0].replace("FROM ", "")) & 0xff_ffff];
  }
  const indirect = args[1].startsWith("PTR ") ? 1 << 29 : 0;
  return [unchained | indirect | phase | value(args[0]), value(args[1].replace("PTR ", ""))];
}

function modify(text: string, value: Value): number[] {
  const m = /^(\w+) (\S+) (\S+) TO (\w+)$/.exec(text);
  if (m === null) throw new Error(`no instruction: MOVE ${text}`);
  const [, from, operator, data, to] = m;
  const reg = registerAt(from === "SFBR" ? to : from);
  const opcode = from === to ? 7 : from === "SFBR" ? 5 : 6;
  if (from !== to && from !== "SFBR" && to !== "SFBR") throw new Error(`two registers: ${text}`);
  const second = data === "SFBR" ? 1 << 23 : (value(data) & 0xff) << 8;
  const at = (reg & 0x7f) << 16 | reg & 0x80;
  return [0x4000_0000 | opcode << 27 | OPERATORS.indexOf(operator) << 24 | at | second, 0];
}

function loadStore(op: string, [reg, bytes, where]: string[], value: Value): number[] {
  const relative = /^DSA\((.+)\)$/.exec(where);
  const word = 0xe000_0000 | (op === "LOAD" ? 1 << 24 : 0) | registerAt(reg) << 16 | value(bytes);
  return relative ? [word | 1 << 28, value(relative[1]) & 0xff_ffff] : [word, value(where)];
}

function select(args: string[], value: Value): number[] {
  const atn = args[0].startsWith("ATN ") ? 1 << 24 : 0;
  const where = args[0].replace("ATN ", "");
  const table = where.startsWith("FROM ");
  const id = value(where.replace("FROM ", ""));
  const who = table ? 1 << 25 | id & 0xff_ffff : id << 16;
  return [0x4000_0000 | atn | who, value(args[1])];
}

function encode(line: string, value: Value, next: number): number[] {
  const [, op, text] = /^(\S+) ?(.*)$/.exec(line)!;
  const args = text === "" ? [] : text.split(/, */);
  if (op in JUMPS) return transfer(op, args, value, next);
  const signals = () => text.split(" AND ").reduce((bits, s) => bits | SIGNALS[s], 0);
  switch (op) {
    case "SELECT":
      return select(args, value);
    case "WAIT":
      return args[0] === "DISCONNECT"
        ? [0x4800_0000, 0]
        : [0x5000_0000, value(text.replace("RESELECT ", ""))];
    case "SET":
      return [0x5800_0000 | signals(), 0];
    case "CLEAR":
      return [0x6000_0000 | signals(), 0];
    case "LOAD":
    case "STORE":
      return loadStore(op, args, value);
    case "CHMOV":
      return blockMove(op, args, value);
    case "MOVE":
      if (args.at(-1)!.startsWith("WHEN ")) return blockMove(op, args, value);
      if (!text.startsWith("MEMORY ")) return modify(text, value);
      return [
        0xc000_0000 | value(args[0].replace("MEMORY ", "")),
        value(args[1]),
        value(args[2]),
      ];
  }
  throw new Error(`no instruction: ${line}`);
}

/** Assembles for the address `base`; `symbols` name other addresses. */
export function assemble(
  base: number,
  text: string,
  symbols: Readonly<Record<string, number>> = {},
): Program {
  const lines = text.split("\n").map((l) => l.replace(/;.*/, "").trim()).filter((l) => l !== "");
  const at: Record<string, number> = {};
  const value = (t: string): number => {
    const v = at[t] ?? symbols[t] ?? Number(t);
    if (Number.isNaN(v)) throw new Error(`no value: ${t}`);
    return v;
  };
  const placed: { line: string; addr: number }[] = [];
  let addr = base;
  for (const line of lines) {
    const label = /^(\w+):\s*(.*)$/.exec(line);
    if (label) at[label[1]] = addr;
    const rest = label ? label[2] : line;
    if (rest === "") continue;
    placed.push({ line: rest, addr });
    addr += rest.startsWith("MOVE MEMORY") ? 12 : 8;
  }
  const words = placed.flatMap(({ line, addr }) =>
    encode(line, value, addr + 8).map((w) => w >>> 0)
  );
  return { words, at, bytes: new Uint8Array(Uint32Array.from(words).buffer) };
}
