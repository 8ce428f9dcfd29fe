/**
 * Where the guest `linux` comes from: Debian's kernel and busybox, fetched once into the cache.
 *
 * A fetch works in a folder of its own, which takes its name only when all is in it: a fetch that was
 * killed leaves nothing that looks like a guest.
 * @module
 */
import { join, relative } from "node:path";
import { InputError } from "../files.ts";
import { Apt, type ToolEnv, unpack } from "./apt.ts";
import { CACHED, cacheFolder } from "./cache.ts";
import { findLinux, type LinuxFiles, type Package, WANTED } from "./linux.ts";

const RELEASE = { suite: "trixie", architecture: "riscv64" } as const;
/** Depends on the kernel of the release's latest point release. */
const KERNEL = "linux-image-riscv64";
const BUSYBOX = "busybox-static";
const PACKAGES = "packages.json";
const FETCHING = ".fetch-";
/** Age from which a fetch that another process left half done is no longer under way, in ms. */
const ABANDONED_MS = 24 * 3600 * 1000;
const POLL_MS = 200;

/** The guest's files and the packages that they come from. */
export interface Debian {
  readonly files: LinuxFiles;
  readonly packages: readonly Package[];
}

/** Told how a fetch goes. */
export interface FetchView {
  /** What is being done now. */
  say(sentence: string): void;
  /** Bytes of the download that are there. */
  fetched(bytes: number, ofBytes: number): void;
}

export const linuxFolder = () => join(cacheFolder(), "linux");

/** A path below the cache as manifests name it. */
export const cachedName = (path: string) => `${CACHED}${relative(cacheFolder(), path)}`;

function entries(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}

/** The guest fetched last; null when none is there. */
export function cachedDebian(folder = linuxFolder()): Debian | null {
  const found = entries(folder)
    .filter((e) => e.isDirectory && !e.name.startsWith(FETCHING))
    .map((e) => join(folder, e.name, PACKAGES))
    .flatMap((path) => {
      try {
        return [{ path, at: Deno.statSync(path).mtime?.getTime() ?? 0 }];
      } catch {
        return [];
      }
    }).sort((a, b) => b.at - a.at);
  if (found.length === 0) return null;
  const packages = JSON.parse(Deno.readTextFileSync(found[0].path)) as Package[];
  return { files: findLinux(join(found[0].path, "..")), packages };
}

function bytesIn(folder: string): number {
  return entries(folder).reduce((sum, e) => {
    try {
      return sum + Deno.statSync(join(folder, e.name)).size;
    } catch {
      return sum;
    }
  }, 0);
}

function removeAbandoned(folder: string): void {
  for (const e of entries(folder).filter((e) => e.name.startsWith(FETCHING))) {
    const path = join(folder, e.name);
    const begun = Deno.statSync(path).mtime?.getTime() ?? 0;
    if (Date.now() - begun > ABANDONED_MS) Deno.removeSync(path, { recursive: true });
  }
}

async function choose(apt: Apt): Promise<Package[]> {
  const depends = (await apt.show(KERNEL)).get("Depends") ?? "";
  const kernel = /linux-image-[^ ,(]+/.exec(depends)?.[0];
  if (kernel === undefined) throw new InputError(`${KERNEL} depends on no kernel`, "");
  return [await apt.package(kernel), await apt.package(BUSYBOX)];
}

async function download(apt: Apt, packages: readonly Package[], into: string, view: FetchView) {
  const total = packages.reduce((sum, p) => sum + p.bytes, 0);
  const timer = setInterval(() => view.fetched(Math.min(bytesIn(into), total), total), POLL_MS);
  try {
    await apt.download(packages, into);
    view.fetched(total, total);
  } finally {
    clearInterval(timer);
  }
}

/** Fetches into a folder below `staging`; returns its path, and the name that it shall have. */
async function fetchInto(
  staging: string,
  view: FetchView,
  env: ToolEnv,
): Promise<{ root: string; name: string }> {
  view.say(`reading what Debian's ${RELEASE.suite} has for ${RELEASE.architecture}, by apt`);
  const apt = await Apt.open(join(staging, "apt"), RELEASE, env);
  const packages = await choose(apt);
  const list = packages.map((p) => `${p.name} ${p.version}`).join(", ");
  view.say(`fetching ${list}`);
  const [debs, root] = [join(staging, "debs"), join(staging, "root")];
  Deno.mkdirSync(debs);
  Deno.mkdirSync(root);
  await download(apt, packages, debs, view);
  view.say("unpacking");
  await unpack(debs, root, env);
  findLinux(root);
  // Manuals and changelogs: nothing that a guest is made of.
  if (entries(join(root, "usr/share")).length > 0) {
    Deno.removeSync(join(root, "usr/share"), { recursive: true });
  }
  Deno.writeTextFileSync(join(root, PACKAGES), `${JSON.stringify(packages, null, 2)}\n`);
  const versions = packages.map((p) => p.version.replace(/[^\w.+~-]/g, "_"));
  return { root, name: versions.join("_") };
}

/** Gives what was fetched its name. */
function keep(root: string, path: string): void {
  try {
    Deno.renameSync(root, path);
  } catch (e) {
    // Another process was faster: its copy is as good.
    if (entries(path).length === 0) throw e;
  }
}

/**
 * Fetches the guest into the cache; where another process does so already, waits for that one's. Throws
 * InputError that says what to put where instead.
 */
export async function fetchDebian(
  view: FetchView,
  folder = linuxFolder(),
  env: ToolEnv = {},
): Promise<Debian> {
  Deno.mkdirSync(folder, { recursive: true });
  using lock = Deno.openSync(folder);
  const before = cachedDebian(folder);
  await lock.lock(true);
  const now = cachedDebian(folder);
  if (before === null && now !== null) return now;
  removeAbandoned(folder);
  const staging = Deno.makeTempDirSync({ dir: folder, prefix: FETCHING });
  try {
    const { root, name } = await fetchInto(staging, view, env);
    keep(root, join(folder, name));
  } catch (e) {
    if (!(e instanceof InputError) || e.fix !== "") throw e;
    throw new InputError(
      `cannot fetch the guest linux: ${e.message}`,
      `name a folder with --guest-dir DIR and put there ${WANTED}`,
    );
  } finally {
    Deno.removeSync(staging, { recursive: true });
  }
  return cachedDebian(folder)!;
}
