/**
 * Ctrl-A commands, as QEMU's users know them: Ctrl-A X quits, Ctrl-A C opens and closes the monitor,
 * Ctrl-A H helps, Ctrl-A Ctrl-A sends Ctrl-A. Everything else goes to the guest untouched.
 * @module
 */

export type KeyCommand = "quit" | "monitor" | "help";

export const ESCAPE = 0x01;

const COMMANDS: Record<string, KeyCommand> = { x: "quit", c: "monitor", h: "help", "?": "help" };

export const KEYS_HELP = [
  "Ctrl-A H       this help",
  "Ctrl-A X       quit: the recording ends here, cleanly",
  "Ctrl-A C       open or close the monitor (type help there)",
  "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
].join("\n");

/** What typed bytes amount to, in the order typed. */
export type Typed = { bytes: Uint8Array } | { command: KeyCommand };

/** Splits typed bytes into text and commands; a command may be cut between two calls. */
export class Keys {
  #escaped = false;

  feed(input: Uint8Array): Typed[] {
    const out: Typed[] = [];
    let plain: number[] = [];
    for (const byte of input) {
      if (!this.#escaped) {
        if (byte === ESCAPE) this.#escaped = true;
        else plain.push(byte);
        continue;
      }
      this.#escaped = false;
      if (byte === ESCAPE) plain.push(ESCAPE);
      const command = COMMANDS[String.fromCharCode(byte).toLowerCase()];
      if (command === undefined) continue;
      if (plain.length > 0) out.push({ bytes: Uint8Array.from(plain) });
      plain = [];
      out.push({ command });
    }
    if (plain.length > 0) out.push({ bytes: Uint8Array.from(plain) });
    return out;
  }
}
