/**
 * Runs QEMU to the end of its guest, with what the guest prints on QEMU's standard output kept in a file:
 * QEMU drops what a full pipe has not taken, and a busy machine's reader may let one fill.
 * @module
 */
import { join } from "node:path";

/** Given up after so long, which no guest of a test needs however busy the machine is. */
export const QEMU_LIMIT_SECONDS = 900;
/** What `timeout` exits with when it has ended the command. */
const TIMED_OUT = 124;

const SCRIPT = 'exec timeout "$LIMIT" qemu-system-riscv64 "$@" <"$TYPED" >"$PRINTED"';

export interface QemuEnd {
  readonly code: number;
  readonly output: Uint8Array<ArrayBuffer>;
  /** What QEMU itself complained of. */
  readonly complaints: string;
}

/** `typed` is what comes on QEMU's standard input. Throws when QEMU has not ended by itself. */
export function qemuToItsEnd(args: readonly string[], typed = ""): QemuEnd {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-qemu-" });
  const [TYPED, PRINTED] = ["typed", "printed"].map((name) => join(folder, name));
  try {
    Deno.writeTextFileSync(TYPED, typed);
    const { code, stderr } = new Deno.Command("sh", {
      args: ["-c", SCRIPT, "sh", ...args],
      env: { TYPED, PRINTED, LIMIT: String(QEMU_LIMIT_SECONDS) },
    }).outputSync();
    const complaints = new TextDecoder().decode(stderr);
    const output = Deno.readFileSync(PRINTED);
    if (code === TIMED_OUT) {
      const last = new TextDecoder("latin1").decode(output.slice(-2000));
      throw new Error(`QEMU did not end in ${QEMU_LIMIT_SECONDS} s; it printed: ${last}`);
    }
    return { code, output, complaints };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
