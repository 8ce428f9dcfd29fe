/** Help texts: written over several lines of source, shown as one paragraph. @module */
import { lineBreak, type Message, text } from "@optique/core/message";

/** A paragraph; line breaks and indentation of the source are white space. */
export function say(parts: TemplateStringsArray, ...values: string[]): Message {
  return [text(String.raw({ raw: parts }, ...values).trim().replace(/\s+/g, " "))];
}

/** Lines that stay lines. */
export const lines = (...all: string[]): Message =>
  all.flatMap((line, i) => i === 0 ? [text(line)] : [lineBreak(), text(line)]);

/** The mistake alone, as one line without its full stop, of what Optique prints; null for other lines. */
export function mistake(shown: string): string | null {
  if (!shown.startsWith("Error:")) return null;
  return shown.slice("Error:".length).trim().replace(/\s*\n\s*/g, " ").replace(/\.$/, "");
}
