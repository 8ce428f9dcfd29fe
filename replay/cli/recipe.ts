/**
 * The machine that `record`'s options ask for, its guest fetched when it is one that has to be.
 * @module
 */
import { machineFor, type Recipe, type RecordArguments } from "./machine_spec.ts";

export async function recipeFor(a: RecordArguments): Promise<Recipe> {
  if (a.guest === undefined && a.guestDir === undefined) return machineFor(a);
  const { linuxGuest } = await import("./guest_linux.ts");
  const { options, guest } = await linuxGuest(a);
  return machineFor(options, { guest });
}
