/**
 * One run in a process of its own: what compiling took and what the process weighs at its end, as JSON.
 * `compiling_child.ts GUEST APPEND compiled|interpreter`.
 * @module
 */
import type { CpuMode, Statistics } from "../../core/cpu/mod.ts";
import { Profile } from "../../replay/profile.ts";
import { record } from "../../replay/record.ts";
import { filesOf, ScriptedHost } from "../recorder.ts";
import { benchSpec } from "./runs.ts";

export interface Compiling {
  readonly compilation: Statistics | null;
  /** Finding regions and emitting them; WebAssembly.Module and Instance are in it. */
  readonly ms: number;
  /** Of that, WebAssembly's part, as far as it happens at once: V8 optimizes later, on other threads. */
  readonly hostMs: number;
  readonly rssBytes: number;
}

/** ms spent in constructing these from now on. */
function timeConstructors(): () => number {
  let ms = 0;
  const timed = <T extends new (...args: never[]) => object>(real: T): T =>
    new Proxy(real, {
      construct(target, args) {
        const start = performance.now();
        try {
          return Reflect.construct(target, args);
        } finally {
          ms += performance.now() - start;
        }
      },
    });
  WebAssembly.Module = timed(WebAssembly.Module);
  WebAssembly.Instance = timed(WebAssembly.Instance);
  return () => ms;
}

async function run(guest: string, append: string, cpu: CpuMode): Promise<Compiling> {
  const spec = benchSpec(guest, { append });
  const profile = new Profile();
  let hostMs = () => 0;
  const host = new ScriptedHost();
  host.out = () => {};
  // Once the machine is built, modules are the compiler's.
  Object.assign(host, { machine: () => hostMs = timeConstructors() });
  const options = { spec, files: filesOf(spec), directory: null, force: true, cpu, profile };
  const { compilation } = await record(options, host);
  const { rss } = Deno.memoryUsage();
  return { compilation, ms: profile.msOf("compile"), hostMs: hostMs(), rssBytes: rss };
}

if (import.meta.main) {
  const [guest, append, cpu] = Deno.args;
  console.log(JSON.stringify(await run(guest, append, cpu as CpuMode)));
}
