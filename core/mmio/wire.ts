/**
 * A device's interrupt wire into a controller. Only changes of level leave a row; a new cause while the
 * line is up coalesces.
 * @module
 */

export class Wire {
  level = false;
  readonly #row: (event: "raise" | "lower" | "coalesce") => number;
  readonly #drive: (level: boolean) => void;

  /** `row` writes the `irq` row and returns its seq; `drive` takes the level to the controller. */
  constructor(
    row: (event: "raise" | "lower" | "coalesce") => number,
    drive: (level: boolean) => void,
  ) {
    this.#row = row;
    this.#drive = drive;
  }

  /** seq of the row, -1 when the level was that already. */
  set(level: boolean): number {
    if (level === this.level) return -1;
    this.level = level;
    const seq = this.#row(level ? "raise" : "lower");
    this.#drive(level);
    return seq;
  }

  /** A new cause; seq of the row that tells of it. */
  signal(): number {
    return this.level ? this.#row("coalesce") : this.set(true);
  }
}
