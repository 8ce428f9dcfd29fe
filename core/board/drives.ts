/**
 * The machine's drives: media made from the spec, by the names that devices are given them with.
 * @module
 */
import {
  blankMedium,
  type Drive,
  makeDrive,
  type Medium,
  overlayMedium,
  seededMedium,
} from "../mmio/medium.ts";
import type { DriveSpec, MachineSpec } from "./spec.ts";
import { BoardError, type Placed } from "./virt.ts";

/** Opens what a drive's image holds; a medium that is not read-only takes writes as they happen. */
export type OpenImage = (drive: DriveSpec) => Medium;

function baseOf(d: DriveSpec, open: OpenImage): Medium {
  if (d.path !== null) return open(d);
  return d.seed === null ? blankMedium(d.sizeBytes) : seededMedium(d.sizeBytes, d.seed);
}

/** Every drive of the machine, by its id; throws BoardError unless each has one device. */
export function makeDrives(
  spec: MachineSpec,
  placed: readonly Placed[],
  open: OpenImage,
): Map<string, Drive> {
  const drives = new Map<string, Drive>();
  for (const d of spec.drives ?? []) {
    if (drives.has(d.id)) throw new BoardError(`two drives are called ${d.id}`, "give another id=");
    const users = placed.filter((p) => p.drives.includes(d.id)).map((p) => p.name);
    if (users.length !== 1) {
      throw new BoardError(
        users.length === 0
          ? `drive ${d.id} is attached to no device`
          : `drive ${d.id} is attached to ${users.join(" and ")}`,
        `give one --device …,drive=${d.id}, or leave out if=none`,
      );
    }
    const medium = overlayMedium(baseOf(d, open), { readOnly: d.readOnly });
    drives.set(d.id, makeDrive(d.id, medium, d));
  }
  const unknown = placed.flatMap((p) => p.drives).find((id) => !drives.has(id));
  if (unknown !== undefined) {
    throw new BoardError(`there is no drive ${unknown}`, `add --drive …,if=none,id=${unknown}`);
  }
  return drives;
}
