/**
 * The trace schema: every table and every column once, with its type, its unit and a sentence.
 * Writers, readers, views, `query`'s tour and the documentation are all derived from it.
 *
 * A 64-bit quantity that may exceed 2^53 (`wide`) is given to the writer as two 32-bit lanes, `name`
 * and `name_hi`; one that cannot (`u64`) is given as a plain number. Both are `uint64` on disk.
 * @module
 */

/** Bumped when a column is removed or changes its meaning; added columns do not bump it. */
export const SCHEMA_VERSION = 1;

export type ColumnType = "u8" | "u16" | "u32" | "u64" | "wide" | "i32" | "bool" | "utf8" | "binary";

/** Bytes of one value on disk, a bit counted as a byte; text and bytes count their offset only. */
export const VALUE_BYTES: Readonly<Record<ColumnType, number>> = {
  ...{ u8: 1, u16: 2, u32: 4, u64: 8, wide: 8, i32: 4, bool: 1, utf8: 4, binary: 4 },
};

export interface Column<T extends ColumnType = ColumnType, N extends boolean = boolean> {
  readonly type: T;
  readonly nullable: N;
  /** The kind of `name` rows that its codes stand for, for enumerations. */
  readonly codes: CodeKind | null;
  /** One sentence: what the value means, with its unit. */
  readonly doc: string;
  /** Only an imported trace of a host has it: a machine's would be null throughout. */
  readonly ofHosts?: true;
}

/** Of a table: every column, or those that a machine can fill. */
export type Columns = "all" | "machine";

export interface Table {
  /** One sentence: what a row is. */
  readonly doc: string;
  readonly columns: Readonly<Record<string, Column>>;
}

const column = <T extends ColumnType>(type: T, doc: string): Column<T, false> => ({
  type,
  nullable: false,
  codes: null,
  doc,
});
const nullable = <T extends ColumnType>(type: T, doc: string): Column<T, true> => ({
  ...column(type, doc),
  nullable: true,
});
const code = <T extends "u8" | "u16">(
  type: T,
  codes: CodeKind,
  doc: string,
): Column<T, false> => ({ ...column(type, doc), codes });
const ofHosts = <C extends Column>(column: C): C => ({ ...column, ofHosts: true });
const nullableCode = <T extends "u8" | "u16">(
  type: T,
  codes: CodeKind,
  doc: string,
): Column<T, true> => ({ ...nullable(type, doc), codes });

/** A code's name and where it comes from: what a `name` row says of an enumeration's value. */
export interface Code {
  readonly name: string;
  readonly spec: string;
}

const exitSeq = (what: string) =>
  nullable("u64", `seq of the exit during which ${what}; null when it happened outside any exit.`);

/**
 * Codes that every trace shares; position = code. The kinds `device`, `register` and `hw_reason`
 * depend on the machine and are filled in when it is built.
 */
