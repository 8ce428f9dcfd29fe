/**
 * The queue of things that devices asked to happen at a moment of virtual time: plain data, so that
 * a machine can be saved between any two instructions.
 * @module
 */

export interface TimedEvent {
  /** Virtual ns. */
  readonly atNs: number;
  /** Instance that asked for it. */
  readonly device: string;
  readonly name: string;
  readonly arg: number;
  /** Order among events of the same moment: the one asked for first happens first. */
  readonly order: number;
}

/** Sorted by moment, then by order of asking; short, so that insertion by shifting is right. */
export class EventQueue {
  #events: TimedEvent[] = [];
  #order = 0;
  /** Moment of the next event in ns, Infinity when there is none. */
  nextNs = Infinity;

  /** Replaces the pending event of the same device, name and argument; null cancels it. */
  set(device: string, name: string, atNs: number | null, arg = 0): void {
    const events = this.#events;
    this.#cancel(device, name, arg);
    if (atNs !== null) {
      let i = events.push({ atNs, device, name, arg, order: this.#order++ }) - 1;
      const event = events[i];
      for (; i > 0 && events[i - 1].atNs > atNs; i--) events[i] = events[i - 1];
      events[i] = event;
    }
    this.#refresh();
  }

  #cancel(device: string, name: string, arg: number): void {
    const events = this.#events;
    let kept = 0;
    for (let i = 0; i < events.length; i++) {
      const e = events[i];
      if (e.arg === arg && e.name === name && e.device === device) continue;
      events[kept++] = e;
    }
    while (events.length > kept) events.pop();
  }

  /** Takes the next event; throws when there is none. */
  take(): TimedEvent {
    const event = this.#events.shift();
    if (event === undefined) throw new Error("no event is pending");
    this.#refresh();
    return event;
  }

  get all(): readonly TimedEvent[] {
    return this.#events;
  }

  #refresh(): void {
    this.nextNs = this.#events.length > 0 ? this.#events[0].atNs : Infinity;
  }
}
