/**
 * Simpletrace files for tests, written as QEMU's backend does: a second hand for the format, which shares
 * nothing with the reader.
 * @module
 */

export type Argument = bigint | string;

export class SimpletraceFile {
  readonly #bytes: number[] = [];

  constructor(readonly little = true) {
    this.u64(0xffffffffffffffffn);
    this.u64(0xf2b177cb0aa429b4n);
    this.u64(4n);
  }

  u64(value: bigint): void {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt.asUintN(64, value), this.little);
    this.#bytes.push(...new Uint8Array(view.buffer));
  }

  u32(value: number): void {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, value, this.little);
    this.#bytes.push(...new Uint8Array(view.buffer));
  }

  #text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u32(bytes.length);
    this.#bytes.push(...bytes);
  }

  mapping(id: bigint, name: string): void {
    this.u64(0n);
    this.u64(id);
    this.#text(name);
  }

  event(id: bigint, ns: bigint, ...args: Argument[]): void {
    const bytes = args.map((a) =>
      typeof a === "bigint" ? 8 : 4 + new TextEncoder().encode(a).length
    );
    this.u64(1n);
    this.u64(id);
    this.u64(ns);
    this.u32(24 + bytes.reduce((sum, b) => sum + b, 0));
    this.u32(4711);
    for (const a of args) {
      if (typeof a === "bigint") this.u64(a);
      else this.#text(a);
    }
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** The events of fixtures/host_traces/qemu_log.txt that matter, and one that nobody knows. */
export function simpletraceSample(little = true): Uint8Array {
  const file = new SimpletraceFile(little);
  const names = [
    "memory_region_ops_read",
    "memory_region_ops_write",
    "virtio_queue_notify",
    "virtqueue_pop",
    "virtqueue_fill",
    "virtio_notify",
    "object_dynamic_cast_assert",
  ];
  names.forEach((name, id) => file.mapping(BigInt(id), name));
  const [vdev, vq, elem] = [0x55f2a4c0de10n, 0x7f31c8000b70n, 0x55f2a5000000n];
  file.event(0n, 1_000_000_000n, 0n, 0x55f2a3b4c5d0n, 0x3ccn, 0x67n, 1n, "vga");
  file.event(1n, 1_000_000_500n, 1n, 0x55f2a3b4c6e0n, 0xfebf3000n, 0n, 2n, "notify");
  file.event(2n, 1_000_001_000n, vdev, 0n, vq);
  file.event(3n, 1_000_001_500n, vq, elem, 1n, 2n);
  file.event(6n, 1_000_001_600n, 1n, "file.c");
  file.event(0xfffffffffffffffen, 1_000_001_700n, 12n);
  file.event(4n, 1_000_002_000n, vq, elem, 513n, 0n);
  file.event(5n, 1_000_002_500n, vdev, vq);
  file.event(0n, 1_000_003_000n, -1n, 0x55f2a3b4c5d0n, 0x3ccn, 0x67n, 1n, "vga");
  return file.bytes;
}
