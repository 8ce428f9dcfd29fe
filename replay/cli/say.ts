/** Help texts: written over several lines of source, shown as one paragraph. @module */
import { lineBreak, type Message, text } from "@optique/core/message";

/** A paragraph; line breaks and indentation of the source are white space. */
export function say(parts: TemplateStringsArray, ...values: string[]): Message {
  return [text(String.raw({ raw: parts }, ...values).trim().replace(/\s+/g, " "))];
}

/** Lines that stay lines. */
export const lines = (...all: string[]): Message =>
  all.flatMap((line, i) => i === 0 ? [text(line)] : [lineBreak(), text(line)]);
