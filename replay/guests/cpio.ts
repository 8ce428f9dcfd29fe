/**
 * Archives in the form `newc`, which Linux unpacks as its initial RAM file system. Source: Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 *
 * The same entries give the same bytes: sorted by name, inode numbers by position, time 0, owner root.
 * @module
 */

export type CpioEntry =
  & {
    /** Without a leading slash: `dev/console`. */
    readonly name: string;
  }
  & (
    | { readonly kind: "directory" }
    | { readonly kind: "file"; readonly bytes: Uint8Array; readonly executable?: boolean }
    | { readonly kind: "link"; readonly to: string }
    | { readonly kind: "character"; readonly major: number; readonly minor: number }
  );

const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const ALIGN = 4;
/** Multiple of what block devices and QEMU's loader like: the archive's whole length. */
const BLOCK = 512;
const MODE = {
  directory: 0o040755,
  file: 0o100644,
  executable: 0o100755,
  link: 0o120777,
  character: 0o020600,
} as const;

const encoder = new TextEncoder();
const NOTHING = new Uint8Array();

function modeOf(e: CpioEntry): number {
  return e.kind === "file" && e.executable ? MODE.executable : MODE[e.kind];
}

function dataOf(e: CpioEntry): Uint8Array {
  if (e.kind === "file") return e.bytes;
  return e.kind === "link" ? encoder.encode(e.to) : NOTHING;
}

interface Header {
  readonly ino: number;
  readonly mode: number;
  readonly links: number;
  readonly sizeBytes: number;
  readonly major: number;
  readonly minor: number;
}

/** Thirteen fields of eight hexadecimal digits after the magic, then the name and its zero byte. */
function header(name: Uint8Array, h: Header): Uint8Array {
  const fields = [h.ino, h.mode, 0, 0, h.links, 0, h.sizeBytes, 0, 0, h.major, h.minor]
    .concat(name.length + 1, 0);
  const text = MAGIC + fields.map((v) => v.toString(16).padStart(8, "0")).join("");
  const out = new Uint8Array(text.length + name.length + 1);
  out.set(encoder.encode(text));
  out.set(name, text.length);
  return out;
}

/** Every folder above an entry, so that nobody has to list them. */
function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const all = new Map<string, CpioEntry>();
  for (const e of entries) {
    const parts = e.name.split("/");
    for (let n = 1; n < parts.length; n++) {
      const name = parts.slice(0, n).join("/");
      if (!all.has(name)) all.set(name, { name, kind: "directory" });
    }
  }
  for (const e of entries) all.set(e.name, e);
  // By code unit, whatever the host's language: a folder comes before what is in it.
  return [...all.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

/** The archive of `entries`; folders above them are made. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const add = (bytes: Uint8Array, align: number) => {
    parts.push(bytes, new Uint8Array((align - (length + bytes.length) % align) % align));
    length += bytes.length + parts.at(-1)!.length;
  };
  withParents(entries).forEach((e, i) => {
    const data = dataOf(e);
    const device = e.kind === "character" ? e : { major: 0, minor: 0 };
    const links = e.kind === "directory" ? 2 : 1;
    const h = { ino: i + 1, mode: modeOf(e), links, sizeBytes: data.length, ...device };
    add(header(encoder.encode(e.name), h), ALIGN);
    add(data, ALIGN);
  });
  const end = { ino: 0, mode: 0, links: 1, sizeBytes: 0, major: 0, minor: 0 };
  add(header(encoder.encode(TRAILER), end), BLOCK);
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
