/** Where `--log` goes. @module */
import type { EventTable } from "../../core/trace/schema.ts";
import type { EventLog } from "../event_log.ts";
import { UserError } from "./errors.ts";
import { createNew } from "./output_directory.ts";
import { writeAll } from "./terminal.ts";

export interface LogArguments {
  readonly log?: readonly EventTable[];
  readonly logFile?: string;
  readonly force: boolean;
}

/** The log that was asked for, to be closed by the caller; null when none was. */
export async function openLog(a: LogArguments): Promise<{ log: EventLog; close(): void } | null> {
  if (a.log === undefined) {
    if (a.logFile === undefined) return null;
    throw new UserError("--log-file without --log", "Say what to log: --log exits,irq.");
  }
  const { EventLog } = await import("../event_log.ts");
  const file = a.logFile === undefined ? null : createNew(a.logFile, a.force);
  const encoder = new TextEncoder();
  const log = new EventLog(a.log, (text) => writeAll(file ?? Deno.stderr, encoder.encode(text)));
  return { log, close: () => file?.close() };
}
