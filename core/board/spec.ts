/**
 * What a machine is made of, as plain JSON: kept whole in a trace's manifest, so that a replay builds
 * the same machine. Files are named and pinned by digest, never contained.
 * @module
 */
import type { ProfileName } from "../vmm/profiles.ts";

export interface FileRef {
  /** Path as given, or `bundled:NAME` for a guest that comes with the project. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

export type SerialKind = "sifive" | "16550" | "virtio";

/** A device added with `--device`. */
export interface DeviceSpec {
  /** Name of a device type of the project, or the path of a user's own device file. */
  readonly use: string;
  /** The device file, pinned; null for a type of the project. */
  readonly file: FileRef | null;
  /** Guest-physical address; null: the next free one of the platform bus. */
  readonly addr: number | null;
  /** Interrupt source at the PLIC; null: the next free one. */
  readonly irq: number | null;
  /** Slot on the PCI bus; null, or absent as in old manifests: the next free one. */
  readonly slot?: number | null;
  readonly props: Readonly<Record<string, string>>;
}

/** A guest whose files come from packages, so that its versions are known. */
export interface GuestRef {
  readonly name: string;
  /** None when the user gave the files. */
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
    readonly bytes: number;
  }[];
}

/** A disk's medium and where it is attached, as `--drive` gives it. */
export interface DriveSpec {
  /** As people name it: `drive0`. */
  readonly id: string;
  /** The image, as given; null: a medium without a file. */
  readonly path: string | null;
  readonly sizeBytes: number;
  /** Digest of the image at the start of the recording, where it was small enough to take. */
  readonly sha256: string | null;
  /** Without a file: what the first contents follow from; null: zeros. */
  readonly seed: number | null;
  /** The device that is made for it; `none`: a device of `--device` names it. */
  readonly interface: "virtio" | "scsi" | "none";
  /** Of `virtio`: what its device is plugged into; absent, as in old manifests: mmio. */
  readonly bus?: "mmio" | "pci";
  /** Slot on that bus; null: one that is free. */
  readonly slot: number | null;
  readonly readOnly: boolean;
  /** Writes go to the image, too; else it is never changed. */
  readonly write: boolean;
  /** What is read of the image is kept in the trace, so that a replay needs no image. */
  readonly embed: boolean;
  readonly latencyNs: number;
  /** Bytes per second; 0: no limit. */
  readonly bandwidth: number;
  /** Properties of its device. */
  readonly props: Readonly<Record<string, string>>;
}

export interface MachineSpec {
  readonly board: "virt";
  readonly memoryBytes: number;
  readonly harts: number;
  /** ISA string; null: what the project claims. */
  readonly isa: string | null;
  /** Virtual ns per executed instruction. */
  readonly nsPerInsn: number;
  /** Instructions a hart runs before the one furthest behind is chosen anew. */
  readonly quantumInsns: number;
  readonly serial: SerialKind;
  /** Properties of the serial device. */
  readonly serialProps: Readonly<Record<string, string>>;
  readonly bios: "builtin" | "none" | FileRef;
  readonly kernel: FileRef | null;
  readonly loads: readonly { readonly file: FileRef; readonly addr: number }[];
  readonly initrd: FileRef | null;
  /** Absent: nobody knows what the kernel is. */
  readonly guest?: GuestRef;
  /** Kernel command line. */
  readonly append: string;
  readonly hypervisor: ProfileName;
  readonly stage2Page: "4k" | "2m";
  /** Cost profile fed into virtual time; null: exits take no virtual time. */
  readonly costs: string | null;
  readonly devices: readonly DeviceSpec[];
  /** Files that name the guest's code and are not loaded; none when left out. */
  readonly symbols?: readonly FileRef[];
  /** None in traces older than drives. */
  readonly drives?: readonly DriveSpec[];
  /** Wall clock that the RTC shows at reset, in ns since 1970. */
  readonly rtcStartNs: number;
}

export const DEFAULT_SPEC: MachineSpec = {
  board: "virt",
  memoryBytes: 128 * 1024 * 1024,
  harts: 1,
  isa: null,
  nsPerInsn: 1,
  quantumInsns: 1000,
  serial: "16550",
  serialProps: {},
  bios: "builtin",
  kernel: null,
  loads: [],
  initrd: null,
  append: "",
  hypervisor: "kvm-riscv",
  stage2Page: "4k",
  costs: null,
  devices: [],
  drives: [],
  // 2025-01-01T00:00:00Z: a fixed start, so that two recordings are alike.
  rtcStartNs: 1_735_689_600_000_000_000,
};
