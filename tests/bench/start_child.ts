/** Executes one guest instruction and ends: `start_child.ts [DIRECTORY]`. @module */
import { record } from "../../replay/record.ts";
import { filesOf, ScriptedHost } from "../recorder.ts";
import { benchSpec } from "./runs.ts";

const spec = benchSpec("serial", {});
const directory = Deno.args[0] ?? null;
await record(
  { spec, files: filesOf(spec), directory, force: true, untilIcount: 1 },
  new ScriptedHost(),
);
