/**
 * Properties of a device: what the person who plugs it in may choose, as `--device x,prop=value`.
 * @module
 */

import { PlugError } from "./error.ts";

export type PropValue = number | boolean | string;

export interface PropSpec<T extends PropValue = PropValue> {
  readonly type: "u32" | "flag" | "text";
  readonly init: T;
  /** One sentence, shown in help. */
  readonly doc: string;
}

export type Props = Readonly<Record<string, PropSpec>>;
export type PropsOf<P extends Props> = {
  readonly [K in keyof P]: P[K] extends PropSpec<infer T> ? T : never;
};

/** Declares a property: `prop.u32(1000, "Latency of a request in ns.")`. */
export const prop = {
  u32: (init: number, doc: string): PropSpec<number> => ({ type: "u32", init, doc }),
  flag: (init: boolean, doc: string): PropSpec<boolean> => ({ type: "flag", init, doc }),
  text: (init: string, doc: string): PropSpec<string> => ({ type: "text", init, doc }),
};

const FLAGS: Readonly<Record<string, boolean>> = {
  on: true,
  true: true,
  "1": true,
  off: false,
  false: false,
  "0": false,
};

function parse(where: string, spec: PropSpec, given: string): PropValue {
  if (spec.type === "text") return given;
  if (spec.type === "flag") {
    const value = FLAGS[given.toLowerCase()];
    if (value === undefined) throw new PlugError(`${where}=${given} is no flag`, "use on or off");
    return value;
  }
  const value = given.trim() === "" ? NaN : Number(given);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new PlugError(`${where}=${given} is no number`, "use an integer from 0 to 4294967295");
  }
  return value;
}

/** All properties with the given ones, texts parsed by type; throws on an unknown name or value. */
export function resolveProps(
  device: string,
  specs: Props,
  given: Readonly<Record<string, PropValue>> = {},
): Record<string, PropValue> {
  const out: Record<string, PropValue> = {};
  for (const [name, spec] of Object.entries(specs)) out[name] = spec.init;
  for (const [name, value] of Object.entries(given)) {
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      const known = Object.keys(specs).join(", ");
      throw new PlugError(
        `${device} has no property "${name}"`,
        known === "" ? "it has none: leave it out" : `it has: ${known}`,
      );
    }
    out[name] = parse(`${device}: ${name}`, spec, String(value));
  }
  return out;
}
