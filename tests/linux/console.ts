/**
 * What a guest prints here and under QEMU, line by line: equal but for times, and for what follows from
 * differences between the machines that are listed with their reasons.
 * @module
 */

/** A line that only one of them prints, or that each prints in its own way. */
interface Difference {
  readonly line: RegExp;
  readonly why: string;
}

/** Parts of lines that depend on the clock, or on where things happen to lie. */
const VARIES: readonly [RegExp, string][] = [
  [/^\[ *\d+\.\d{6}\] /, ""],
  [/audit\(\d+\.\d+:\d+\)/, "audit(TIME)"],
  [/byte access time to unaligned word access is [\d.]+/, "… is RATIO"],
  [/setting system clock to .*/, "setting system clock to TIME"],
  [/\[mem 0x[0-9a-f]+-0x[0-9a-f]+\]$/, "[mem RANGE]"],
];

export const DIFFERENCES: readonly Difference[] = [
  { line: /^Boot HART PMP Count/, why: "our harts have 64 PMP entries, QEMU's 16" },
  {
    line: /^Boot HART M[IE]DELEG/,
    why: "OpenSBI delegates what the hart has; QEMU's MIDELEG shows H",
  },
  {
    line: /crng init done/,
    why: "QEMU hands over a seed in the device tree; nothing here is random",
  },
  { line: /Falling back to deprecated "riscv,isa"/, why: "our tree has riscv,isa-extensions, too" },
  {
    line: /^Zicbo[mz] detected in ISA string/,
    why: "our harts have them, and no block size is told",
  },
  { line: /^ASID allocator/, why: "our soft TLB has no ASIDs, as the manual allows" },
  { line: /^HugeTLB: .* 64.0 KiB page/, why: "our harts have Svnapot" },
  { line: /^riscv-plic: .* mapped \d+ interrupts/, why: "QEMU 7.2 counts source 0, which is none" },
  { line: /^scsi 0:0:0:0: Direct-Access/, why: "a disk says whose it is" },
  { line: /^Trying to unpack rootfs/, why: "a worker says it as soon as it gets to it" },
];

/** Lines without what varies. */
export function normalized(text: string): string[] {
  return text.replaceAll("\r", "").split("\n").map((line) =>
    VARIES.reduce((l, [pattern, by]) => l.replace(pattern, by), line)
  ).filter((line) => line !== "");
}

/** Lines of a longest common subsequence taken out: what is left on each side. */
function uncommon(a: readonly string[], b: readonly string[]): string[] {
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const left: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) [i, j] = [i + 1, j + 1];
    else if (
      j === b.length || i < a.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1]
    ) {
      left.push(`ours: ${a[i++]}`);
    } else left.push(`QEMU: ${b[j++]}`);
  }
  return left;
}

/** Differences that no entry of the list explains. */
export function unexplained(ours: string, theirs: string): string[] {
  return uncommon(normalized(ours), normalized(theirs)).filter((line) =>
    !DIFFERENCES.some((d) => d.line.test(line.slice("ours: ".length)))
  );
}
