/**
 * Cost profiles: what an exit is charged, each price with its source. Counts never depend on them
 * unless `--costs PROFILE` feeds them back into virtual time.
 *
 * Cycles become ns at the clock named in the source sentence; such figures are presets, not
 * measurements of the modelled machine, and say so (`measured` is false for anything converted,
 * read second-hand or assumed).
 * @module
 */

export interface Cost {
  readonly profile: string;
  /** Neutral reason, or `*`. */
  readonly reason: string;
  /** `kernel`, `user` or `*`. */
  readonly handler: string;
  readonly ns: number;
  readonly source: string;
  readonly measured: boolean;
}

/** ns of so many cycles at so many MHz, rounded to the nearest. */
const cycles = (count: number, mhz: number) => Math.round((count * 1000) / mhz);

const ISCA16 = "Dall et al., ARM Virtualization: Performance and Architectural Implications " +
  "(ISCA 2016), as quoted by later work";

const preset = (
  profile: string,
  handler: string,
  count: number,
  mhz: number,
  source: string,
  reason = "*",
): Cost => ({
  profile,
  reason,
  handler,
  ns: cycles(count, mhz),
  source: `${count} cycles at an assumed ${mhz / 1000} GHz: ${source}`,
  measured: false,
});

export const COSTS: readonly Cost[] = [
  { profile: "zero", reason: "*", handler: "*", ns: 0, source: "exits are free", measured: false },
  preset("kvm-x86", "kernel", 2565, 2100, `exit served in the kernel, x86; ${ISCA16}`),
  preset("kvm-x86", "user", 6732, 2100, `exit served in user space, x86; ${ISCA16}`),
  preset("kvm-x86", "kernel", 1300, 2100, `null hypercall, x86; ${ISCA16}`, "hypercall"),
  preset("kvm-arm64-vhe", "kernel", 1604, 2400, `exit served in the kernel, VHE; ${ISCA16}`),
  preset("kvm-arm64-vhe", "user", 7630, 2400, `exit served in user space, VHE; ${ISCA16}`),
  preset("kvm-arm64-vhe", "kernel", 752, 2400, `null hypercall, VHE; ${ISCA16}`, "hypercall"),
  preset("kvm-arm64", "kernel", 8034, 2400, `exit served in the kernel, split mode; ${ISCA16}`),
  preset("kvm-arm64", "user", 10012, 2400, `exit served in user space, split mode; ${ISCA16}`),
  preset("kvm-arm64", "kernel", 6500, 2400, `null hypercall, split mode; ${ISCA16}`, "hypercall"),
  preset("kvm-riscv", "kernel", 1604, 1600, "assumed equal to arm64 with VHE; no published figure"),
  preset("kvm-riscv", "user", 7630, 1600, "assumed equal to arm64 with VHE; no published figure"),
];

export const COST_PROFILES: readonly string[] = [...new Set(COSTS.map((c) => c.profile))];

/**
 * ns that `profile` charges for an exit: the row that names the reason and the handler wins over one
 * that leaves either open. Throws when the profile prices no such exit.
 */
export function costNs(profile: string, reason: string, handler: string): number {
  let best: Cost | null = null;
  let bestRank = -1;
  for (const c of COSTS) {
    if (c.profile !== profile) continue;
    if (c.reason !== "*" && c.reason !== reason) continue;
    if (c.handler !== "*" && c.handler !== handler) continue;
    const rank = (c.reason === "*" ? 0 : 2) + (c.handler === "*" ? 0 : 1);
    if (rank > bestRank) [best, bestRank] = [c, rank];
  }
  if (best === null) {
    throw new Error(`cost profile ${profile} has no price for ${reason}/${handler}`);
  }
  return best.ns;
}
