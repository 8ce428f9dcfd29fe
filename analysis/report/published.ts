/**
 * Published results beside ours: `published.json` holds them, each with its source, and a query where a
 * count of these traces may stand beside it. Numbers read in another work's notes are marked so, and no
 * published number is ever passed off as ours.
 * @module
 */
import type { Engine } from "../engine.ts";
import { rate } from "../format.ts";
import { records } from "../rows.ts";
import data from "./published.json" with { type: "json" };

/** `comparable`: a count of ours stands beside it; `price`: the cost model uses it; `apart`: neither. */
export type Role = "comparable" | "price" | "apart";

export interface Published {
  readonly id: string;
  readonly result: string;
  /** The numbers as they were published, with their units. */
  readonly published: string;
  readonly source: string;
  /** True when the number was read in another work's notes, not at its source. */
  readonly second_hand: boolean;
  readonly role: Role;
  /** How it stands to ours, or why it does not. */
  readonly why: string;
  /** Of the comparable ones: rows of `run` and `value`. */
  readonly sql?: string;
  readonly unit?: string;
}

export const PUBLISHED = data as readonly Published[];

/** A published result and what these traces show, by run; empty where nothing of ours compares. */
export interface PublishedRow {
  readonly entry: Published;
  readonly ours: readonly { readonly run: string; readonly value: number }[];
}

/** Comparable results that these traces have something to say on, then prices, then the others. */
export async function besides(engine: Engine): Promise<PublishedRow[]> {
  const rows: PublishedRow[] = [];
  for (const entry of PUBLISHED) {
    const found = entry.sql === undefined ? [] : records(await engine.query(entry.sql));
    const ours = found.filter(({ value }) => value !== null)
      .map(({ run, value }) => ({ run: String(run), value: Number(value) }));
    if (entry.role !== "comparable" || ours.length > 0) rows.push({ entry, ours });
  }
  const order: readonly Role[] = ["comparable", "price", "apart"];
  return order.flatMap((role) => rows.filter(({ entry }) => entry.role === role));
}

export const sourceOf = ({ source, second_hand }: Published): string =>
  second_hand ? `${source} [second-hand]` : source;

/** "2.0 (serial-virtio), 0.14 (serial-sifive): interrupts taken per exit". */
export function oursText({ entry, ours }: PublishedRow): string {
  return `${ours.map(({ run, value }) => `${rate(value)} (${run})`).join(", ")}: ${entry.unit}`;
}
