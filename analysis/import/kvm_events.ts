/**
 * The arguments of KVM's tracepoints as the kernel prints them: include/trace/events/kvm.h,
 * arch/x86/kvm/trace.h, arch/arm64/kvm/trace_arm.h, arch/riscv/kvm/trace.h of Linux, old and new forms.
 *
 * Each reader takes the text behind `kvm_…: ` and returns false when it is in no form known, having
 * written nothing. What may follow (fields that newer kernels append) is passed over.
 * @module
 */
import { codeOf } from "../../core/trace/schema.ts";
import { ascii, type Cursor } from "./cursor.ts";
import { type HostThread, type HostTrace, SPACE } from "./host_trace.ts";
import { scauseName } from "./reasons.ts";

export interface KvmEvent {
  read(c: Cursor, host: HostTrace, thread: HostThread, timeNs: number): boolean;
  /** True for events that are known, and become no row. */
  readonly leaveOut?: boolean;
}

const W = (...words: string[]) => words.map(ascii);
const [VCPU, REASON, RIP, COMMA_RIP, PC] = W("vcpu ", "reason ", " rip ", ", rip ", "PC: ");
const [HSR_EC, IN_PARENTHESES, COMMA_PC] = W("HSR_EC: ", " (", ", PC: ");
const [SEPC, SCAUSE, HTVAL, STVAL] = W("SEPC:", ", SCAUSE:", ", HTVAL:", ", STVAL:");
const [MMIO, UNSATISFIED, READ, WRITE] = W("mmio ", "unsatisfied-read", "read", "write");
const [LEN, GPA, VAL] = W(" len ", " gpa ", " val ");
const [PIO, AT, SIZE, COUNT] = W("pio_", " at ", " size ", " count ");
const [FAST_MMIO, ADDRESS, IPA] = W("fast mmio at gpa ", "address ", "ipa ");
const [ERROR_CODE, GSI, LEVEL] = W(" error_code ", "gsi ", " level ");
const [IRQ, NEW_IRQ, SOFT, DST, VEC] = W("irq ", "IRQ ", "Soft/INTn ", "dst ", " vec ");
const [APICID, VECTOR, MSR, CR, EQUALS] = W("apicid ", " vector ", "msr_", "cr_", " = ");
const [INJECT, NUM, COMMA_LEVEL] = W("Inject ", ", num: ", ", level: ");
const [TIMER_VCPU, TIMER_IRQ, TIMER_LEVEL] = W("VCPU: ", ", IRQ ", ", level ");
const SPACE_BYTE = 0x20;
const COLON = 0x3a;
const CLOSE = 0x29;

const RAISE = codeOf("irq_event", "raise");
const LOWER = codeOf("irq_event", "lower");
const INJECTED = codeOf("irq_event", "inject");
const COMPLETE = codeOf("irq_event", "complete");
const GSI_PATH = codeOf("irq_path", "gsi");
const APIC = codeOf("irq_path", "apic");
const VGIC = codeOf("irq_path", "vgic");
const MOST_LINES = 65535;

/** "vcpu 0, rip 0x…" or, in old kernels, "vcpu 0"; elsewhere "PC: 0x…". */
const entry: KvmEvent["read"] = (c, host, thread, timeNs) => {
  let number = -1;
  if (c.word(VCPU)) {
    number = c.decimal();
    if (number < 0) return false;
    if (c.rest > 0 && !(c.word(COMMA_RIP) && c.hex())) return false;
  } else if (!(c.word(PC) && c.hex())) return false;
  host.entry(thread, timeNs, number);
  return true;
};

/** Finds ` rip 0x`, before which the reason stands: one word, or two for flags and exceptions. */
function findRip(c: Cursor): boolean {
  const { bytes, end } = c;
  for (let at = c.at; at < end; at++) {
    if (bytes[at] !== SPACE_BYTE || bytes[at + 1] !== RIP[1]) continue;
    c.from = c.at;
    c.at = at;
    if (c.word(RIP)) return at > c.from;
    c.at = c.from;
  }
  return false;
}

const exit: KvmEvent["read"] = (c, host, thread, timeNs) =>
  x86Exit(c, host, thread, timeNs) || riscvExit(c, host, thread, timeNs) ||
  armExit(c, host, thread, timeNs);

