/**
 * QEMU as a peer of devices: accesses in, what it reads out, over qtest.
 * @module
 */
import assert from "node:assert/strict";

export interface Access {
  addr: number;
  size: 1 | 2 | 4 | 8;
  /** Written; null for a read. */
  value: number | null;
}

const COMMANDS = { 1: "b", 2: "w", 4: "l", 8: "q" } as const;

/** What QEMU reads, in the order of the reads. It answers each line with one, and ends when killed. */
export async function askQemu(
  accesses: readonly Access[],
  more: readonly string[],
): Promise<bigint[]> {
  const script = accesses.map(({ addr, size, value }) =>
    value === null
      ? `read${COMMANDS[size]} 0x${addr.toString(16)}\n`
      : `write${COMMANDS[size]} 0x${addr.toString(16)} 0x${value.toString(16)}\n`
  );
  const qemu = new Deno.Command("qemu-system-riscv64", {
    args: [..."-machine virt -S -qtest stdio -display none -bios none -serial null".split(" ")]
      .concat("-monitor", "none", ...more),
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const writer = qemu.stdin.getWriter();
    const written = writer.write(new TextEncoder().encode(script.join("")));
    let text = "";
    for await (const chunk of qemu.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split("\n").length > accesses.length) break;
    }
    await written;
    const replies = text.split("\n").slice(0, -1);
    assert.equal(replies.length, accesses.length, replies.at(-1));
    return replies.filter((_, i) => accesses[i].value === null).map((r) => BigInt(r.slice(3)));
  } finally {
    qemu.kill("SIGKILL");
    await qemu.stdin.close().catch(() => {});
    await qemu.status;
  }
}
