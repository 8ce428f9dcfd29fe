/**
 * Guest RAM as a PCI function sees it: within reach while COMMAND.bus_master is set. Without it nothing
 * is in reach; an access that is made all the same reads as all ones and writes nothing, as one does
 * that no target answers.
 * @module
 */
import type { GuestMemory } from "../memory.ts";

export class MasterMemory implements GuestMemory {
  constructor(private readonly ram: GuestMemory, private readonly isMaster: () => boolean) {}

  ok(gpa: number, sizeBytes: number): boolean {
    return this.isMaster() && this.ram.ok(gpa, sizeBytes);
  }

  read(gpa: number, sizeBytes: number): Uint8Array {
    return this.isMaster() ? this.ram.read(gpa, sizeBytes) : new Uint8Array(sizeBytes).fill(0xff);
  }
  write(gpa: number, bytes: Uint8Array): void {
    if (this.isMaster()) this.ram.write(gpa, bytes);
  }
  view(gpa: number, sizeBytes: number): Uint8Array {
    return this.isMaster() ? this.ram.view(gpa, sizeBytes) : new Uint8Array(sizeBytes).fill(0xff);
  }
  room(gpa: number, sizeBytes: number): Uint8Array {
    return this.isMaster() ? this.ram.room(gpa, sizeBytes) : new Uint8Array(sizeBytes);
  }
  u8(gpa: number): number {
    return this.isMaster() ? this.ram.u8(gpa) : 0xff;
  }
  u16(gpa: number): number {
    return this.isMaster() ? this.ram.u16(gpa) : 0xffff;
  }
  u32(gpa: number): number {
    return this.isMaster() ? this.ram.u32(gpa) : 0xffff_ffff;
  }
  u64(gpa: number): bigint {
    return this.isMaster() ? this.ram.u64(gpa) : 0xffff_ffff_ffff_ffffn;
  }
  setU8(gpa: number, v: number): void {
    if (this.isMaster()) this.ram.setU8(gpa, v);
  }
  setU16(gpa: number, v: number): void {
    if (this.isMaster()) this.ram.setU16(gpa, v);
  }
  setU32(gpa: number, v: number): void {
    if (this.isMaster()) this.ram.setU32(gpa, v);
  }
  setU64(gpa: number, v: bigint): void {
    if (this.isMaster()) this.ram.setU64(gpa, v);
  }
}