const x86Exit: KvmEvent["read"] = (c, host, thread, timeNs) => {
  const start = c.at;
  let number = -1;
  if (c.word(VCPU)) {
    number = c.decimal();
    if (number < 0 || !c.byte(SPACE_BYTE)) return back(c, start);
  }
  if (!c.word(REASON) || !findRip(c)) return back(c, start);
  const to = c.at - RIP.length;
  const from = c.from;
  if (!c.hex()) return back(c, start);
  return leave(c, host, thread, timeNs, host.hwReasons.code(c.bytes, from, to), number);
};

function back(c: Cursor, start: number): false {
  c.at = start;
  return false;
}

/** An exit whose pc was read last. */
function leave(
  c: Cursor,
  host: HostTrace,
  thread: HostThread,
  timeNs: number,
  hw: number,
  number: number,
): boolean {
  if (hw < 0) return false;
  const under = host.exit(thread, timeNs, hw, number);
  under.pcLo = c.lo;
  under.pcHi = c.hi;
  under.hasPc = true;
  return true;
}

/** "TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x…": what trapped, else the exit code, names it. */
const armExit: KvmEvent["read"] = (c, host, thread, timeNs) => {
  const start = c.at;
  if (!c.token(COLON)) return back(c, start);
  let [from, to] = [c.from, c.at];
  c.at++;
  c.spaces();
  if (!c.word(HSR_EC) || !c.hex() || !c.word(IN_PARENTHESES)) return back(c, start);
  const trapped = c.bytes[from] === 0x54; // "TRAP"; the class of anything else is printed as 0.
  if (!c.token(CLOSE)) return back(c, start);
  if (trapped) [from, to] = [c.from, c.at];
  c.at++;
  if (!c.word(COMMA_PC) || !c.hex()) return back(c, start);
  return leave(c, host, thread, timeNs, host.hwReasons.code(c.bytes, from, to), -1);
};

const encoder = new TextEncoder();

/** "SEPC:0x…, SCAUSE:0x…[ (name)], STVAL:0x…, HTVAL:0x…, HTINST:0x…". */
const riscvExit: KvmEvent["read"] = (c, host, thread, timeNs) => {
  const start = c.at;
  if (!c.word(SEPC) || !c.hex()) return back(c, start);
  const [pcLo, pcHi] = [c.lo, c.hi];
  if (!c.word(SCAUSE) || !c.hex()) return back(c, start);
  const [causeLo, causeHi] = [c.lo, c.hi];
  let hw: number;
  if (c.word(IN_PARENTHESES)) {
    if (!c.token(CLOSE)) return back(c, start);
    hw = host.hwReasons.code(c.bytes, c.from, c.at);
    c.at++;
  } else {
    const name = encoder.encode(scauseName(causeHi >>> 31 === 1, causeLo));
    hw = host.hwReasons.code(name, 0, name.length);
  }
  if (!c.word(STVAL) || !c.hex()) return back(c, start);
  const stvalLo = c.lo;
  if (!c.word(HTVAL) || !c.hex()) return back(c, start);
  const gpa = c.small * 4 + (stvalLo & 3); // htval holds the address without its two lowest bits.
  c.lo = pcLo;
  c.hi = pcHi;
  if (!leave(c, host, thread, timeNs, hw, -1)) return false;
  const guestFault = causeHi >>> 31 === 0 && [20, 21, 23].includes(causeLo);
  if (guestFault && gpa >= 0) host.touched(thread, gpa, null);
  return true;
};

const mmio: KvmEvent["read"] = (c, host, thread, timeNs) => {
  if (!c.word(MMIO)) return false;
  const unsatisfied = c.word(UNSATISFIED);
  const write = !unsatisfied && c.word(WRITE);
  if (!unsatisfied && !write && !c.word(READ)) return false;
  if (!c.word(LEN)) return false;
  const size = c.decimal();
  if (size < 1 || size > 8 || !c.word(GPA) || !c.hex()) return false;
  const gpa = c.small;
  if (gpa < 0 || !c.word(VAL) || !c.hex()) return false;
  // Its value comes with the read that follows when the device model has answered.
  if (unsatisfied) host.touched(thread, gpa, false);
  else host.access(thread, timeNs, host.mmio(gpa, size, write, c.lo, c.hi));
  return true;
};

