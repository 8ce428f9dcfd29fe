/** How users name two marks, and what lies between them. @module */

/** From each mark `from` to the next mark `to`. */
export interface Between {
  readonly from: string;
  readonly to: string;
  /** As the user wrote it. */
  readonly text: string;
}

/** "write-16": from `write-16 begin` to `write-16 end`; "boot..ready": between marks of these labels. */
export function parseBetween(text: string): Between | null {
  const [from = "", to = "", ...more] = text.split("..").map((label) => label.trim());
  if (from === "" || more.length > 0) return null;
  if (!text.includes("..")) return { from: `${from} begin`, to: `${from} end`, text };
  return to === "" ? null : { from, to, text };
}
