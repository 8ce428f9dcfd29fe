/** Suites that `report --suite` knows; what is in them stands in suites.ts. @module */

export const SUITE_NAMES = ["standard"] as const;
export type SuiteName = typeof SUITE_NAMES[number];
