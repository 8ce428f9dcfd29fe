/**
 * A device type whose instances see guest memory through hooks: for tests that count or disturb what
 * a device reads and writes.
 * @module
 */
import type { DeviceType, GuestMemory } from "../mmio/device.ts";

export interface Hooks {
  /** After a read; the value was taken already. */
  read?: (gpa: number, sizeBytes: number) => void;
  /** Before a write. */
  write?: (gpa: number, sizeBytes: number) => void;
}

export function watched(type: DeviceType, hooks: Hooks): DeviceType {
  return {
    ...type,
    create: (name, port, props) =>
      type.create(name, { ...port, mem: watchedMemory(port.mem, hooks) }, props),
  };
}

function watchedMemory(mem: GuestMemory, hooks: Hooks): GuestMemory {
  function read<T>(gpa: number, n: number, v: T): T {
    hooks.read?.(gpa, n);
    return v;
  }
  function write(gpa: number, n: number): number {
    hooks.write?.(gpa, n);
    return gpa;
  }
  return {
    ok: (gpa, n) => mem.ok(gpa, n),
    read: (gpa, n) => read(gpa, n, mem.read(gpa, n)),
    view: (gpa, n) => read(gpa, n, mem.view(gpa, n)),
    room: (gpa, n) => mem.room(write(gpa, n), n),
    u8: (gpa) => read(gpa, 1, mem.u8(gpa)),
    u16: (gpa) => read(gpa, 2, mem.u16(gpa)),
    u32: (gpa) => read(gpa, 4, mem.u32(gpa)),
    u64: (gpa) => read(gpa, 8, mem.u64(gpa)),
    write: (gpa, b) => mem.write(write(gpa, b.length), b),
    setU8: (gpa, v) => mem.setU8(write(gpa, 1), v),
    setU16: (gpa, v) => mem.setU16(write(gpa, 2), v),
    setU32: (gpa, v) => mem.setU32(write(gpa, 4), v),
    setU64: (gpa, v) => mem.setU64(write(gpa, 8), v),
  };
}
