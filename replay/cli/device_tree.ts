/** The device tree of a machine that is not run. @module */
import { buildBoard } from "../../core/board/build.ts";
import { blankMedium } from "../../core/mmio/medium.ts";
import { Trace } from "../../core/trace/trace.ts";
import { loadDeviceTypes } from "../files.ts";
import type { Recipe } from "./machine_spec.ts";

/** The flattened tree that the guest of `recipe` would be given. */
export async function deviceTree({ spec, files }: Recipe): Promise<Uint8Array> {
  const types = await loadDeviceTypes(spec);
  const board = buildBoard(spec, files, types, new Trace(null, {}), {
    out: () => {},
    open: ({ sizeBytes }) => blankMedium(sizeBytes),
  });
  return board.booted.dtb;
}
