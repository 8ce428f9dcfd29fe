/**
 * The guest `linux` in tests: fetched once, then a machine as the command line makes it.
 * @module
 */
import type { SerialKind } from "../../core/board/spec.ts";
import { linuxGuest } from "../../replay/cli/guest_linux.ts";
import { machineFor, type Recipe } from "../../replay/cli/machine_spec.ts";
import { TOOLS } from "../../replay/guests/apt.ts";
import { cachedDebian } from "../../replay/guests/debian.ts";
import { type Need, needs, needsThat, NO_SKIP } from "../needs.ts";

/** OpenSBI as Debian's package `opensbi` has it. */
export const OPENSBI = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
export const FETCH = "deno task record --guest linux";

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * The guest in the cache. 110 MB are not fetched behind anybody's back: only where nothing may be
 * skipped, as in CI, a test fetches them.
 */
export function linux(): Need {
  const tools = needs([...TOOLS, "xz"], { apt: "xz-utils" });
  if (Deno.env.get(NO_SKIP) === "1" || !tools.met) return tools;
  return needsThat("the guest linux", cachedDebian() !== null, { command: FETCH });
}

export const opensbi = () => needsThat("OpenSBI", exists(OPENSBI), { apt: "opensbi" });

/** A machine with the guest. */
export interface LinuxMachine {
  readonly bios: "builtin" | "opensbi";
  readonly harts: number;
  readonly serial: SerialKind;
  readonly append?: string;
  readonly legacy?: boolean;
  readonly readOnly?: boolean;
  readonly costs?: string;
  /** PCI devices by type, one in each slot that follows. */
  readonly pci?: readonly string[];
  /** What the disk is behind; virtio-mmio unless said. */
  readonly disk?: DiskDevice;
}

export type DiskDevice = "virtio-blk-pci" | "virtio-scsi-pci";

/** How `--drive` says so. */
const ATTACHED: Readonly<Record<DiskDevice, Record<string, string>>> = {
  "virtio-blk-pci": { bus: "pci" },
  "virtio-scsi-pci": { if: "scsi" },
};

const flag = (on = false) => on ? "on" : "off";
export const DISK_BYTES = 16 * 2 ** 20;

export async function linuxMachine(m: LinuxMachine): Promise<Recipe> {
  const { options, guest } = await linuxGuest({
    guest: "linux",
    load: [],
    bios: m.bios === "opensbi" ? OPENSBI : m.bios,
    memory: 128 * 2 ** 20,
    harts: m.harts,
    serial: { kind: m.serial, props: {} },
    append: m.append,
    device: [...m.pci ?? [], ...m.disk === "virtio-scsi-pci" ? [m.disk] : []].map((use) => ({
      use,
      addr: null,
      irq: null,
      slot: null,
      props: {},
    })),
    drive: [{
      path: null,
      options: {
        size: String(DISK_BYTES),
        readonly: flag(m.readOnly),
        ...m.disk === undefined ? { legacy: flag(m.legacy) } : ATTACHED[m.disk],
      },
    }],
    stage2Page: "4k",
    costs: m.costs,
    cpu: "compiled",
    force: false,
  });
  return machineFor(options, { guest });
}
