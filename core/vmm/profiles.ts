/**
 * Hypervisor profiles: which events exit, what the modelled hypervisor calls them, who serves them.
 *
 * Sources: Linux arch/riscv/kvm (exit names are the scause values of the RISC-V Privileged ISA, H
 * extension, table "scause after trap"), Intel SDM vol. 3C appendix C (basic exit reasons, by their
 * Linux names), RISC-V SBI 2.0.
 *
 * A profile is a model of names, rules and prices laid over a RISC-V guest; nothing here was measured
 * on that hypervisor.
 * @module
 */
import type { Code } from "../trace/schema.ts";

export type Handler = "kernel" | "user";
export type AccessKind = "fetch" | "load" | "store";
/** Interrupts that a hart can be sent from outside: RISC-V cause codes without the top bit. */
export type InterruptKind = "external" | "timer" | "software";

/** How one kind of exit is named and served; `hw` is a key of the profile's `names`. */
export interface ExitRule {
  readonly hw: string | null;
  readonly handler: Handler;
}

export interface Profile {
  readonly name: string;
  readonly doc: string;
  /** Position = code of `hw_reason`. */
  readonly names: readonly Code[];
  /** Privilege switches of one exit, there and back. */
  readonly transitions: Readonly<Record<Handler, number>>;
  /** True when the machine runs under this hypervisor at all; false: bare metal. */
  readonly virtualized: boolean;
  readonly stage2: (kind: AccessKind) => ExitRule;
  /** `known` is true when this page of device registers was accessed before. */
  readonly mmio: (write: boolean, known: boolean) => ExitRule;
  /** An access in the PCI I/O window. */
  readonly pio: (write: boolean) => ExitRule;
  readonly hypercall: (handler: Handler) => ExitRule;
  readonly wfi: ExitRule;
  readonly interrupt: (kind: InterruptKind) => ExitRule;
  /** True when a timer that expires while the guest runs interrupts the host first. */
  readonly timerExits: boolean;
}

const scause = (code: number, name: string): Code => ({
  name,
  spec: `RISC-V Privileged ISA, hypervisor extension: scause ${code}`,
});
const vmx = (code: number, name: string): Code => ({
  name,
  spec: `Intel SDM vol. 3C appendix C: basic exit reason ${code}`,
});

const GUEST_PAGE_FAULT = {
  fetch: "INST_GUEST_PAGE_FAULT",
  load: "LOAD_GUEST_PAGE_FAULT",
  store: "STORE_GUEST_PAGE_FAULT",
} as const;
const HOST_INTERRUPT = { external: "S_EXT", timer: "S_TIMER", software: "S_SOFT" } as const;

/** KVM on RISC-V with the hypervisor extension: interrupt controller in user space, Sstc. */
const kvmRiscv: Profile = {
  name: "kvm-riscv",
  doc: "KVM on RISC-V: PLIC in user space, timer by Sstc without exits",
  names: [
    scause(10, "SUPERVISOR_SYSCALL"),
    scause(20, GUEST_PAGE_FAULT.fetch),
    scause(21, GUEST_PAGE_FAULT.load),
    scause(22, "VIRTUAL_INST_FAULT"),
    scause(23, GUEST_PAGE_FAULT.store),
    scause(1, HOST_INTERRUPT.software),
    scause(5, HOST_INTERRUPT.timer),
    scause(9, HOST_INTERRUPT.external),
  ],
  transitions: { kernel: 2, user: 4 },
  virtualized: true,
  stage2: (kind) => ({ hw: GUEST_PAGE_FAULT[kind], handler: "kernel" }),
  mmio: (write) => ({ hw: GUEST_PAGE_FAULT[write ? "store" : "load"], handler: "user" }),
  // A window of memory like any other: RISC-V has no instructions for ports.
  pio: (write) => ({ hw: GUEST_PAGE_FAULT[write ? "store" : "load"], handler: "user" }),
  hypercall: (handler) => ({ hw: "SUPERVISOR_SYSCALL", handler }),
  wfi: { hw: "VIRTUAL_INST_FAULT", handler: "kernel" },
  interrupt: (kind) => ({ hw: HOST_INTERRUPT[kind], handler: "kernel" }),
  timerExits: false,
};

/**
 * KVM on Intel VT-x. The first access to a page of device registers is an EPT violation, which
 * completes the access and marks the page (reserved bits in its EPT entry), so that every later one is
 * an EPT misconfiguration.
 */
const kvmX86: Profile = {
  name: "kvm-x86",
  doc: "KVM on Intel VT-x, its exit names and rules laid over this RISC-V guest",
  names: [
    vmx(1, "EXTERNAL_INTERRUPT"),
    vmx(12, "HLT"),
    vmx(18, "VMCALL"),
    vmx(30, "IO_INSTRUCTION"),
    vmx(48, "EPT_VIOLATION"),
    vmx(49, "EPT_MISCONFIG"),
  ],
  transitions: { kernel: 2, user: 4 },
  virtualized: true,
  stage2: () => ({ hw: "EPT_VIOLATION", handler: "kernel" }),
  mmio: (_write, known) => ({ hw: known ? "EPT_MISCONFIG" : "EPT_VIOLATION", handler: "user" }),
  pio: () => ({ hw: "IO_INSTRUCTION", handler: "user" }),
  hypercall: (handler) => ({ hw: "VMCALL", handler }),
  wfi: { hw: "HLT", handler: "kernel" },
  interrupt: () => ({ hw: "EXTERNAL_INTERRUPT", handler: "kernel" }),
  timerExits: true,
};

/** No hypervisor: device accesses are neutral `mmio` rows, nothing else exits. */
const none: Profile = {
  name: "none",
  doc: "a machine under no hypervisor; device accesses are counted as neutral mmio exits",
  names: [],
  transitions: { kernel: 0, user: 0 },
  virtualized: false,
  stage2: () => ({ hw: null, handler: "kernel" }),
  mmio: () => ({ hw: null, handler: "user" }),
  pio: () => ({ hw: null, handler: "user" }),
  hypercall: (handler) => ({ hw: null, handler }),
  wfi: { hw: null, handler: "kernel" },
  interrupt: () => ({ hw: null, handler: "kernel" }),
  timerExits: false,
};

export const PROFILES = { "kvm-riscv": kvmRiscv, "kvm-x86": kvmX86, none } as const;
export type ProfileName = keyof typeof PROFILES;

/** The code of `hw` among the profile's names; null for none. Throws for a name it does not list. */
export function hwReasonCode(profile: Profile, hw: string | null): number | null {
  if (hw === null) return null;
  const code = profile.names.findIndex((n) => n.name === hw);
  if (code < 0) throw new Error(`profile ${profile.name} does not list the exit name ${hw}`);
  return code;
}
