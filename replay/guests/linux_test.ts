import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { findLinux, initramfs, modulesOf, payload } from "./linux.ts";
import { FAKE_GUEST, fakeModule, withTemp, writeAll } from "./testing.ts";

Deno.test("guest linux: a folder is searched, however its files lie", () =>
  withTemp((folder) => {
    writeAll(folder, {
      ...FAKE_GUEST,
      "virtio-rng.ko.gz": gzipSync(fakeModule("virtio_ring")),
    });
    const files = findLinux(folder);
    assert.equal(Deno.readTextFileSync(files.kernel), "kernel");
    const order = modulesOf(files).map((m) => m.name);
    assert.deepEqual(order, ["virtio_ring", "virtio_mmio", "virtio_blk", "virtio_rng"]);
  }));

Deno.test("guest linux: what is missing is named, and what to put there", () =>
  withTemp((folder) => {
    const { "boot/vmlinux-6.1": _, ...rest } = FAKE_GUEST;
    assert.throws(() => findLinux(folder), {
      message: `${folder} lacks a kernel, busybox, virtio_mmio.ko, virtio_blk.ko`,
      fix: /^put there a riscv64 kernel/,
    });
    writeAll(folder, rest);
    assert.throws(() => findLinux(folder), { message: `${folder} lacks a kernel` });
    assert.throws(() => findLinux(`${folder}/none`), { message: /cannot read the guest's folder/ });
  }));

Deno.test("guest linux: a driver that is built into the kernel is no module", () =>
  withTemp((folder) => {
    writeAll(folder, {
      "Image": "kernel",
      "busybox": "busybox",
      "modules.builtin":
        "kernel/drivers/virtio/virtio_mmio.ko\nkernel/drivers/block/virtio_blk.ko\n",
    });
    assert.deepEqual(modulesOf(findLinux(folder)), []);
  }));

Deno.test("guest linux: the initial RAM disk is the same each time it is built", () =>
  withTemp((folder) => {
    writeAll(folder, FAKE_GUEST);
    const files = findLinux(folder);
    assert.deepEqual(initramfs(files), initramfs(files));
  }));

Deno.test("guest linux: no two blocks of the payload are alike", () => {
  const bytes = payload();
  const blocks = new Set<string>();
  for (let at = 0; at < bytes.length; at += 512) {
    blocks.add(bytes.subarray(at, at + 16).join());
  }
  assert.equal(blocks.size, bytes.length / 512);
});
