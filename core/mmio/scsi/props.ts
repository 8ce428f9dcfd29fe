/**
 * Properties of a controller that are those of its disks.
 * @module
 */
import { prop } from "../props.ts";

/** Bays for drives. */
export const MAX_DISKS = 16;

export const UNIT_PROPS = {
  units: prop.text(
    "",
    "Where the drives answer, as TARGET:LUN with + between; default 0:0+1:0+… on.",
  ),
  product: prop.text("VIRTUAL DISK", "Product identification of the disks, at most 16 characters."),
  serial: prop.text(
    "",
    "Serial number of the disks, to which their number is added; none if empty.",
  ),
};
