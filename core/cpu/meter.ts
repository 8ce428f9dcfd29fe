/** What somebody who measures is told of: where the host's time goes. Nothing comes back. @module */

/** `run`: the guest's instructions; `devices`: serving exits and events; `sample`: measuring. */
export type HostWork = "run" | "compile" | "devices" | "trace" | "wait" | "sample";

export interface Meter {
  /** Work begins, perhaps inside other work, whose time stops meanwhile. */
  enter(work: HostWork): void;
  /** What was entered last ends. */
  leave(): void;
}
