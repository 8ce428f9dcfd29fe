/**
 * Names for what host traces know by address alone: a "device" is a 4 KiB page of guest-physical
 * addresses (`mmio@0xfebf1000`), all ports together (`pio`), all MSRs (`msr`), a memory region by QEMU's
 * name of it; a "register" is the offset in the page, the port, the MSR, the address. Nothing is guessed
 * from well-known addresses: whoever knows the machine joins a table of them.
 * @module
 */
import type { Code } from "../../core/trace/schema.ts";

/** Device codes are bytes; the last stands for those that come when there are too many. */
const MOST_DEVICES = 255;
const MOST_REGISTERS = 65535;
export const PAGE = 4096;
const OTHERS = "others";

export class Devices {
  readonly devices: Code[] = [];
  readonly registers: Code[] = [];
  readonly #pages = new Map<number, number>();
  readonly #named = new Map<string, number>();
  /** By base, width and number: codes of registers that are called by a number. */
  readonly #numbers = new Map<number, number | null>();
  readonly #registerNames = new Map<string, number | null>();

  /** The device that the page of `gpa` is taken for. */
  page(gpa: number): number {
    const page = Math.floor(gpa / PAGE);
    let code = this.#pages.get(page);
    if (code === undefined) {
      const name = `mmio@0x${(page * PAGE).toString(16)}`;
      code = this.named(name, "the 4 KiB page of guest-physical addresses");
      this.#pages.set(page, code);
    }
    return code;
  }

  named(name: string, spec: string): number {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const full = this.devices.length >= MOST_DEVICES - 1;
    if (full && name !== OTHERS) return this.named(OTHERS, "devices beyond the 254 first");
    const code = this.devices.push({ name, spec }) - 1;
    this.#named.set(name, code);
    return code;
  }

  /** The register called `0x…` with at least `digits` digits; null when there are too many. */
  numbered(number: number, digits: number): number | null {
    const key = number * 16 + digits;
    let code = this.#numbers.get(key);
    if (code === undefined) {
      code = this.register(`0x${number.toString(16).padStart(digits, "0")}`);
      this.#numbers.set(key, code);
    }
    return code;
  }

  register(name: string): number | null {
    const known = this.#registerNames.get(name);
    if (known !== undefined) return known;
    const code = this.registers.length >= MOST_REGISTERS
      ? null
      : this.registers.push({ name, spec: "known by its number alone" }) - 1;
    if (code !== null) this.#registerNames.set(name, code);
    return code;
  }
}
