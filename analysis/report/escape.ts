/** Text on its way into HTML, SVG and command lines. @module */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Safe as the text of an element and as a quoted attribute. */
export const escapeText = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c]!);

/** One word of a POSIX shell's command line. */
export const shellWord = (word: string): string =>
  /^[\w./:=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Repeats a trace and compares it with the recording. */
export const verifyCommand = (path: string): string =>
  `deno task replay ${shellWord(path)} --verify`;
