/**
 * The operating registers of the LSI53C895A, once each: offset, width, value at reset and the bits that
 * can be written. State, the register file that the CPU sees and the one that SCRIPTS address are all
 * made of this table. Source: LSI53C895A PCI to Ultra2 SCSI Controller Technical Manual, chapter 4.
 * @module
 */
import { type ScalarField, u16, u32, u8 } from "../state.ts";

export interface Declared {
  readonly at: number;
  readonly size: 1 | 2 | 4;
  readonly reset?: number;
  /** Bits that a write changes; default all. */
  readonly writable?: number;
}

const r8 = (at: number, reset = 0, writable = 0xff): Declared => ({ at, size: 1, reset, writable });
const r16 = (at: number, writable = 0xffff): Declared => ({ at, size: 2, writable });
const r32 = (at: number, writable = 0xffff_ffff): Declared => ({ at, size: 4, writable });

export const REGISTERS = {
  SCNTL0: r8(0x00, 0xc0, 0xfb),
  SCNTL1: r8(0x01, 0, 0xef),
  SCNTL2: r8(0x02, 0, 0xb8),
  SCNTL3: r8(0x03),
  SCID: r8(0x04, 0, 0x6f),
  SXFER: r8(0x05),
  SDID: r8(0x06, 0, 0x0f),
  GPREG: r8(0x07, 0, 0x1f),
  SFBR: r8(0x08),
  SOCL: r8(0x09),
  SSID: r8(0x0a, 0, 0),
  SBCL: r8(0x0b, 0, 0),
  DSTAT: r8(0x0c, 0, 0),
  SSTAT0: r8(0x0d, 0, 0),
  SSTAT1: r8(0x0e, 0, 0),
  SSTAT2: r8(0x0f, 0, 0),
  DSA: r32(0x10),
  ISTAT0: r8(0x14, 0, 0xf0),
  ISTAT1: r8(0x15, 0, 0x01),
  MBOX0: r8(0x16),
  MBOX1: r8(0x17),
  CTEST0: r8(0x18),
  CTEST1: r8(0x19, 0xf0, 0),
  CTEST2: r8(0x1a, 0x01, 0x08),
  CTEST3: r8(0x1b, 0, 0x0b),
  TEMP: r32(0x1c),
  DFIFO: r8(0x20, 0, 0),
  CTEST4: r8(0x21),
  CTEST5: r8(0x22, 0, 0x3f),
  CTEST6: r8(0x23),
  DBC0: r8(0x24),
  DBC1: r8(0x25),
  DBC2: r8(0x26),
  DCMD: r8(0x27, 0x40),
  DNAD: r32(0x28),
  DSP: r32(0x2c),
  DSPS: r32(0x30),
  SCRATCHA: r32(0x34),
  DMODE: r8(0x38),
  DIEN: r8(0x39, 0, 0x7d),
  SBR: r8(0x3a),
  DCNTL: r8(0x3b, 0, 0xfb),
  ADDER: r32(0x3c, 0),
  SIEN0: r8(0x40),
  SIEN1: r8(0x41, 0, 0x17),
  SIST0: r8(0x42, 0, 0),
  SIST1: r8(0x43, 0, 0),
  SLPAR: r8(0x44),
  SWIDE: r8(0x45),
  MACNTL: r8(0x46, 0xd0, 0x0f),
  GPCNTL: r8(0x47, 0x0f),
  STIME0: r8(0x48),
  STIME1: r8(0x49, 0, 0x7f),
  RESPID0: r8(0x4a),
  RESPID1: r8(0x4b),
  STEST0: r8(0x4c, 0, 0),
  STEST1: r8(0x4d, 0, 0xcf),
  STEST2: r8(0x4e),
  STEST3: r8(0x4f, 0, 0xfd),
  SIDL: r16(0x50, 0),
  STEST4: r8(0x52, 0, 0),
  SODL: r16(0x54),
  CCNTL0: r8(0x56, 0, 0xf3),
  CCNTL1: r8(0x57, 0, 0x8f),
  SBDL: r16(0x58, 0),
  SCRATCHB: r32(0x5c),
  MMRS: r32(0xa0),
  MMWS: r32(0xa4),
  SFS: r32(0xa8),
  DRS: r32(0xac),
  SBMS: r32(0xb0),
  DBMS: r32(0xb4),
  DNAD64: r32(0xb8),
  PMJAD1: r32(0xc0),
  PMJAD2: r32(0xc4),
  RBC: r32(0xc8),
  UA: r32(0xcc),
  ESA: r32(0xd0),
  IA: r32(0xd4),
  SBC: r32(0xd8, 0),
  CSBC: r32(0xdc),
} as const satisfies Record<string, Declared>;
export type RegisterName = keyof typeof REGISTERS;

