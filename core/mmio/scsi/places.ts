/**
 * Where drives answer on a SCSI bus, as people write it: TARGET:LUN+TARGET:LUN…
 * @module
 */
import { PlugError } from "../error.ts";
import { MAX_LUN, type Place } from "./target.ts";

const MAX_TARGET = 15;
/** LUNs that IDENTIFY can name on a parallel bus. */
const MAX_IDENTIFIED_LUN = 63;

/** Throws when the text is no list of places, or one is given twice; a `host` on the bus has its own id. */
export function placesOf(
  device: string,
  units: string,
  bays: number,
  host: number | null,
): Place[] {
  if (units === "") {
    const targets = Array.from({ length: MAX_TARGET + 1 }, (_, i) => i).filter((t) => t !== host);
    return targets.slice(0, bays).map((target) => ({ target, lun: 0 }));
  }
  const fix =
    `write units=0:0+0:1+3:0, targets 0 to ${MAX_TARGET}${
      host === null ? "" : ` without ${host}`
    }, ` +
    `LUNs 0 to ${Math.min(MAX_LUN, MAX_IDENTIFIED_LUN)}`;
  const seen = new Set<string>();
  return units.split("+").slice(0, bays).map((text) => {
    const [, target, lun] = /^(\d{1,2}):(\d{1,3})$/.exec(text) ?? [];
    const place = { target: Number(target), lun: Number(lun) };
    const ok = target !== undefined && place.target <= MAX_TARGET && place.target !== host &&
      place.lun <= MAX_IDENTIFIED_LUN;
    if (!ok) throw new PlugError(`${device}: units has "${text}", which is no place`, fix);
    const name = `${place.target}:${place.lun}`;
    if (seen.has(name)) throw new PlugError(`${device}: units has ${name} twice`, fix);
    seen.add(name);
    return place;
  });
}
