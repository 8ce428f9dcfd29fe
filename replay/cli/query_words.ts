/** Which of `query`'s words are traces and which is the SQL. @module */

/** SQL, or the name of a table or view, is what is no path and does not end in `.trace`. */
const isQuery = (word: string, exists: (path: string) => boolean) =>
  /\s/.test(word) || !(word.endsWith(".trace") || /[/\\]/.test(word) || exists(word));

/** The last word is the query when it can be none of the traces. */
export function splitWords(
  words: readonly string[],
  exists: (path: string) => boolean,
): { traces: string[]; sql: string | null } {
  const last = words.at(-1);
  if (words.length < 2 || last === undefined || !isQuery(last, exists)) {
    return { traces: [...words], sql: null };
  }
  return { traces: words.slice(0, -1), sql: last };
}
