/** Texts as SQL literals, whatever is in them. @module */

/** DuckDB's parser ends at a NUL, which a name of an imported trace may hold: it is put in by `chr`. */
export function textLiteral(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes("\0") ? `(${quoted.replaceAll("\0", "' || chr(0) || '")})` : quoted;
}
