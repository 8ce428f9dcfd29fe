/**
 * Guests of a few instructions for measuring devices: nothing but accesses, nothing but requests. They
 * run in S-mode from 2 MiB into RAM, here and under QEMU, and end at the test finisher.
 * @module
 */
import { Assembler, FINISHER, PASS } from "../../core/cpu/bare_metal.ts";
import { AVAIL, DESC, DESC_F, USED } from "../../core/virtio/ring_layout.ts";
import { REG } from "../../core/virtio/test_driver.ts";

const IMAGE_BYTES = 4096;
const FAIL = 0x3333;
/** The last virtio-mmio slot, where the first device goes on both machines. */
const VIRTIO = 0x1000_8000;
/** Far enough behind the image. */
const DESCRIPTORS = 0x8040_0000;
const [AVAILABLE, USED_RING] = [DESCRIPTORS + 0x1000, DESCRIPTORS + 0x2000];
const HEADER = DESCRIPTORS + 0x3000, STATUS = HEADER + 16, DATA = 0x8050_0000;
const QUEUE = 8;
const SECTOR = 512;
export const REQUEST_BYTES = 64 * 1024;
export const DISK_BYTES = 64 * 1024 * 1024;

const T0 = 5, T1 = 6, S0 = 8, S1 = 9, A0 = 10, A1 = 11, A2 = 12, A3 = 13, A4 = 14, A5 = 15;

class Guest extends Assembler {
  constructor() {
    super(new DataView(new ArrayBuffer(IMAGE_BYTES)));
  }
  store(addr: number, v: number): void {
    this.li(T0, v);
    this.li(T1, addr);
    this.put("sw", { rs2: T0, rs1: T1, imm: 0 });
  }
  /** A branch back to `target`. */
  back(rs1: number, rs2: number, target: number): void {
    this.put("bne", { rs1, rs2, imm: target - this.at });
  }
  end(code: number): void {
    this.store(FINISHER, code);
    this.put("jal", { rd: 0, imm: 0 });
  }
  get bytes(): Uint8Array {
    return new Uint8Array(this.image.buffer);
  }
}

/** Makes a device's BAR0 answer at `bar`: its configuration space is at `config`. */
export interface Bar {
  readonly config: number;
  readonly bar: number;
}

/** Reads, or writes, `addr` so many times. */
export function accesses(addr: number, times: number, write: boolean, bar?: Bar): Uint8Array {
  const g = new Guest();
  if (bar) {
    g.store(bar.config + 0x10, bar.bar);
    g.store(bar.config + 0x04, 6);
  }
  g.li(A0, times);
  g.li(A1, addr);
  const loop = g.at;
  if (write) g.put("sw", { rs2: 0, rs1: A1, imm: 0 });
  else g.put("lw", { rd: T0, rs1: A1, imm: 0 });
  g.put("addi", { rd: A0, rs1: A0, imm: -1 });
  g.back(A0, 0, loop);
  g.end(PASS);
  return g.bytes;
}

function describe(g: Guest, index: number, gpa: number, length: number, flags: number): void {
  const at = DESCRIPTORS + DESC.bytes * index;
  g.store(at + DESC.addr, gpa);
  g.store(at + DESC.addrHigh, 0);
  g.store(at + DESC.len, length);
  g.store(at + DESC.flags, flags | index + 1 << 16);
}

function setUp(g: Guest, write: boolean): void {
  const register = (at: number, v: number) => g.store(VIRTIO + at, v);
  register(REG.Status, 0);
  register(REG.Status, 3);
  register(REG.DriverFeaturesSel, 1);
  register(REG.DriverFeatures, 1); // VIRTIO_F_VERSION_1
  register(REG.Status, 11);
  register(REG.QueueSel, 0);
  register(REG.QueueNum, QUEUE);
  register(REG.QueueDescLow, DESCRIPTORS);
  register(REG.QueueDriverLow, AVAILABLE);
  register(REG.QueueDeviceLow, USED_RING);
  register(REG.QueueReady, 1);
  register(REG.Status, 15);
  describe(g, 0, HEADER, 16, DESC_F.NEXT);
  describe(g, 1, DATA, REQUEST_BYTES, DESC_F.NEXT | (write ? 0 : DESC_F.WRITE));
  describe(g, 2, STATUS, 1, DESC_F.WRITE);
  g.store(HEADER, write ? 1 : 0);
  g.store(AVAILABLE, 1); // VIRTQ_AVAIL_F_NO_INTERRUPT
}

/** Reads, or writes, so many requests of 64 KiB, over the disk again and again, one at a time. */
export function requests(times: number, write: boolean): Uint8Array {
  const g = new Guest();
  setUp(g, write);
  g.li(A0, times);
  g.li(A1, HEADER);
  g.li(A2, AVAILABLE);
  g.li(A3, USED_RING);
  g.li(A4, VIRTIO + REG.QueueNotify);
  g.li(A5, DISK_BYTES / SECTOR - 1);
  g.li(S0, 0); // Sector.
  g.li(S1, 0); // Chains made available, modulo 2^16.
  const loop = g.at;
  g.put("sd", { rs2: S0, rs1: A1, imm: 8 });
  g.put("addi", { rd: S1, rs1: S1, imm: 1 });
  g.put("slli", { rd: S1, rs1: S1, shamt: 48 });
  g.put("srli", { rd: S1, rs1: S1, shamt: 48 });
  g.put("sh", { rs2: S1, rs1: A2, imm: AVAIL.idx });
  g.put("sw", { rs2: 0, rs1: A4, imm: 0 });
  const poll = g.at;
  g.put("lhu", { rd: T0, rs1: A3, imm: USED.idx });
  g.back(T0, S1, poll);
  g.put("addi", { rd: S0, rs1: S0, imm: REQUEST_BYTES / SECTOR });
  g.put("and", { rd: S0, rs1: S0, rs2: A5 });
  g.put("addi", { rd: A0, rs1: A0, imm: -1 });
  g.back(A0, 0, loop);
  g.put("lbu", { rd: T0, rs1: A1, imm: STATUS - HEADER });
  const over = g.at;
  g.put("beq", { rs1: T0, rs2: 0, imm: 0 });
  g.end(FAIL);
  const here = g.at;
  g.at = over;
  g.put("beq", { rs1: T0, rs2: 0, imm: here - over });
  g.at = here;
  g.end(PASS);
  return g.bytes;
}
