/** What `--log` can show: the tables of events, by names for people. @module */
import { EVENT_TABLES, type EventTable } from "../core/trace/schema.ts";

/** Names of items where they are not the table's own. */
const ITEM_NAMES: { readonly [T in EventTable]?: string } = {
  exit: "exits",
  vring: "virtio",
  request: "requests",
  mark: "marks",
};

/** What can be logged, by the name that `--log` takes. */
export const LOG_ITEMS: ReadonlyMap<string, EventTable> = new Map(
  EVENT_TABLES.map((table) => [ITEM_NAMES[table] ?? table, table]),
);
