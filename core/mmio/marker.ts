/**
 * Marker: the guest bounds a region of interest by a label and a number (`mark` table). Our own device;
 * this file is its specification.
 *
 * The label is collected four bytes a write, in little-endian order, and cleared by COMMIT. Bytes beyond
 * 64 are ignored, as are zero bytes.
 * @module
 */
import { bytes, device, u32 } from "./device.ts";

const MAGIC = 0x4b52_414d; // "MARK" in little-endian order
const LABEL_BYTES = 64;

export const marker = device("marker", {
  doc: "Marker: the guest writes a label and a number into the trace.",
  source: "Exitscope, core/mmio/marker.ts",
  size: 0x1000,
  compatible: ["exitscope,marker"],
  state: { label: bytes(LABEL_BYTES), lo: u32(), hi: u32() },
}, (s, port) => {
  function append(word: number): void {
    for (let shift = 0; shift < 32; shift += 8) {
      const byte = word >>> shift & 0xff;
      if (byte !== 0 && s.label.length < LABEL_BYTES) s.label.push(byte);
    }
  }
  function commit(): void {
    const label = new TextDecoder().decode(Uint8Array.from(s.label));
    port.trace.mark({ label, number: s.lo, number_hi: s.hi });
    s.label.length = s.lo = s.hi = 0;
  }
  return {
    regs: [
      { at: 0x00, name: "MAGIC", get: () => MAGIC },
      { at: 0x04, name: "LABEL", set: append },
      { at: 0x08, name: "NUMBER_LO", get: () => s.lo, set: (v) => s.lo = v },
      { at: 0x0c, name: "NUMBER_HI", get: () => s.hi, set: (v) => s.hi = v },
      { at: 0x10, name: "COMMIT", set: commit },
    ],
  };
});
