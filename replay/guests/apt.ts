/**
 * Debian packages of another architecture and release, fetched with apt's own tools through the archive
 * that this machine's apt is configured with. Source: apt-get(8), apt.conf(5), sources.list(5).
 *
 * Nothing of the machine's own apt is touched: lists, cache and status are private to one fetch. What it
 * is configured with stays in force: proxies, credentials, trusted keys.
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "../files.ts";
import type { Package } from "./linux.ts";

/** Tools of apt and dpkg that a fetch runs. */
export const TOOLS = ["apt-get", "apt-cache", "dpkg-deb"] as const;

/** Debian's releases by name and by role: whichever of them a machine's apt reads, its archive has all. */
const DEBIAN = new Set(
  ["bullseye", "bookworm", "trixie", "forky", "duke", "sid", "experimental"]
    .concat("oldoldstable", "oldstable", "stable", "testing", "unstable"),
);
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Fields of an index target that tell Debian's archive. */
const TARGET = "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(ORIGIN)";

export interface Wanted {
  readonly suite: string;
  readonly architecture: string;
}

interface Output {
  readonly ok: boolean;
  readonly out: string;
  readonly err: string;
}

/** What the tools see of the environment beside this process's own. */
export type ToolEnv = Readonly<Record<string, string>>;

async function run(
  tool: string,
  args: readonly string[],
  env: ToolEnv,
  cwd?: string,
): Promise<Output> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(tool, {
      args: [...args],
      cwd,
      env: { ...env, LC_ALL: "C" },
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { ok: success, out: text(stdout), err: text(stderr) };
  } catch (e) {
    if (!(e instanceof Deno.errors.NotFound)) throw e;
    throw new InputError(`there is no ${tool} on this machine`, "");
  }
}

/** Archives that `targets`, lines of `TARGET`, name as Debian's, each once. */
export function debianArchives(targets: string): string[] {
  const found = targets.split("\n").map((line) => line.split("\t"))
    .filter(([, release, component, origin]) =>
      component === "main" && (origin === "Debian" || DEBIAN.has(release)) && !/[-/]/.test(release)
    );
  return [...new Set(found.map(([uri]) => uri))];
}

/** Configuration of a private apt below `root`; read after the machine's own. */
function configuration(root: string, w: Wanted): string {
  return `Dir::State "${root}/state";
Dir::State::Lists "${root}/lists";
Dir::State::Status "${root}/status";
Dir::Cache "${root}/cache";
Dir::Log "${root}/log";
Dir::Etc::SourceList "${root}/sources.list";
Dir::Etc::SourceParts "${root}/none";
Dir::Etc::Preferences "${root}/none/preferences";
Dir::Etc::PreferencesParts "${root}/none";
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "${w.architecture}";
APT::Architectures { "${w.architecture}"; };
APT::Update::Error-Mode "any";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
`;
}

/** What apt complains of, in one line. */
function complaint({ err }: Output): string {
  const lines = err.split("\n").filter((line) => /^[EW]: /.test(line)).map((l) =>
    l.slice(3).trim()
  );
  return lines.at(-1) ?? "it does not say why";
}

/** A private apt that knows the packages of one release and architecture. */
export class Apt {
  private constructor(readonly root: string, private readonly env: ToolEnv) {}

  /** Reads the archive's index into `root`. Throws InputError, without a fix, when it cannot. */
  static async open(root: string, w: Wanted, env: ToolEnv): Promise<Apt> {
    const asked = ["indextargets", "--format", TARGET, "Created-By: Packages"];
    const targets = await run("apt-get", asked, env);
    const archives = debianArchives(targets.out);
    if (archives.length === 0) {
      throw new InputError("apt is not configured with an archive of Debian", "");
    }
    for (const folder of ["state", "lists/partial", "cache/archives/partial", "log", "none"]) {
      Deno.mkdirSync(join(root, folder), { recursive: true });
    }
    Deno.writeTextFileSync(join(root, "status"), "");
    Deno.writeTextFileSync(join(root, "apt.conf"), configuration(root, w));
    const apt = new Apt(root, env);
    let why = "";
    for (const uri of archives) {
      const signed = existsSync(KEYRING)
        ? `[target=Packages signed-by=${KEYRING}]`
        : "[target=Packages]";
      Deno.writeTextFileSync(join(root, "sources.list"), `deb ${signed} ${uri} ${w.suite} main\n`);
      const updated = await apt.#run("apt-get", ["-q", "update"]);
      if (updated.ok) return apt;
      why = complaint(updated);
    }
    throw new InputError(`apt cannot read the packages of ${w.suite}: ${why}`, "");
  }

  #run(tool: string, args: readonly string[], cwd?: string): Promise<Output> {
    return run(tool, ["-c", join(this.root, "apt.conf"), ...args], this.env, cwd);
  }

  /** Fields of the index's entry for a package. */
  async show(name: string): Promise<ReadonlyMap<string, string>> {
    const { ok, out } = await this.#run("apt-cache", ["show", "--no-all-versions", name]);
    const fields = out.split("\n\n")[0].split("\n").filter((line) => /^[\w-]+: /.test(line));
    if (!ok || fields.length === 0) throw new InputError(`the archive has no package ${name}`, "");
    return new Map(fields.map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 2)]));
  }

  async package(name: string): Promise<Package> {
    const fields = await this.show(name);
    return {
      name,
      version: fields.get("Version")!,
      sha256: fields.get("SHA256")!,
      bytes: Number(fields.get("Size")),
    };
  }

  /** Downloads into `folder`, which is empty; apt holds each file to the index's digest. */
  async download(packages: readonly Package[], folder: string): Promise<void> {
    const names = packages.map((p) => `${p.name}=${p.version}`);
    const done = await this.#run("apt-get", ["-q", "download", ...names], folder);
    if (!done.ok) {
      throw new InputError(`apt cannot fetch ${names.join(", ")}: ${complaint(done)}`, "");
    }
  }
}

/** Unpacks every package of `folder` into `into`. */
export async function unpack(folder: string, into: string, env: ToolEnv): Promise<void> {
  for (const entry of Deno.readDirSync(folder)) {
    if (!entry.name.endsWith(".deb")) continue;
    const done = await run("dpkg-deb", ["--extract", join(folder, entry.name), into], env);
    if (!done.ok) {
      throw new InputError(`dpkg-deb cannot unpack ${entry.name}: ${done.err.trim()}`, "");
    }
  }
}
