/**
 * Loaded before the program (`--preload`): says how long the process has taken, from its parent's START_MS
 * on, when it is about to execute its first guest instruction, and how much of it the processor worked.
 * @module
 */
const Instance = WebAssembly.Instance;
let said = false;

/** Of all threads, from Linux's accounts (ns first), as `node:process` takes long to load; null elsewhere. */
function cpuMs(): number | null {
  if (Deno.build.os !== "linux") return null;
  const tasks = "/proc/self/task";
  const accounts = [...Deno.readDirSync(tasks)].map(({ name }) =>
    Deno.readTextFileSync(`${tasks}/${name}/schedstat`)
  );
  return accounts.reduce((sum, text) => sum + Number(text.split(" ")[0]), 0) / 1e6;
}

function say(): void {
  const ms = performance.timeOrigin + performance.now() - Number(Deno.env.get("START_MS"));
  const figures = { ms, cpuMs: cpuMs() };
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

export {};
