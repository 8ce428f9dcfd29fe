/**
 * The pairs that `record` compares: the same guest doing the same work on machines that differ in one
 * device, as data.
 * @module
 */
import type { SerialKind } from "../../core/board/spec.ts";
import type { RecordArguments } from "./machine_spec.ts";
import type { PairName } from "./pair_names.ts";
import { wantsLinux } from "./recipe.ts";
import { parseDevice, parseDrive } from "./values.ts";

/** One machine of a pair: what it is fitted with, and the name of its trace. */
export interface Side {
  readonly name: string;
  readonly title: string;
  readonly serial?: SerialKind;
  /** As `--drive` and `--device` take them. */
  readonly drive?: string;
  readonly device?: string;
  /** More words for the guest. */
  readonly append?: string;
}

/** How the guest's data are seen to have arrived. */
export type PairCheck = "console" | "disk" | "buffer";

export interface Pair {
  readonly name: PairName;
  readonly question: string;
  /** What is not equal work, or not a choice between full and paravirtual: said with the result. */
  readonly remark?: string;
  readonly kernel: string;
  /** Words that ask the guest for its work. */
  readonly append: string;
  /** Cost profile charged where the user names none. */
  readonly costs?: string;
  readonly check: PairCheck;
  /** Console output that the work makes, in bytes: what progress is measured against. */
  readonly outputBytes: number;
  /** The first is the fully virtualized one. */
  readonly sides: readonly Side[];
}

/** Both block sizes lie behind each other on a disk of this size. */
const DISK = "size=1M";
const FLUSH = "Writes end with a flush, which is a request, too.";
const DISK_WORK = "chunk=4096,65536 bytes=524288 apart=on";

export const PAIRS: readonly Pair[] = [
  {
    name: "serial",
    question: "What does a serial port cost, fully virtualized and paravirtual?",
    kernel: "bundled:serial",
    append: "bytes=32768 chunk=16,4096",
    check: "console",
    outputBytes: 65536,
    sides: [
      { name: "serial-sifive", title: "SiFive UART", serial: "sifive" },
      { name: "serial-virtio", title: "virtio-console", serial: "virtio" },
    ],
  },
  {
    name: "block",
    question: "What does a disk cost, fully virtualized and paravirtual, over MMIO and over PCI?",
    remark: FLUSH,
    kernel: "bundled:block",
    append: DISK_WORK,
    check: "disk",
    outputBytes: 280,
    sides: [
      { name: "block-lsi", title: "LSI 53C895A", drive: `${DISK},if=scsi` },
      { name: "block-virtio", title: "virtio-blk (MMIO)", drive: DISK },
      { name: "block-virtio-pci", title: "virtio-blk (PCI)", drive: `${DISK},bus=pci` },
    ],
  },
  {
    name: "scsi",
    question: "What does a SCSI controller cost, with the same disk behind it?",
    remark: FLUSH,
    kernel: "bundled:block",
    append: DISK_WORK,
    check: "disk",
    outputBytes: 280,
    sides: [
      { name: "scsi-lsi", title: "LSI 53C895A", drive: `${DISK},if=scsi` },
      {
        name: "scsi-virtio",
        title: "virtio-scsi (PCI)",
        drive: `${DISK},if=scsi`,
        device: "virtio-scsi-pci",
      },
    ],
  },
  {
    name: "edu",
    question: "How does a driver learn that a device is done, and at what cost?",
    remark:
      "edu has no paravirtual twin: it is one device, asked in three ways. It works 20 µs on " +
      "each job, and exits are charged: how often a driver polls depends on both.",
    kernel: "bundled:edu",
    append: "times=256 copies=64 bytes=1024",
    costs: "kvm-riscv",
    check: "buffer",
    outputBytes: 2400,
    sides: [
      { name: "edu-poll", title: "edu (polling)", append: "wait=poll" },
      { name: "edu-irq", title: "edu (interrupt)", append: "wait=irq" },
      { name: "edu-message", title: "edu (MSI to RAM)", append: "wait=message" },
    ].map((side) => ({ ...side, device: "edu,dma_mask=0xffffffff,latency=20000" })),
  },
];

/** The pairs whose disks stock Linux has drivers for. */
export const LINUX_PAIRS: readonly PairName[] = ["block", "scsi"];
/** Words for the guest `linux`. */
const LINUX_WORK = "bytes=1048576 block=4096,65536";
const LINUX_OUTPUT_BYTES = 24_000;

/** The same question put to stock drivers. */
export function onLinux(pair: Pair): Pair {
  return {
    ...pair,
    remark: undefined,
    append: LINUX_WORK,
    outputBytes: LINUX_OUTPUT_BYTES,
    sides: pair.sides.map((side) => ({
      ...side,
      name: `linux-${side.name}`,
      // Room for what is written behind each other.
      drive: side.drive?.replace(DISK, "size=16M"),
    })),
  };
}

/** `record`'s options for one machine of a pair, as if the user had given them. */
export function optionsOf(a: RecordArguments, pair: Pair, side: Side): RecordArguments {
  const ours = [pair.append, side.append];
  // The bundled guests take the first of two words that contradict each other, Linux the last.
  const words = wantsLinux(a) ? [...ours, a.append] : [a.append, ...ours];
  return {
    ...a,
    kernel: wantsLinux(a) ? undefined : pair.kernel,
    serial: side.serial === undefined ? a.serial : { kind: side.serial, props: {} },
    append: words.filter((w) => w !== undefined).join(" "),
    costs: a.costs ?? pair.costs,
    drive: side.drive === undefined ? [] : [parseDrive(side.drive)!],
    device: [...a.device, ...side.device === undefined ? [] : [parseDevice(side.device)!]],
  };
}