export const CODES = {
  reason: [
    { name: "mmio", spec: "an access to a device's memory-mapped registers" },
    { name: "pio", spec: "an access in the PCI I/O window" },
    { name: "stage2_fault", spec: "first touch of a RAM page that stage 2 did not map yet" },
    { name: "hypercall", spec: "an SBI call (RISC-V SBI 2.0)" },
    { name: "wfi", spec: "the guest asked to wait for an interrupt (Privileged ISA §3.3.3)" },
    {
      name: "external_interrupt",
      spec: "a device or timer interrupt arrived while the guest was running",
    },
    { name: "system_register", spec: "an access to a system register: MSR, CSR, CR, DR, SYS64" },
    { name: "instruction", spec: "another instruction that the hypervisor intercepts, as CPUID" },
    { name: "exception", spec: "an exception that the hypervisor intercepts" },
    { name: "other", spec: "anything else, in imported traces: hw_reason says what" },
  ],
  handler: [
    { name: "kernel", spec: "served by the hypervisor in the host kernel" },
    { name: "user", spec: "served by the device model in a user process" },
  ],
  cpu_mode: [
    { name: "U", spec: "user mode" },
    { name: "S", spec: "supervisor mode" },
    { name: "reserved", spec: "encoding 2 is reserved" },
    { name: "M", spec: "machine mode" },
    { name: "unknown", spec: "not told, in imported traces" },
  ],
  space: [
    { name: "mmio", spec: "memory-mapped register" },
    { name: "pio", spec: "port of the I/O window" },
    { name: "pci_config", spec: "PCI configuration space" },
    { name: "system_register", spec: "MSR or control register, in imported traces" },
    { name: "unknown", spec: "not told, in imported traces" },
  ],
  vring_event: [
    { name: "kick", spec: "the driver wrote QueueNotify" },
    { name: "pop", spec: "the device took a chain from the available ring" },
    { name: "descriptor", spec: "the device read one descriptor of the chain" },
    { name: "push", spec: "the device put the chain into the used ring" },
    { name: "interrupt", spec: "the device sent a used buffer notification" },
    { name: "interrupt_suppressed", spec: "the driver had asked for no used buffer notification" },
    { name: "notify_enabled", spec: "the device asked for available buffer notifications" },
    { name: "notify_suppressed", spec: "the device asked for no available buffer notifications" },
    { name: "error", spec: "the driver broke a rule of the specification; the device said so" },
  ],
  irq_event: [
    { name: "raise", spec: "the device's line went up" },
    { name: "lower", spec: "the device's line went down" },
    { name: "coalesce", spec: "the device had cause to interrupt while its line was up already" },
    { name: "inject", spec: "the hart took the interrupt trap" },
    { name: "acknowledge", spec: "the driver claimed the interrupt at its controller" },
    { name: "complete", spec: "the driver completed the interrupt at its controller" },
    { name: "message", spec: "the device sent a message instead of driving a line" },
  ],
  irq_path: [
    { name: "wire", spec: "a device's wire into the interrupt controller" },
    { name: "plic", spec: "platform-level interrupt controller" },
    { name: "aclint", spec: "machine-level timer and software interrupts" },
    { name: "sstc", spec: "supervisor timer compare (Sstc)" },
    { name: "sbi", spec: "software interrupt through SBI" },
    { name: "msi", spec: "PCI message signalled interrupt (MSI)" },
    { name: "msix", spec: "PCI message signalled interrupt of the device's table (MSI-X)" },
    { name: "gsi", spec: "global system interrupt of a host's KVM, in imported traces" },
    { name: "apic", spec: "local APIC of an x86 host's KVM, in imported traces" },
    { name: "vgic", spec: "interrupt controller of an arm64 host's KVM, in imported traces" },
  ],
  request_kind: [
    { name: "console_write", spec: "bytes from the guest to a serial device" },
    { name: "console_read", spec: "bytes from a serial device to the guest" },
    { name: "disk_read", spec: "sectors from a disk to the guest" },
    { name: "disk_write", spec: "sectors from the guest to a disk" },
    { name: "disk_flush", spec: "what was written becomes durable" },
    { name: "disk_discard", spec: "sectors are needed no more; the bytes are those of the list" },
    { name: "disk_write_zeroes", spec: "sectors become zero; the bytes are those of the list" },
    { name: "disk_get_id", spec: "the disk's serial number" },
    { name: "disk_unknown", spec: "a command that the disk does not know" },
    { name: "rng_read", spec: "random bytes to the guest" },
    { name: "factorial", spec: "edu: the factorial of a number" },
    { name: "increment", spec: "edu: the successor of a number" },
    { name: "dma_copy", spec: "edu: bytes copied between RAM and the device's buffer" },
    { name: "scsi_control", spec: "a SCSI command that neither reads nor changes the medium" },
  ],
  request_status: [
    { name: "ok", spec: "done" },
    { name: "error", spec: "the device reported an error" },
  ],
  scsi_command: [
    { name: "TEST UNIT READY", spec: "SPC-4" },
    { name: "REQUEST SENSE", spec: "SPC-4" },
    { name: "READ (6)", spec: "SBC-2" },
    { name: "WRITE (6)", spec: "SBC-2" },
    { name: "INQUIRY", spec: "SPC-4" },
    { name: "MODE SELECT (6)", spec: "SPC-4" },
    { name: "RESERVE (6)", spec: "SPC-2" },
    { name: "RELEASE (6)", spec: "SPC-2" },
    { name: "MODE SENSE (6)", spec: "SPC-4" },
    { name: "START STOP UNIT", spec: "SBC-3" },
    { name: "SEND DIAGNOSTIC", spec: "SPC-4" },
    { name: "PREVENT ALLOW MEDIUM REMOVAL", spec: "SBC-3" },
    { name: "READ CAPACITY (10)", spec: "SBC-3" },
    { name: "READ (10)", spec: "SBC-3" },
    { name: "WRITE (10)", spec: "SBC-3" },
    { name: "WRITE AND VERIFY (10)", spec: "SBC-3" },
    { name: "VERIFY (10)", spec: "SBC-3" },
    { name: "SYNCHRONIZE CACHE (10)", spec: "SBC-3" },
    { name: "WRITE SAME (10)", spec: "SBC-3" },
    { name: "UNMAP", spec: "SBC-3" },
    { name: "MODE SELECT (10)", spec: "SPC-4" },
    { name: "MODE SENSE (10)", spec: "SPC-4" },
    { name: "READ (16)", spec: "SBC-3" },
    { name: "WRITE (16)", spec: "SBC-3" },
    { name: "WRITE AND VERIFY (16)", spec: "SBC-3" },
    { name: "VERIFY (16)", spec: "SBC-3" },
    { name: "SYNCHRONIZE CACHE (16)", spec: "SBC-3" },
    { name: "WRITE SAME (16)", spec: "SBC-3" },
    { name: "READ CAPACITY (16)", spec: "SBC-3" },
    { name: "REPORT LUNS", spec: "SPC-4" },
    { name: "READ (12)", spec: "SBC-3" },
    { name: "WRITE (12)", spec: "SBC-3" },
    { name: "WRITE AND VERIFY (12)", spec: "SBC-3" },
    { name: "VERIFY (12)", spec: "SBC-3" },
  ],
  step_kind: [
    { name: "instruction", spec: "the device's own processor executed an instruction" },
    { name: "table_fetch", spec: "it read an operand of an instruction from a table in memory" },
  ],
  step_op: [
    { name: "MOVE", spec: "SCRIPTS: block move" },
    { name: "CHMOV", spec: "SCRIPTS: chained block move" },
    { name: "SELECT", spec: "SCRIPTS: select or reselect a device on the SCSI bus" },
    { name: "WAIT DISCONNECT", spec: "SCRIPTS: wait for the target to leave the bus" },
    { name: "WAIT RESELECT", spec: "SCRIPTS: wait for a target to come back to the bus" },
    { name: "SET", spec: "SCRIPTS: set ATN, ACK, target mode or carry" },
    { name: "CLEAR", spec: "SCRIPTS: clear ATN, ACK, target mode or carry" },
    { name: "MOVE REGISTER", spec: "SCRIPTS: read, modify and write a register" },
    { name: "JUMP", spec: "SCRIPTS: conditional or unconditional jump" },
    { name: "CALL", spec: "SCRIPTS: jump that keeps the return address in TEMP" },
    { name: "RETURN", spec: "SCRIPTS: jump to the address in TEMP" },
    { name: "INT", spec: "SCRIPTS: stop and interrupt" },
    { name: "INTFLY", spec: "SCRIPTS: interrupt on the fly" },
    { name: "MOVE MEMORY", spec: "SCRIPTS: copy memory" },
    { name: "LOAD", spec: "SCRIPTS: memory to a register" },
    { name: "STORE", spec: "SCRIPTS: a register to memory" },
    { name: "illegal", spec: "SCRIPTS: no instruction" },
  ],
  input_kind: [
    { name: "device", spec: "bytes or a signal handed to a device by the outside world" },
    { name: "stop", spec: "the recording was asked to stop here" },
    { name: "medium", spec: "a piece of a drive's file was read for the first time" },
  ],
  symbol_source: [
    { name: "elf", spec: "symbol table of an ELF file (System V gABI)" },
    { name: "listing", spec: "a listing such as System.map, given with --symbols" },
    { name: "kallsyms", spec: "the kernel's own table, read from guest memory when the run ended" },
  ],
} as const satisfies Record<string, readonly Code[]>;

