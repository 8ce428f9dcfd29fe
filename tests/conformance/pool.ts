/**
 * Programs through parallel workers; answers come back in the order of the paths.
 *
 * @module
 */
import type { RunOptions } from "./execute.ts";
import type { Answer, Job } from "./worker.ts";

export async function runAll(
  paths: readonly string[],
  options: RunOptions,
  workers: number,
  each: (done: number) => void = () => {},
): Promise<Answer[]> {
  const answers: Answer[] = [];
  let [next, done] = [0, 0];
  const serve = () => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    return new Promise<void>((resolve, reject) => {
      const give = () => {
        if (next >= paths.length) {
          worker.terminate();
          return resolve();
        }
        worker.postMessage({ path: paths[next++], options } satisfies Job);
      };
      worker.onmessage = (e: MessageEvent<Answer>) => {
        answers.push(e.data);
        each(++done);
        give();
      };
      worker.onerror = (e) => reject(new Error(e.message));
      give();
    });
  };
  await Promise.all(Array.from({ length: Math.min(workers, paths.length) }, serve));
  const order = new Map(paths.map((p, i) => [p, i]));
  return answers.sort((a, b) => order.get(a.path)! - order.get(b.path)!);
}
