/**
 * What hosts call their exits, as neutral reasons: the names that the kvm_exit tracepoint prints for VMX
 * and SVM (arch/x86/include/uapi/asm/vmx.h and svm.h), arm64 (ESR_ELx.EC) and RISC-V (scause, Privileged
 * ISA table "mcause values" and Hypervisor §"trap cause codes"), and QEMU's numbers (linux/kvm.h).
 * A name that is in no list is `other`: it is never guessed.
 * @module
 */
import { codeOf, type CODES } from "../../core/trace/schema.ts";

type Reason = (typeof CODES.reason)[number]["name"];

/** Exits that are an access when one follows are called after it; see `HostTrace`. */
const NEUTRAL: Partial<Record<Reason, string>> = {
  mmio: "EPT_MISCONFIG APIC_ACCESS APIC_WRITE DABT_LOW KVM_EXIT_MMIO avic_unaccelerated_access",
  pio: "IO_INSTRUCTION io KVM_EXIT_IO",
  stage2_fault: "EPT_VIOLATION npf IABT_LOW INST_GUEST_PAGE_FAULT LOAD_GUEST_PAGE_FAULT " +
    "STORE_GUEST_PAGE_FAULT KVM_EXIT_MEMORY_FAULT",
  hypercall: "VMCALL vmmcall hypercall HVC64 HVC32 SMC64 SUPERVISOR_SYSCALL KVM_EXIT_HYPERCALL " +
    "KVM_EXIT_RISCV_SBI KVM_EXIT_HYPERV",
  wfi: "HLT hlt WFx MWAIT_INSTRUCTION mwait VIRTUAL_INST_FAULT KVM_EXIT_HLT",
  external_interrupt: "EXTERNAL_INTERRUPT interrupt IRQ S_EXT S_TIMER S_SOFT KVM_EXIT_INTR",
  system_register:
    "MSR_READ MSR_WRITE CR_ACCESS DR_ACCESS msr SYS64 cr0_sel_trap CP15_32 CP15_64 " +
    "KVM_EXIT_X86_RDMSR KVM_EXIT_X86_WRMSR",
  instruction: "CPUID INVD INVLPG RDPMC RDTSC RDTSCP WBINVD XSETBV INVPCID INVEPT INVVPID " +
    "MONITOR_INSTRUCTION PAUSE_INSTRUCTION TASK_SWITCH RDRAND RDSEED ENCLS VMCLEAR VMLAUNCH VMPTRLD " +
    "VMPTRST VMREAD VMRESUME VMWRITE VMOFF VMON cpuid invd invlpg rdpmc rdtsc rdtscp wbinvd xsetbv " +
    "monitor pause task_switch rsm iret invlpga vmrun vmload vmsave stgi clgi skinit invpcid " +
    "FP_ASIMD SVE ERET",
  exception: "EXCEPTION_NMI nmi KVM_EXIT_EXCEPTION BRK64 SOFTSTP_LOW BREAKPT_LOW WATCHPT_LOW",
};

const BY_NAME = new Map(
  Object.entries(NEUTRAL).flatMap(([reason, names]) =>
    names.split(" ").map((name) => [name, codeOf("reason", reason as Reason)] as const)
  ),
);

/** Code of the neutral reason for what a host calls `name`. */
export function neutralReason(name: string): number {
  const known = BY_NAME.get(name.replace(/^(EXC|IRQ)_/, "").replace(/ FAILED_VMENTRY$/, ""));
  if (known !== undefined) return known;
  if (/^(read|write)_[cd]r\d+$/.test(name)) return codeOf("reason", "system_register");
  if (/^\w+ excp$/.test(name)) return codeOf("reason", "exception");
  return codeOf("reason", "other");
}

const SCAUSE_EXCEPTIONS =
  ("INST_MISALIGNED INST_ACCESS INST_ILLEGAL BREAKPOINT LOAD_MISALIGNED LOAD_ACCESS " +
    "STORE_MISALIGNED STORE_ACCESS SYSCALL HYPERVISOR_SYSCALL SUPERVISOR_SYSCALL - INST_PAGE_FAULT " +
    "LOAD_PAGE_FAULT - STORE_PAGE_FAULT - - - - INST_GUEST_PAGE_FAULT LOAD_GUEST_PAGE_FAULT " +
    "VIRTUAL_INST_FAULT STORE_GUEST_PAGE_FAULT").split(" ");
const SCAUSE_INTERRUPTS =
  "- S_SOFT VS_SOFT M_SOFT - S_TIMER VS_TIMER M_TIMER - S_EXT VS_EXT M_EXT S_GEXT PMU_OVF"
    .split(" ");

/** The name of a RISC-V trap cause, as our kvm-riscv profile spells it; its number where it has none. */
export function scauseName(interrupt: boolean, cause: number): string {
  const name = (interrupt ? SCAUSE_INTERRUPTS : SCAUSE_EXCEPTIONS)[cause];
  const known = name !== undefined && name !== "-";
  return known ? name : `${interrupt ? "interrupt" : "exception"} ${cause}`;
}

const KVM_EXITS =
  ("UNKNOWN EXCEPTION IO HYPERCALL DEBUG HLT MMIO IRQ_WINDOW_OPEN SHUTDOWN FAIL_ENTRY INTR SET_TPR " +
    "TPR_ACCESS S390_SIEIC S390_RESET DCR NMI INTERNAL_ERROR OSI PAPR_HCALL S390_UCONTROL WATCHDOG " +
    "S390_TSCH EPR SYSTEM_EVENT S390_STSI IOAPIC_EOI HYPERV ARM_NISV X86_RDMSR X86_WRMSR " +
    "DIRTY_RING_FULL AP_RESET_HOLD X86_BUS_LOCK XEN RISCV_SBI RISCV_CSR NOTIFY").split(" ");

/** The name of a number that KVM_RUN returned with (linux/kvm.h). */
export function kvmExitName(number: number): string {
  return `KVM_EXIT_${KVM_EXITS[number] ?? number}`;
}
