/**
 * The machine that `record`'s options ask for, its guest fetched when it is one that has to be.
 * @module
 */
import { machineFor, type Recipe, type RecordArguments, usesBundledGuest } from "./machine_spec.ts";

export const wantsLinux = (a: RecordArguments) => a.guest !== undefined || a.guestDir !== undefined;

/** True when `record` is to do the pairs: nothing says which guest, what it does, or where it goes. */
export function isDemonstration(a: RecordArguments): boolean {
  return usesBundledGuest(a) && !wantsLinux(a) && a.bios === "builtin" && a.drive.length === 0 &&
    [a.serial, a.append, a.output].every((choice) => choice === undefined);
}

export async function recipeFor(a: RecordArguments): Promise<Recipe> {
  if (!wantsLinux(a)) return machineFor(a);
  const { linuxGuest } = await import("./guest_linux.ts");
  const { options, guest } = await linuxGuest(a);
  return machineFor(options, { guest });
}