/** SCRATCHC to SCRATCHR, one behind the other. */
export const SCRATCH = { at: 0x60, first: "C", count: 16 } as const;

/** A field of the device's state for each, by the same name. */
export const registerFields = Object.fromEntries(
  Object.entries<Declared>(REGISTERS).map(([name, { size, reset = 0 }]) => [
    name,
    size === 1 ? u8(reset) : size === 2 ? u16(reset) : u32(reset),
  ]),
) as Readonly<Record<RegisterName, ScalarField<number>>>;

export const SCNTL1 = { CON: 0x10, RST: 0x08 } as const;
export const SCNTL2 = { SDU: 0x80, WSS: 0x08, WSR: 0x01 } as const;
export const SCID = { RRE: 0x40 } as const;
export const SSID = { VAL: 0x80 } as const;
export const DSTAT = {
  DFE: 0x80,
  MDPE: 0x40,
  BF: 0x20,
  ABRT: 0x10,
  SSI: 0x08,
  SIR: 0x04,
  IID: 0x01,
} as const;
export const SSTAT0 = { RST: 0x02 } as const;
export const SSTAT2 = { LDSC: 0x02 } as const;
export const ISTAT0 = {
  ABRT: 0x80,
  SRST: 0x40,
  SIGP: 0x20,
  SEM: 0x10,
  CON: 0x08,
  INTF: 0x04,
  SIP: 0x02,
  DIP: 0x01,
} as const;
export const ISTAT1 = { SRUN: 0x02 } as const;
export const CTEST2 = { SIGP: 0x40, CIO: 0x20, CM: 0x10, PCICIE: 0x08 } as const;
export const DMODE = { SIOM: 0x20, DIOM: 0x10, MAN: 0x01 } as const;
export const DCNTL = { SSM: 0x10, STD: 0x04, IRQD: 0x02, COM: 0x01 } as const;
export const SIST0 = {
  MA: 0x80,
  CMP: 0x40,
  SEL: 0x20,
  RSL: 0x10,
  SGE: 0x08,
  UDC: 0x04,
  RST: 0x02,
  PAR: 0x01,
} as const;
export const SIST1 = { SBMC: 0x10, STO: 0x04, GEN: 0x02, HTH: 0x01 } as const;
export const STEST1 = { QEN: 0x08, QSEL: 0x04 } as const;
/** LVD on the bus, and the frequency is locked once the quadrupler is enabled. */
export const STEST4 = { LVD: 0xc0, LOCK: 0x20 } as const;
export const CCNTL0 = { ENPMJ: 0x80, PMJCTL: 0x40 } as const;
export const CCNTL1 = { XTIMOD: 0x04, EN64TIBMV: 0x02, EN64DBMV: 0x01 } as const;
/** SBCL and SOCL: the bus' control lines. */
export const LINES = { REQ: 0x80, ACK: 0x40, BSY: 0x20, SEL: 0x10, ATN: 0x08 } as const;

/** Register bytes that SCRIPTS can address. */
export const FILE_BYTES = 0x100;
