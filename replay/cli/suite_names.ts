/** Suites that `report --suite` knows; what is in them stands in suites.ts. @module */

/** `linux` needs a guest that is fetched once; `all` is both. */
export const SUITE_NAMES = ["standard", "linux", "all"] as const;
export type SuiteName = typeof SUITE_NAMES[number];
