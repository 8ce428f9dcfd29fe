/**
 * Loaded before the program (`--preload`): says how long the process has taken, from its parent's START_MS
 * on, when it is about to execute its first guest instruction, and how much of it the processor worked.
 * @module
 */
import process from "node:process";

const Instance = WebAssembly.Instance;
let said = false;

function say(): void {
  const { user, system } = process.cpuUsage();
  const ms = performance.timeOrigin + performance.now() - Number(Deno.env.get("START_MS"));
  const figures = { ms, cpuMs: (user + system) / 1000 };
  Deno.writeTextFileSync(Deno.env.get("FIGURES_FILE")!, JSON.stringify(figures));
}

WebAssembly.Instance = new Proxy(Instance, {
  construct(target, args) {
    const instance: WebAssembly.Instance = Reflect.construct(target, args);
    const run = instance.exports.run;
    if (said || typeof run !== "function") return instance;
    const first = (...counts: number[]) => {
      if (!said) say();
      said = true;
      return run(...counts);
    };
    return { exports: { ...instance.exports, run: first } };
  },
});
