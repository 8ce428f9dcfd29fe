/**
 * The interpreter module of a layout: generated once in a process, or taken from where an earlier process
 * had it kept. A module says in sections of its own what it is for and how its operations are numbered,
 * so that one that was kept is used as a fresh one is.
 *
 * @module
 */
import type { Insn } from "./insn.ts";
import { buildInterpreter, type Operations } from "./interpreter.ts";
import { INSNS } from "./isa/mod.ts";
import type { Layout } from "./layout.ts";

/** Keeps modules from one process to the next, for the same generator only. */
export interface ModuleStore {
  /** The bytes saved under `key`, whole, or null. */
  load(key: string): Uint8Array<ArrayBuffer> | null;
  save(key: string, bytes: Uint8Array<ArrayBuffer>): void;
}

export interface Generated {
  readonly module: WebAssembly.Module;
  readonly operations: ReadonlyMap<Insn, Operations>;
}

const SECTION = { layout: "exitscope.layout", operations: "exitscope.operations" } as const;
const generated = new Map<string, Generated>();

/** The module depends on nothing but the layout: machines alike share it. */
export function moduleFor(l: Layout, store: ModuleStore | null): Generated {
  const key = JSON.stringify(l);
  let g = generated.get(key);
  if (g === undefined) {
    g = kept(key, store) ?? generate(l, key, store);
    generated.set(key, g);
  }
  return g;
}

/** What is kept for a layout: it names the layout, and gives every operation in the order of INSNS. */
export function moduleBytes(l: Layout): Uint8Array<ArrayBuffer> {
  const { module, operations } = buildInterpreter(l);
  module.custom(SECTION.layout, JSON.stringify(l));
  module.custom(SECTION.operations, JSON.stringify(INSNS.map((i) => operations.get(i))));
  return module.bytes();
}

function generate(l: Layout, key: string, store: ModuleStore | null): Generated {
  const bytes = moduleBytes(l);
  store?.save(key, bytes);
  return open(bytes);
}

/** Null for what is not there, is no module, or is another layout's. */
function kept(key: string, store: ModuleStore | null): Generated | null {
  const bytes = store?.load(key) ?? null;
  const g = bytes && opened(bytes);
  if (g === null) return null;
  return section(g.module, SECTION.layout) === key ? g : null;
}

/** Null for bytes that are no module. */
function opened(bytes: Uint8Array<ArrayBuffer>): Generated | null {
  try {
    return open(bytes);
  } catch (e) {
    if (e instanceof WebAssembly.CompileError) return null;
    throw e;
  }
}

function open(bytes: Uint8Array<ArrayBuffer>): Generated {
  const module = new WebAssembly.Module(bytes);
  const numbers: Operations[] = JSON.parse(section(module, SECTION.operations) ?? "[]");
  return { module, operations: new Map(numbers.map((o, i) => [INSNS[i], o])) };
}

function section(module: WebAssembly.Module, name: string): string | null {
  const [found] = WebAssembly.Module.customSections(module, name);
  return found === undefined ? null : new TextDecoder().decode(found);
}
