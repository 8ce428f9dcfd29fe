/**
 * `deno task accounting`: the guest linux on ours and on QEMU 7.2, counts side by side, register by
 * register, for each way in which a disk is virtio's.
 * @module
 */
import { multiple } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { say } from "../replay/cli/say.ts";
import { parseTask } from "../replay/cli/task.ts";
import { accounts, compared, FENCE } from "./linux/accounting.ts";
import { type LinuxMachine, linuxMachine } from "./linux/guest.ts";
import { type QemuDisk, runQemu } from "./linux/qemu.ts";
import { unexplained } from "./linux/console.ts";
import { recordInto } from "./recorder.ts";

/** The machine that both run: what QEMU's virt machine is by default. */
export const COUNTED: LinuxMachine = {
  bios: "opensbi",
  harts: 1,
  serial: "16550",
  append: `fence=0x${FENCE.toString(16)}`,
  costs: "zero",
};

const DISKS: readonly QemuDisk[] = ["modern", "legacy", "virtio-blk-pci", "virtio-scsi-pci"];

/** The machine whose disk is QEMU's `disk`. */
function counted(disk: QemuDisk): LinuxMachine {
  if (disk === "modern" || disk === "legacy") return { ...COUNTED, legacy: disk === "legacy" };
  return { ...COUNTED, disk };
}

/** Runs both and counts; traces and images go below `folder`. */
export async function countBoth(folder: string, disk: QemuDisk) {
  const recipe = await linuxMachine(counted(disk));
  const recorded = await recordInto(folder, recipe.spec);
  const qemu = await runQemu(folder, recipe.spec, disk);
  return {
    recorded,
    lines: compared(accounts(recorded.directory, qemu.trace)),
    unexplained: unexplained(recorded.text, qemu.console),
    theirs: qemu.console,
  };
}

async function main(): Promise<void> {
  const asked = parseTask(
    "accounting",
    say`Count the stock Linux guest's accesses on ours and on QEMU, side by side.`,
    multiple(argument(choice(DISKS, { metavar: "DISK" }), {
      description: say`How the disk is attached; all ways where none is named.`,
    })),
  );
  for (const disk of asked.length > 0 ? asked : DISKS) {
    const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
    try {
      const { lines, unexplained } = await countBoth(folder, disk);
      console.log(`${disk.includes("-") ? disk : `virtio-mmio ${disk}`}: ours, QEMU's`);
      for (const part of new Set(lines.map((l) => l.part))) {
        console.log(`  ${part}`);
        for (const { name, ours, theirs } of lines.filter((l) => l.part === part)) {
          const mark = ours === theirs ? "" : "  differs";
          const figures = `${ours}`.padStart(7) + `${theirs}`.padStart(7);
          console.log(`    ${name.padEnd(46)}${figures}${mark}`);
        }
      }
      console.log(`  console: ${unexplained.length} lines differ without an explanation`);
      for (const line of unexplained) console.log(`    ${line}`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }
}

if (import.meta.main) await main();
