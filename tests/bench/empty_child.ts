/** What any program under Deno takes. @module */
export {};