const fastMmio: KvmEvent["read"] = (c, host, thread) => {
  if (!c.word(FAST_MMIO) || !c.hex() || c.small < 0) return false;
  host.touched(thread, c.small, true);
  return true;
};

const pio: KvmEvent["read"] = (c, host, thread, timeNs) => {
  if (!c.word(PIO)) return false;
  const write = c.word(WRITE);
  if (!write && !c.word(READ)) return false;
  if (!c.word(AT) || !c.hex() || c.hi !== 0 || c.lo > 0xffff) return false;
  const port = c.lo;
  if (!c.word(SIZE)) return false;
  const size = c.decimal();
  if (![1, 2, 4].includes(size) || !c.word(COUNT) || c.decimal() < 0) return false;
  if (!c.word(VAL) || !c.hex()) return false;
  host.access(thread, timeNs, {
    space: SPACE.pio,
    device: host.devices.named("pio", "all I/O ports"),
    register: host.devices.numbered(port, 0),
    offset: port,
    size,
    write,
    lo: c.lo,
    hi: c.hi,
    gpa: null,
  });
  return true;
};

/** MSRs and control registers: "msr_read 1b = 0x…", "cr_write 4 = 0x…". */
function system(prefix: Uint8Array, device: string): KvmEvent["read"] {
  return (c, host, thread, timeNs) => {
    if (!c.word(prefix)) return false;
    const write = c.word(WRITE);
    if (!write && !c.word(READ)) return false;
    if (!c.byte(SPACE_BYTE) || !c.hex() || c.hi !== 0) return false;
    const offset = c.lo;
    if (!c.word(EQUALS) || !c.hex()) return false;
    host.access(thread, timeNs, {
      space: SPACE.system,
      device: host.devices.named(device, "registers of the CPU"),
      register: host.devices.numbered(offset, 0),
      offset,
      size: 8,
      write,
      lo: c.lo,
      hi: c.hi,
      gpa: null,
    });
    return true;
  };
}

const userspaceExit: KvmEvent["read"] = (c, _host, thread) => {
  if (!c.word(REASON) || !c.token(SPACE_BYTE)) return false;
  if (thread.exiting) thread.exit.userExits++;
  return true;
};

/** "vcpu 0 rip 0x… address 0x… error_code 0x…", or "address … error_code …" in hexadecimal. */
const pageFault: KvmEvent["read"] = (c, host, thread) => {
  if (c.word(VCPU) && !(c.decimal() >= 0 && c.word(RIP) && c.hex() && c.byte(SPACE_BYTE))) {
    return false;
  }
  if (!c.word(ADDRESS) || !c.hex()) return false;
  const gpa = c.small;
  if (!c.word(ERROR_CODE) || !c.hex()) return false;
  if (gpa >= 0) host.touched(thread, gpa, null);
  return true;
};

const guestFault: KvmEvent["read"] = (c, host, thread) => {
  if (!c.word(IPA) || !c.hex()) return false;
  if (c.small >= 0) host.touched(thread, c.small, null);
  return true;
};

const setIrq: KvmEvent["read"] = (c, host, thread, timeNs) => {
  if (!c.word(GSI)) return false;
  const gsi = c.decimal();
  if (gsi < 0 || gsi > MOST_LINES || !c.word(LEVEL)) return false;
  const level = c.signed();
  if (level === null) return false;
  host.irq(thread, timeNs, level > 0 ? RAISE : LOWER, gsi, GSI_PATH);
  return true;
};

/**
 * Old kernels print "dst 0 vec 41" in decimal and hexadecimal, new ones "dst 0 vec 65" the other way
 * round: which vector it is cannot be told, so no row says it.
 */
const msi: KvmEvent["read"] = (c) => {
  return c.word(DST) && c.hex() && c.word(VEC) && c.hex();
};

