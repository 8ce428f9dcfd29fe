/**
 * Opens trace directories for asking: engine, tables, views, and the manifests beside them.
 * @module
 */
import { TraceReader } from "../core/trace/reader.ts";
import { TABLE_NAMES } from "../core/trace/schema.ts";
import { type Engine, type EngineChoice, openEngine } from "./engine.ts";
import { AnalysisError } from "./errors.ts";
import { load, type TraceSource } from "./load.ts";
import type { Output } from "./output.ts";
import type { Between } from "./between.ts";

/** Loaded traces; `names`, `readers` and the column `run` go together. */
export interface Session {
  readonly engine: Engine;
  readonly names: readonly string[];
  readonly readers: readonly TraceReader[];
  close(): void;
}

export interface OpenOptions {
  /** Only what lies between two marks. */
  between?: Between | null;
  /** An engine started earlier; it is emptied first, and stays the caller's to close. */
  engine?: Promise<Engine>;
  /** Only these views, and no table macros. */
  only?: readonly string[];
  /** Which to start when none was. */
  choice?: EngineChoice;
}

/** Loading is remarked upon when it has taken this long. */
const PATIENCE_MS = 1000;

/** Throws TraceError for what is no readable trace, AnalysisError for what the engine refuses. */
export async function openTraces(
  paths: readonly string[],
  output: Output,
  options: OpenOptions = {},
): Promise<Session> {
  const owned = options.engine === undefined;
  const starting = options.engine ?? openEngine(options.choice ?? "auto", bytesOf(paths));
  // Awaited below; until then a failure is not unhandled.
  starting.catch(() => {});
  let readers: TraceReader[];
  try {
    if (paths.length === 0) {
      throw new AnalysisError("No trace is given.", "Name a trace directory.");
    }
    readers = paths.map((path) => TraceReader.open(path));
  } catch (error) {
    if (owned) starting.then((engine) => engine.close(), () => {});
    throw error;
  }
  const names = runNames(paths);
  const engine = await starting;
  const close = () => owned ? engine.close() : undefined;
  try {
    if (!owned) await engine.reset();
    const total = readers.reduce((sum, reader) => sum + committedBytes(reader), 0);
    const sources = readers.map((reader, i) => sourceOf(reader, names[i]!));
    const progress = announcer(total, output);
    await load(engine, sources, { progress, between: options.between, only: options.only });
  } catch (error) {
    close();
    throw error;
  } finally {
    output.progress(null);
  }
  return { engine, names, readers, close };
}

/** A trace on disk as the loader takes it; only slices in flight are in memory. */
export function sourceOf(reader: TraceReader, name: string): TraceSource {
  return {
    name,
    chunks: (table) => reader.rowCount(table) === 0 ? [] : reader.slices(table),
  };
}

/** Of traces that may not be any: those are told later. */
function bytesOf(paths: readonly string[]): number {
  try {
    return paths.reduce((sum, path) => sum + committedBytes(TraceReader.open(path)), 0);
  } catch {
    return 0;
  }
}

export function committedBytes(reader: TraceReader): number {
  return TABLE_NAMES.reduce((sum, t) => sum + (reader.manifest.tables[t]?.bytes ?? 0), 0);
}

/** Directory names without `.trace`; one that comes again gets a number. */
export function runNames(paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const base = path.replace(/[/\\]+$/, "").split(/[/\\]/).at(-1)!.replace(/\.trace$/, "");
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}#${n}`;
    taken.add(name);
    return name;
  });
}

function announcer(total: number, output: Output): (bytes: number) => void {
  const start = performance.now();
  return (bytes) => {
    if (performance.now() - start < PATIENCE_MS) return;
    const part = Math.floor(100 * bytes / total);
    output.progress(`Loading ${(total / 2 ** 20).toFixed(0)} MiB: ${part} %`);
  };
}
