/**
 * Access to a virtio function's BARs through its configuration space, for software that cannot map
 * them: Virtio 1.2 §4.1.4.9. The driver says where in cap.bar, cap.offset and cap.length; reading or
 * writing pci_cfg_data is then that access. One that leaves the BAR, is not aligned or not of 1, 2 or 4
 * bytes reads 0 and writes nothing.
 * @module
 */
import { type Reg, type Space, type StateOf, u32, u8 } from "../mmio/device.ts";
import { Region, RegisterNames } from "../mmio/region.ts";

/** Kept over a reset of the device: they belong to configuration space. */
export const cfgFields = { cfgBar: u8(), cfgOffset: u32(), cfgLength: u32() };
type CfgState = StateOf<typeof cfgFields>;

/** Offsets in the capability (§4.1.4). */
const AT = { bar: 4, offset: 8, length: 12, data: 16 } as const;

/** A second way into the device's own registers; the device settles once the outer access ends. */
export class CfgWindow {
  readonly #regions = new Map<number, Region>();

  constructor(
    device: string,
    bars: readonly { bar: number; sizeBytes: number; space: Space }[],
  ) {
    for (const { bar, sizeBytes, space } of bars) {
      const names = new RegisterNames(device);
      this.#regions.set(bar, new Region(device, `bar${bar}`, sizeBytes, space, names, () => {}));
    }
  }

  /** The region that an access of these cells is to; null for one that goes nowhere. */
  at({ cfgBar, cfgOffset, cfgLength }: CfgState): Region | null {
    const region = this.#regions.get(cfgBar);
    if (region === undefined || ![1, 2, 4].includes(cfgLength)) return null;
    const fits = cfgOffset % cfgLength === 0 && cfgOffset + cfgLength <= region.sizeBytes;
    return fits ? region : null;
  }
}

/** Registers of the capability at `cap` in configuration space. */
export function cfgRegs(cap: number, s: CfgState, window: CfgWindow): Reg[] {
  const cell = (
    name: string,
    at: number,
    key: "cfgBar" | "cfgOffset" | "cfgLength",
  ): Reg => ({
    at: cap + at,
    name,
    sizes: [1, 2, 4],
    get: () => s[key],
    set: (v) => s[key] = v,
  });
  return [
    cell("cap.bar", AT.bar, "cfgBar"),
    cell("cap.offset", AT.offset, "cfgOffset"),
    cell("cap.length", AT.length, "cfgLength"),
    {
      at: cap + AT.data,
      name: "pci_cfg_data",
      sizes: [1, 2, 4],
      get: () => Number(window.at(s)?.peek(s.cfgOffset, s.cfgLength) ?? 0n),
      onRead: () => void window.at(s)?.read(s.cfgOffset, s.cfgLength),
      set: (v) => void window.at(s)?.write(s.cfgOffset, s.cfgLength, v),
    },
  ];
}