/** "irq 65", or "IRQ 0x41" and "Soft/INTn 0x80" in newer kernels. */
const injVirq: KvmEvent["read"] = (c, host, thread, timeNs) => {
  let vector: number;
  if (c.word(IRQ)) vector = c.decimal();
  else if ((c.word(NEW_IRQ) || c.word(SOFT)) && c.hex()) vector = c.small;
  else return false;
  if (vector < 0 || vector > 255) return false;
  host.irq(thread, timeNs, INJECTED, vector, APIC);
  return true;
};

const eoi: KvmEvent["read"] = (c, host, thread, timeNs) => {
  if (!c.word(APICID) || !c.hex() || !c.word(VECTOR)) return false;
  const vector = c.signed();
  if (vector === null || vector > 255) return false;
  if (vector >= 0) host.irq(thread, timeNs, COMPLETE, vector, APIC);
  return true;
};

/** arm64: "Inject VGIC SPI interrupt (2), vcpu->idx: 0, num: 37, level: 1". */
const irqLine: KvmEvent["read"] = (c, host, thread, timeNs) => {
  if (!c.word(INJECT)) return false;
  for (; c.rest > 0 && !c.word(NUM); c.at++);
  const line = c.decimal();
  if (line < 0 || line > MOST_LINES || !c.word(COMMA_LEVEL)) return false;
  const level = c.decimal();
  if (level < 0) return false;
  host.irq(thread, timeNs, level > 0 ? RAISE : LOWER, line, VGIC);
  return true;
};

/** arm64's virtual timers: "VCPU: 0, IRQ 27, level 1". */
const timerIrq: KvmEvent["read"] = (c, host, thread, timeNs) => {
  if (!c.word(TIMER_VCPU) || c.decimal() < 0 || !c.word(TIMER_IRQ)) return false;
  const line = c.decimal();
  if (line < 0 || line > MOST_LINES || !c.word(TIMER_LEVEL)) return false;
  const level = c.decimal();
  if (level < 0) return false;
  host.irq(thread, timeNs, level > 0 ? RAISE : LOWER, line, VGIC);
  return true;
};

/** Events whose text is of no use here: what they tell is in others, or has no place in a row. */
const noRow: KvmEvent = { read: () => true, leaveOut: true };

export const KVM_EVENTS: Readonly<Record<string, KvmEvent>> = {
  kvm_entry: { read: entry },
  kvm_exit: { read: exit },
  kvm_mmio: { read: mmio },
  kvm_fast_mmio: { read: fastMmio },
  kvm_pio: { read: pio },
  kvm_msr: { read: system(MSR, "msr") },
  kvm_cr: { read: system(CR, "cr") },
  kvm_userspace_exit: { read: userspaceExit },
  kvm_page_fault: { read: pageFault },
  kvm_guest_fault: { read: guestFault },
  kvm_set_irq: { read: setIrq },
  kvm_inj_virq: { read: injVirq },
  kvm_eoi: { read: eoi },
  kvm_pv_eoi: { read: eoi },
  kvm_irq_line: { read: irqLine },
  kvm_timer_update_irq: { read: timerIrq },
  kvm_msi_set_irq: { read: msi, leaveOut: true },
  kvm_apic_accept_irq: noRow,
  kvm_ioapic_set_irq: noRow,
  kvm_pic_set_irq: noRow,
  kvm_ack_irq: noRow,
  kvm_cpuid: noRow,
  kvm_hypercall: noRow,
  kvm_apic: noRow,
  kvm_apic_ipi: noRow,
  kvm_fpu: noRow,
  kvm_ple_window: noRow,
  kvm_ple_window_update: noRow,
  kvm_halt_poll_ns: noRow,
  kvm_vcpu_wakeup: noRow,
  kvm_write_tsc_offset: noRow,
  kvm_hv_timer_state: noRow,
  kvm_wait_lapic_expire: noRow,
  kvm_inj_exception: noRow,
  kvm_emulate_insn: noRow,
  kvm_mmio_emulate: noRow,
  kvm_timer_emulate: noRow,
  kvm_timer_save_state: noRow,
  kvm_timer_restore_state: noRow,
  kvm_timer_hrtimer_expire: noRow,
  kvm_get_timer_map: noRow,
  kvm_wfx_arm64: noRow,
  kvm_hvc_arm64: noRow,
  kvm_handle_sys_reg: noRow,
  kvm_sys_access: noRow,
  vgic_update_irq_pending: noRow,
};
