/** What somebody who measures is told of: where the host's time goes. Nothing comes back. @module */

/** `run`: the guest's instructions; `devices`: serving exits and events; `sample`: measuring. */
export type HostWork = "run" | "compile" | "devices" | "trace" | "wait" | "sample";

export const WALK = { begins: 0, ended: 1, told: 2 } as const;
export type WalkStep = typeof WALK[keyof typeof WALK];
/** Of so many walks, one is told; a power of two. */
export const WALKS_PER_TOLD = 64;

export interface Meter {
  /** Work begins, perhaps inside other work, whose time stops meanwhile. */
  enter(work: HostWork): void;
  /** What was entered last ends. */
  leave(): void;
  /**
   * Of one page walk in so many, three times: around it, and once more behind that, for from the second
   * to the third nothing happens but telling.
   */
  walk(step: WalkStep): void;
}
