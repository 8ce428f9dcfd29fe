/**
 * `--drive FILE,…`: its words, and the drive they describe.
 * @module
 */
import type { DriveSpec } from "../../core/board/spec.ts";
import { DEVICES } from "../../core/mmio/devices.ts";
import { SMALL_BYTES } from "../images.ts";
import { sha256Hex } from "../sha256.ts";
import { UserError } from "./errors.ts";
import { nearest } from "./suggest.ts";
import { type DriveArgument, parseDuration, parseNumber, parseSize } from "./values.ts";

const SECTOR = 512;
const DEFAULT_LATENCY_NS = 10_000;
const INTERFACES: readonly DriveSpec["interface"][] = ["virtio", "scsi", "none"];
/** What `if=virtio` attaches a drive to, by its bus. */
const VIRTIO: Readonly<Record<NonNullable<DriveSpec["bus"]>, string>> = {
  mmio: "virtio-blk",
  pci: "virtio-blk-pci",
};
const BUSES = Object.keys(VIRTIO) as (keyof typeof VIRTIO)[];
const FLAGS: Readonly<Record<string, boolean>> = { on: true, off: false };

/** Words of a drive itself; any other is a property of its device. */
const OPTIONS: Readonly<Record<string, string>> = {
  id: "a name",
  if: "virtio, scsi or none",
  size: "bytes of a drive without a file, such as 64M",
  seed: "a number that the contents of a drive without a file follow from",
  bus: "mmio or pci",
  slot: "a virtio-mmio slot, 0 to 7, or one of the PCI bus with bus=pci",
  readonly: "on or off",
  write: "on or off",
  embed: "on or off",
  latency: "a time such as 500ns, 20us or 4ms",
  bandwidth: "bytes per second such as 500M",
  format: "raw",
};

/** The options of one drive, each read once as what it must be. */
class Words {
  constructor(readonly where: string, private readonly options: Record<string, string>) {}

  read<T>(name: string, parse: (text: string) => T | null | undefined, fallback: T): T {
    const text = this.options[name];
    if (text === undefined) return fallback;
    const value = parse(text);
    if (value !== null && value !== undefined) return value;
    throw new UserError(
      `${this.where}: ${name}=${text} makes no sense`,
      `Give ${name}= ${OPTIONS[name]}.`,
    );
  }

  flag(name: string, fallback: boolean): boolean {
    return this.read(name, (text) => FLAGS[text], fallback);
  }
}

/** What stays for the device; throws when neither it nor the drive knows the word. */
function deviceProps(where: string, options: Record<string, string>, type: string | null) {
  const props = Object.fromEntries(Object.entries(options).filter(([name]) => !(name in OPTIONS)));
  const known = [...Object.keys(OPTIONS), ...type === null ? [] : Object.keys(DEVICES[type].props)];
  for (const name of Object.keys(props)) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known);
    throw new UserError(
      `${where}: a drive has no property "${name}"`,
      meant ? `Did you mean ${meant}?` : `It has: ${known.join(", ")}.`,
    );
  }
  return props;
}

/** The image's size, and its digest when it is small. Only its size is read of a large one. */
function imageOf(where: string, path: string, write: boolean) {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write });
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) {
      throw new UserError(
        `${where}: there is no such file`,
        "Check the path, or give size=64M and no file for a blank drive.",
      );
    }
    const fix = write ? "Leave out write=on: the file cannot be written." : "Check the file.";
    throw new UserError(`${where}: ${(e as Error).message}`, fix);
  }
  try {
    const { isFile, size } = file.statSync();
    if (!isFile) throw new UserError(`${where}: is no regular file`, "Copy it into one.");
    if (size === 0 || size % SECTOR !== 0) {
      throw new UserError(
        `${where}: ${size} bytes are no whole number of sectors`,
        `Pad it: truncate -s ${Math.max(SECTOR, Math.ceil(size / SECTOR) * SECTOR)} ${path}.`,
      );
    }
    return { sizeBytes: size, sha256: size > SMALL_BYTES ? null : digestOf(file, size) };
  } finally {
    file.close();
  }
}

function digestOf(file: Deno.FsFile, size: number): string {
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size;) done += file.readSync(bytes.subarray(done)) ?? size;
  return sha256Hex(bytes);
}

function blankOf(where: string, sizeBytes: number) {
  if (sizeBytes > 0 && sizeBytes % SECTOR === 0) return { sizeBytes, sha256: null };
  throw new UserError(
    `${where}: ${sizeBytes === 0 ? "neither a file nor a size" : `size=${sizeBytes}`}`,
    `Name an image, or give a size that is a multiple of ${SECTOR}, such as size=64M.`,
  );
}

/** Describes drive number `index`, and opens its image once to see that it can be used. */
export function driveOf(a: DriveArgument, index: number): DriveSpec {
  const { path, options } = a;
  const where = `--drive ${path ?? "size=…"}`;
  const words = new Words(where, options);
  const target = words.read("if", (t) => INTERFACES.find((i) => i === t), "virtio");
  const bus = words.read("bus", (t) => BUSES.find((b) => b === t), "mmio");
  const props = deviceProps(where, options, target === "virtio" ? VIRTIO[bus] : null);
  words.read("format", (t) => t === "raw" ? t : null, "raw");
  const write = words.flag("write", false);
  const readOnly = words.flag("readonly", false);
  const contradicts = (name: string, why: string, wrong: boolean) => {
    if (wrong) throw new UserError(`${where}: ${name} ${why}`, `Leave out ${name}.`);
  };
  contradicts("slot=", "is for if=virtio", target === "scsi" && "slot" in options);
  contradicts("bus=", "is for if=virtio", target !== "virtio" && "bus" in options);
  contradicts("write=on", "has no file to write to", write && path === null);
  contradicts("write=on", "changes a file that readonly=on protects", write && readOnly);
  contradicts("embed=", "has no file to keep", "embed" in options && path === null);
  contradicts("embed=off", "would lose what write=on changes", write && options.embed === "off");
  contradicts("size=", "is that of the file", "size" in options && path !== null);
  contradicts("seed=", "is for a drive without a file", "seed" in options && path !== null);
  const medium = path === null
    ? blankOf(where, words.read("size", parseSize, 0))
    : imageOf(where, path, write);
  return {
    id: words.read("id", (t) => t === "" ? null : t, `drive${index}`),
    path,
    ...medium,
    seed: words.read<number | null>("seed", parseNumber, null),
    interface: target,
    ...target === "virtio" && bus !== "mmio" ? { bus } : {},
    slot: words.read<number | null>("slot", parseNumber, null),
    readOnly,
    write,
    embed: write || words.flag("embed", false),
    latencyNs: words.read("latency", parseDuration, DEFAULT_LATENCY_NS),
    bandwidth: words.read("bandwidth", parseSize, 0),
    props,
  };
}

/** All drives; an image that is written may be in use only once. */
export function drivesOf(given: readonly DriveArgument[]): DriveSpec[] {
  const drives = given.map(driveOf);
  const real = drives.map((d) => d.path === null ? null : Deno.realPathSync(d.path));
  drives.forEach((d, i) => {
    if (!d.write || real.indexOf(real[i]) === real.lastIndexOf(real[i])) return;
    throw new UserError(
      `--drive ${d.path}: is written by write=on and used twice`,
      "Give each drive a file of its own, or leave out write=on.",
    );
  });
  return drives;
}
