/** Made-up guests for tests: modules that name what they need, and folders of them. @module */
import { dirname, join } from "node:path";

const HEADER_BYTES = 64;

/** A relocatable ELF file with a section `.modinfo` and nothing else. */
export function fakeModule(depends: string, more = ""): Uint8Array<ArrayBuffer> {
  const text = (s: string) => new TextEncoder().encode(s);
  const info = text(`license=GPL\0depends=${depends}\0${more}`);
  const strings = text("\0.modinfo\0.shstrtab\0");
  const [infoAt, stringsAt] = [HEADER_BYTES, HEADER_BYTES + info.length];
  const headersAt = Math.ceil((stringsAt + strings.length) / 8) * 8;
  const out = new Uint8Array(headersAt + 3 * HEADER_BYTES);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  out.set(info, infoAt);
  out.set(strings, stringsAt);
  view.setBigUint64(0x28, BigInt(headersAt), true);
  view.setUint16(0x3c, 3, true);
  view.setUint16(0x3e, 2, true);
  const section = (i: number, name: number, at: number, size: number) => {
    view.setUint32(headersAt + i * HEADER_BYTES, name, true);
    view.setBigUint64(headersAt + i * HEADER_BYTES + 0x18, BigInt(at), true);
    view.setBigUint64(headersAt + i * HEADER_BYTES + 0x20, BigInt(size), true);
  };
  section(1, 1, infoAt, info.length);
  section(2, 10, stringsAt, strings.length);
  return out;
}

/** Writes files below `folder`, with the folders above them. */
export function writeAll(
  folder: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): void {
  for (const [name, contents] of Object.entries(files)) {
    const path = join(folder, name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    if (typeof contents === "string") Deno.writeTextFileSync(path, contents);
    else Deno.writeFileSync(path, contents);
  }
}

/** What a folder needs to hold a guest. */
export const FAKE_GUEST: Readonly<Record<string, Uint8Array | string>> = {
  "boot/vmlinux-6.1": "kernel",
  "usr/bin/busybox": "busybox",
  "lib/modules/6.1/kernel/drivers/virtio/virtio_mmio.ko": fakeModule("virtio-ring"),
  "lib/modules/6.1/kernel/drivers/virtio/virtio-ring.ko": fakeModule(""),
  "lib/modules/6.1/kernel/drivers/block/virtio_blk.ko": fakeModule("virtio_ring"),
};

/** Runs `body` with a folder of its own. */
export async function withTemp(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-guest-" });
  try {
    await body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
