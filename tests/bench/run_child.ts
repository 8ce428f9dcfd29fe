/** One timed run in a process of its own: `run_child.ts SPEC [DIRECTORY]`, figures as JSON. @module */
import { timed } from "./runs.ts";

const [spec, directory = null] = Deno.args;
const { ms, threadMs, result } = await timed(JSON.parse(spec), directory);
const { exits, rows, icount } = result;
console.log(JSON.stringify({ ms, threadMs, exits, rows, icount }));