/** Kinds whose codes depend on the machine: devices, their registers, the profile's exit names. */
export type MachineCodeKind = "device" | "register" | "hw_reason";
export type CodeKind = keyof typeof CODES | MachineCodeKind;

/** The code of `name` among the shared `kind`: `codeOf("reason", "mmio")` is 0. */
export function codeOf<K extends keyof typeof CODES>(
  kind: K,
  name: (typeof CODES)[K][number]["name"],
): number {
  return (CODES[kind] as readonly Code[]).findIndex((c) => c.name === name);
}

/** On every row of every event table. */
export const COMMON = {
  seq: column("u64", "Position in the one order over all tables of a trace, from 0."),
  time_ns: column(
    "u64",
    "Virtual time in ns since reset, on this vcpu's clock; imported: host ns since the first event.",
  ),
  icount: nullable("u64", "Instructions executed by this vcpu since reset; null when imported."),
  vcpu: column(
    "u8",
    "Hart on whose clock the event happened; imported: 255 for a thread that runs no vCPU.",
  ),
} satisfies Record<string, Column>;

const device = (doc: string) => code("u8", "device", doc);

export const TABLES = {
  exit: {
    doc: "One row per VM exit.",
    columns: {
      ...COMMON,
      reason: code("u8", "reason", "Neutral reason of the exit, the same for every hypervisor."),
      hw_reason: nullableCode(
        "u16",
        "hw_reason",
        "What the modelled hypervisor calls it; null without one.",
      ),
      handler: code("u8", "handler", "Who served the exit: the host kernel or a user process."),
      transitions: column("u8", "Privilege switches from guest to handler and back, a count."),
      cpu_mode: code("u8", "cpu_mode", "Privilege mode of the hart when it left the guest."),
      pc: nullable(
        "wide",
        "Guest virtual address of the instruction that exited or was next; null when not told.",
      ),
      gpa: nullable("u64", "Guest-physical address accessed; null when the exit has none."),
      size: nullable("u8", "Bytes accessed; null when the exit is no access."),
      write: nullable("bool", "True for a write, false for a read; null when no access."),
      value: nullable(
        "wide",
        "Value read or written, zero-extended; a hypercall's extension id (a7); null when none.",
      ),
      device: nullableCode("u8", "device", "Device accessed; null when the exit concerns none."),
      register: nullableCode("u16", "register", "Register accessed; null when none is declared."),
      insns: nullable(
        "u64",
        "Instructions this vcpu executed since its exit before, a count; null when imported.",
      ),
      cost_ns: column("u32", "Virtual ns this exit was charged by --costs; 0 without."),
      duration_ns: ofHosts(nullable(
        "u64",
        "Host ns from leaving the guest to entering it again; null unless an imported trace tells.",
      )),
    },
  },
  access: {
    doc: "One row per device register access, whether it caused an exit or not.",
    columns: {
      ...COMMON,
      space: code("u8", "space", "Address space of the access."),
      device: device("Device accessed."),
      register: nullableCode("u16", "register", "Register accessed; null when none is declared."),
      offset: column("u32", "Offset from the start of the device's region, in bytes."),
      size: column("u8", "Bytes accessed: 1, 2, 4 or 8."),
      write: column("bool", "True for a write, false for a read."),
      value: column("wide", "Value read or written, zero-extended."),
      exit_seq: exitSeq("it was made"),
    },
  },
  vring: {
    doc: "One row per event of a virtqueue.",
    columns: {
      ...COMMON,
      event: code("u8", "vring_event", "What happened."),
      device: device("Device that the queue belongs to."),
      queue: column("u16", "Index of the queue in its device."),
      head: nullable("u16", "Index of the chain's first descriptor; null when no chain is meant."),
      desc_index: nullable(
        "u16",
        "Index of this descriptor in its table; null when none is meant.",
      ),
      gpa: nullable("wide", "Guest-physical address of the descriptor's buffer; null when none."),
      length: nullable("u32", "Bytes of the descriptor, or written by the device on push."),
      flags: nullable("u16", "Flags of the descriptor or of the ring, as the driver wrote them."),
      avail_idx: nullable("u16", "avail.idx as last read by the device."),
      used_idx: nullable("u16", "used.idx as last written by the device."),
      request: nullable(
        "u64",
        "Id of the request that the chain carries; null when none is meant.",
      ),
      exit_seq: exitSeq("it happened"),
    },
  },
  dma: {
    doc: "One row per access of a device to guest memory (requests, no ring bookkeeping).",
    columns: {
      ...COMMON,
      device: device("Device that accessed memory."),
      gpa: column("u64", "First guest-physical address accessed."),
      bytes: column("u32", "Bytes accessed."),
      write: column("bool", "True when the device wrote guest memory."),
      framing: column("bool", "True for a request's header or status, false for its payload."),
      request: nullable("u64", "Id of the request served; null when none."),
      exit_seq: exitSeq("it was made"),
    },
  },
  step: {
    doc: "One row per step of a device's own processor: work that costs the guest no exit.",
    columns: {
      ...COMMON,
      device: device("Device that worked."),
      kind: code("u8", "step_kind", "What kind of step."),
      op: code("u8", "step_op", "Instruction executed, or the one whose operand was read."),
      gpa: column("u64", "Bus address that it was read from."),
      word: column("u32", "First 32 bits read: of an instruction, its encoding."),
      operand: column("u32", "Second 32 bits read: of an instruction, mostly an address."),
      bytes: column("u8", "Bytes read from there."),
      own_memory: column(
        "bool",
        "True when it lay in the device's own memory, not in the guest's.",
      ),
      request: nullable("u64", "Id of the request served; null when none is known yet."),
      exit_seq: exitSeq("it was done"),
    },
  },
  irq: {
    doc: "One row per step of an interrupt's way from device to driver.",
    columns: {
      ...COMMON,
      event: code("u8", "irq_event", "Which step."),
      device: nullableCode("u8", "device", "Device whose interrupt it is; null when not known."),
      line: column(
        "u16",
        "Line at the controller; the interrupt cause for inject, the vector for message.",
      ),
      path: code("u8", "irq_path", "What carried it."),
      exit_seq: exitSeq("it happened"),
    },
  },
  request: {
    doc: "One row per I/O request handed over as a unit, written when it completes.",
    columns: {
      ...COMMON,
      id: column("u64", "Id of the request, counted from 1 over all devices."),
      device: device("Device that served it."),
      kind: code("u8", "request_kind", "What was asked for."),
      bytes: column("u32", "Payload bytes moved."),
      submit_ns: column("u64", "Virtual ns at which the device learned of it."),
      submit_icount: nullable(
        "u64",
        "icount of the submitting vcpu at that moment; null when imported.",
      ),
      complete_ns: column("u64", "Virtual ns at which the device had finished it."),
      status: code("u8", "request_status", "How it ended."),
      command: nullableCode(
        "u8",
        "scsi_command",
        "SCSI command that it was; null when it was none, or one that the target does not know.",
      ),
      kick_exit_seq: nullable("u64", "seq of the exit whose access started it; null when none."),
      irq_seq: nullable("u64", "seq of the irq row that announced it; null when unannounced."),
    },
  },
  mark: {
    doc: "One row per mark that the guest set to bound a region of interest.",
    columns: {
      ...COMMON,
      label: column("utf8", "Text that the guest wrote."),
      number: column("wide", "Number that the guest wrote with it."),
      exit_seq: exitSeq("it was set"),
    },
  },
  input: {
    doc: "One row per thing that came from outside, as replay needs it.",
    columns: {
      ...COMMON,
      kind: code("u8", "input_kind", "What kind of input."),
      executed: column("u64", "Instructions executed by all harts together when it took effect."),
      device: nullable("utf8", "Instance that it was handed to; null for a stop."),
      channel: column("utf8", "Input of that device, or the reason for a stop."),
      data: column("binary", "The bytes."),
    },
  },
  name: {
    doc: "One row per code of an enumeration: what u8 and u16 codes stand for.",
    columns: {
      kind: column("utf8", "Enumeration, as the schema's columns name it."),
      code: column("u16", "Value in the column."),
      name: column("utf8", "Its name, in the specification's spelling."),
      spec: column("utf8", "What it is or where it is specified."),
    },
  },
  cost: {
    doc: "One row per price: what a profile charges for an exit.",
    columns: {
      profile: column("utf8", "Cost profile."),
      reason: column("utf8", "Neutral reason of the exit, or * for any."),
      handler: column("utf8", "Who serves it: kernel, user, or * for any."),
      ns: column("u32", "Price of one exit in ns."),
      source: column("utf8", "Where the figure comes from."),
      measured: column("bool", "True for a published measurement, false for an assumption."),
    },
  },
  symbol: {
    doc: "One row per named piece of guest code: what a pc belongs to.",
    columns: {
      address: column("wide", "Guest virtual address of its first byte; no two rows share one."),
      size: column("u32", "Bytes that it covers, from its own size or up to the next symbol."),
      name: column("utf8", "Its name, as the guest's compiler spells it."),
      module: nullable(
        "utf8",
        "Kernel module it is part of; null for the kernel or program itself.",
      ),
      source: code("u8", "symbol_source", "Where the name was found."),
    },
  },
} as const satisfies Record<string, Table>;

export type TableName = keyof typeof TABLES;
export const TABLE_NAMES = Object.keys(TABLES) as TableName[];

/** Tables of what rows refer to, always written: they have no clock and no sequence number. */
export const REFERENCE_TABLES = ["name", "cost", "symbol"] as const;
type ReferenceTable = (typeof REFERENCE_TABLES)[number];

/** Tables of what happens while the guest runs. */
export type EventTable = Exclude<TableName, ReferenceTable>;
export const EVENT_TABLES = TABLE_NAMES.filter((t): t is EventTable =>
  !(REFERENCE_TABLES as readonly string[]).includes(t)
);
