/**
 * Keeps the interpreters that the CPU generates in the cache folder, so that the next process need not.
 *
 * A file's name holds a digest of the sources that generate it and of the versions that run them: another
 * version of anything finds nothing. Whatever is wrong with the folder or a file, the module is generated
 * as if there were none.
 * @module
 */
import type { ModuleStore } from "../core/cpu/mod.ts";
import { cacheFolder, writeWhole } from "./guests/cache.ts";

const SOURCES = new URL("../core/cpu/", import.meta.url);
const FOLDER = "modules";
/** Files that stay: each combination of memory and harts has one. */
const MOST = 16;
const TRAILER_BYTES = 8;
const DIGEST_DIGITS = 24;

/** What generates modules, as text; null where it does not lie in files. */
function sources(folder: URL): string | null {
  if (folder.protocol !== "file:") return null;
  const texts: string[] = [];
  for (const entry of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    const inside = new URL(entry.name + (entry.isDirectory ? "/" : ""), folder);
    if (entry.isDirectory) texts.push(sources(inside) ?? "");
    else if (/(?<!_test)\.ts$/.test(entry.name)) texts.push(Deno.readTextFileSync(inside));
  }
  return texts.join("\0");
}

/** Tells files that are not what was written; two lanes of a multiplicative hash over words. */
function checksum(bytes: Uint8Array): [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [a, b] = [bytes.length, 0x9e3779b1];
  const words = bytes.length & ~3;
  for (let at = 0; at < words; at += 4) {
    const word = view.getUint32(at, true);
    a = Math.imul(a ^ word, 0x85ebca6b);
    a ^= a >>> 15;
    b = Math.imul(b, 0x01000193) ^ a ^ word;
  }
  for (let at = words; at < bytes.length; at++) a = Math.imul(a ^ bytes[at], 0x01000193);
  return [a >>> 0, b >>> 0];
}

/** FNV-1a. Layouts that share a name are told apart by what the module says of itself. */
function nameOf(key: string): string {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return (h >>> 0).toString(16).padStart(8, "0");
}

function withTrailer(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + TRAILER_BYTES);
  out.set(bytes);
  const view = new DataView(out.buffer, bytes.length);
  checksum(bytes).forEach((sum, i) => view.setUint32(i * 4, sum, true));
  return out;
}

function withoutTrailer(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  if (file.length < TRAILER_BYTES) return null;
  const bytes = file.subarray(0, file.length - TRAILER_BYTES);
  const view = new DataView(file.buffer, file.byteOffset + bytes.length);
  return checksum(bytes).every((sum, i) => view.getUint32(i * 4, true) === sum) ? bytes : null;
}

/** Of what was written longest ago, as much goes as is too much. */
function forget(folder: string): void {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
  if (files.length <= MOST) return;
  const age = new Map(files.map((f) => [f, Deno.statSync(f).mtime?.getTime() ?? 0]));
  files.sort((a, b) => age.get(b)! - age.get(a)!);
  for (const file of files.slice(MOST)) Deno.removeSync(file);
}

/** What `act` gives, null where the file system does not. */
function attempt<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}

/** Null where the sources cannot be read, and so nothing tells one version from another. */
export async function openModuleCache(
  folder = `${cacheFolder()}/${FOLDER}`,
): Promise<ModuleStore | null> {
  const text = attempt(() => sources(SOURCES));
  if (text === null) return null;
  const versions = JSON.stringify(Deno.version);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(versions + text));
  const version = new Uint8Array(digest).toHex().slice(0, DIGEST_DIGITS);
  const path = (key: string) => `${folder}/${version}-${nameOf(key)}`;
  return {
    load: (key) => attempt(() => withoutTrailer(Deno.readFileSync(path(key)))),
    save: (key, bytes) =>
      void attempt(() => {
        writeWhole(path(key), withTrailer(bytes));
        forget(folder);
      }),
  };
}
