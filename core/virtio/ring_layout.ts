/**
 * Layout of a split virtqueue in guest memory: offsets, sizes and flag bits, each stated once.
 * Source: Virtio 1.2 §2.7. The device and the tests' reference driver share these facts and nothing
 * else.
 * @module
 */

/** §2.7.5 `struct virtq_desc`: offsets of its fields in bytes. */
export const DESC = { addr: 0, addrHigh: 4, len: 8, flags: 12, next: 14, bytes: 16 } as const;

/** §2.7.5 descriptor flags. */
export const DESC_F = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;

/** §2.7.6 `struct virtq_avail`; `used_event` follows the ring. */
export const AVAIL = { flags: 0, idx: 2, ring: 4, entryBytes: 2 } as const;

/** §2.7.6: the driver asks for no used buffer notifications; meaningless under EVENT_IDX. */
export const AVAIL_F_NO_INTERRUPT = 1;

/** §2.7.8 `struct virtq_used`; an entry is `id` (le32) then `len` (le32); `avail_event` follows. */
export const USED = { flags: 0, idx: 2, ring: 4, entryBytes: 8, entryLen: 4 } as const;

/** §2.7.8: the device asks for no available buffer notifications; meaningless under EVENT_IDX. */
export const USED_F_NO_NOTIFY = 1;

/** §2.7: alignment in bytes that each area must have (modern layout). */
export const ALIGNMENT = { desc: 16, avail: 2, used: 4 } as const;

/** Guest-physical addresses of the three areas of a queue. */
export interface Areas {
  desc: number;
  avail: number;
  used: number;
}

/** Bytes of the descriptor table of a queue of `size` entries. */
export const descBytes = (size: number) => DESC.bytes * size;
/** Offset of `used_event` in the driver area; the area ends two bytes later. */
export const usedEventAt = (size: number) => AVAIL.ring + AVAIL.entryBytes * size;
/** Offset of `avail_event` in the device area; the area ends two bytes later. */
export const availEventAt = (size: number) => USED.ring + USED.entryBytes * size;
export const availBytes = (size: number) => usedEventAt(size) + 2;
export const usedBytes = (size: number) => availEventAt(size) + 2;

/** §2.7.2: the legacy layout is one block; the used ring starts at the next multiple of `align`. */
export function legacyAreas(base: number, size: number, align: number): Areas {
  const avail = base + descBytes(size);
  const used = Math.ceil((avail + availBytes(size)) / align) * align;
  return { desc: base, avail, used };
}

/**
 * §2.7.7.2, §2.7.10: whether moving a ring index from `before` to `after` passed `event`. All three
 * are 16-bit and wrap.
 */
export function passedEvent(event: number, before: number, after: number): boolean {
  return ((after - event - 1) & 0xffff) < ((after - before) & 0xffff);
}
