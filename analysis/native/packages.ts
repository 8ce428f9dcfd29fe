/**
 * Where native DuckDB's packages come from. They bring 70 MB of machine code, which nobody shall download
 * who does not ask: so they stand neither in the project's imports nor in its lock file, but in a folder
 * of their own in the cache, installed when first asked for, at the versions and with the digests of
 * `duckdb.lock.json` beside this file.
 * @module
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { cacheFolder } from "../cache_folder.ts";
import { AnalysisError } from "../errors.ts";
import type { NodeApi, NodeBindings } from "./node_api.ts";

export const DUCKDB_VERSION = "1.5.5-r.5";
const API = "@duckdb/node-api";
const BINDINGS = "@duckdb/node-bindings";
const MANIFEST = JSON.stringify({
  private: true,
  dependencies: { [API]: DUCKDB_VERSION, [BINDINGS]: DUCKDB_VERSION },
});
const LOCK = new URL("./duckdb.lock.json", import.meta.url);

export interface Packages {
  readonly api: NodeApi;
  readonly bindings: NodeBindings;
}

/** Loads the packages, and installs them before where they are not yet. Rejects with AnalysisError. */
export async function nativePackages(): Promise<Packages> {
  const folder = join(cacheFolder(), `duckdb-${DUCKDB_VERSION}`);
  try {
    if (!installed(folder)) await install(folder);
    const require = createRequire(join(folder, "package.json"));
    return { api: require(API), bindings: require(BINDINGS) };
  } catch (error) {
    throw new AnalysisError(
      `Native DuckDB cannot be loaded: ${(error as Error).message.trim().split("\n")[0]}`,
      "npm brings it when it is first asked for; without a network use --engine wasm.",
    );
  }
}

function installed(folder: string): boolean {
  try {
    return Deno.statSync(join(folder, "node_modules", API)).isDirectory;
  } catch {
    return false;
  }
}

/** Whole or not at all, whoever else does the same at the same time. */
async function install(folder: string): Promise<void> {
  const part = `${folder}.${crypto.randomUUID()}.part`;
  Deno.mkdirSync(part, { recursive: true });
  try {
    Deno.writeTextFileSync(join(part, "package.json"), MANIFEST);
    Deno.writeTextFileSync(join(part, "deno.lock"), Deno.readTextFileSync(LOCK));
    const command = new Deno.Command(Deno.execPath(), {
      args: ["install", "--quiet", "--frozen"],
      cwd: part,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    const { success, stderr } = await command.output();
    // deno-lint-ignore no-control-regex
    const said = new TextDecoder().decode(stderr).replace(/\x1b\[[0-9;]*m/g, "");
    if (!success) throw new Error(said.replace(/^error: /, ""));
    try {
      Deno.renameSync(part, folder);
    } catch (error) {
      if (!installed(folder)) throw error;
    }
  } finally {
    try {
      Deno.removeSync(part, { recursive: true });
    } catch {
      // It has been given its name.
    }
  }
}
