/**
 * What a disk says of itself: INQUIRY, vital product data, mode pages. Source: SPC-4 and SBC-3, the
 * clauses of INQUIRY, mode parameters and vital product data.
 *
 * The set of pages and what they claim follows QEMU's scsi-hd, so that a driver asks both the same.
 * @module
 */

export const BLOCK_BYTES = 512;
/** Most blocks of one READ, WRITE or VERIFY (VPD page B0h). */
export const MAX_TRANSFER_BLOCKS = 0x3f_ffff;
/** Most blocks that one WRITE SAME repeats its block into: what bounds the work of one command. */
export const MAX_WRITE_SAME_BLOCKS = 0xffff;
const MAX_UNMAP_BLOCKS = 2 ** 30 / BLOCK_BYTES;
export const MAX_UNMAP_DESCRIPTORS = 255;
/** Granularity of UNMAP in blocks: a page of the host. */
const UNMAP_GRANULARITY = 8;

/** How a logical unit presents itself. */
export interface Identity {
  /** T10 vendor identification, 8 characters. */
  readonly vendor: string;
  /** Product identification, 16 characters. */
  readonly product: string;
  /** Product revision, 4 characters. */
  readonly revision: string;
  /** Unit serial number; empty: the unit has none, and no page 80h. */
  readonly serial: string;
  /** Designator of page 83h, unique on the machine. */
  readonly name: string;
}

const ascii = (text: string): number[] =>
  [...text].map((c) => {
    const code = c.charCodeAt(0);
    return code >= 0x20 && code < 0x7f ? code : 0x3f;
  });
const padded = (text: string, length: number): number[] =>
  ascii(text.slice(0, length).padEnd(length));

/** Most significant byte first, as all numbers of SCSI. */
export function be(value: number, bytes: number): number[] {
  return Array.from(
    { length: bytes },
    (_, i) => Math.floor(value / 2 ** (8 * (bytes - 1 - i))) % 256,
  );
}

/** SPC-4: standard INQUIRY data of a direct access block device. */
export function inquiryData({ vendor, product, revision }: Identity): number[] {
  const rest = [
    0,
    0,
    0x12, // SYNC (SPI: synchronous transfers), CMDQUE.
    ...padded(vendor, 8),
    ...padded(product, 16),
    ...padded(revision, 4),
  ];
  return [
    0x00, // Connected, direct access block device.
    0x00,
    0x05, // SPC-3.
    0x12, // HISUP, response data format 2.
    rest.length,
    ...rest,
  ];
}

/** SPC-4: the peripheral qualifier of a logical unit that is not there. */
export const absentInquiryData =
  (): number[] => [0x7f, 0, 0x05, 0x12, 31, ...new Array(31).fill(0)];

/** SBC-3, Block Limits VPD page. */
function blockLimits(): number[] {
  return [
    0x01, // WSNZ: WRITE SAME of 0 blocks is refused.
    0x00,
    ...be(0, 2), // Optimal transfer length granularity: not reported.
    ...be(MAX_TRANSFER_BLOCKS, 4),
    ...be(0, 4),
    ...be(0, 4),
    ...be(MAX_UNMAP_BLOCKS, 4),
    ...be(MAX_UNMAP_DESCRIPTORS, 4),
    ...be(UNMAP_GRANULARITY, 4),
    ...be(0, 4),
    ...be(MAX_WRITE_SAME_BLOCKS, 8),
    ...be(0, 20),
  ];
}

const DESIGNATOR_MAX = 64;

function designation(name: string): number[] {
  const id = ascii(name.slice(0, DESIGNATOR_MAX));
  return [0x02, 0x00, 0x00, id.length, ...id]; // ASCII, vendor specific, of the logical unit.
}

const VPD: Readonly<Record<number, (id: Identity) => number[]>> = {
  0x80: ({ serial }) => ascii(serial),
  0x83: ({ name }) => designation(name),
  0xb0: blockLimits,
  0xb1: () => be(0, 60), // Rotation rate and form factor: not reported.
  0xb2: () => [0x00, 0xe0, 0x02, 0x00], // LBPU, LBPWS, LBPWS10; thin provisioned.
};

/** A page with its header; null for one that the unit does not have. */
export function vpdPage(page: number, id: Identity): number[] | null {
  const has = (p: number) => p !== 0x80 || id.serial !== "";
  const data = page === 0x00
    ? [0x00, ...Object.keys(VPD).map(Number).filter(has)]
    : has(page)
    ? VPD[page]?.(id)
    : undefined;
  return data === undefined ? null : [0x00, page, ...be(data.length, 2), ...data];
}

/** What mode pages tell of a unit. */
export interface ModeState {
  readonly blocks: number;
  readonly readOnly: boolean;
  /** WCE: the write cache is enabled. */
  readonly cached: boolean;
}

const HEADS = 255, SECTORS = 63;
const MAX_CYLINDERS = 0xffffff;
const cylinders = (blocks: number) =>
  Math.min(MAX_CYLINDERS, Math.max(1, Math.floor(blocks / (HEADS * SECTORS))));
const WCE = 0x04;

/** Parameters of each page behind its two bytes of header. */
const MODE_PAGES: Readonly<Record<number, (m: ModeState) => number[]>> = {
  0x01: () => [0x80, ...be(0, 9)], // Read-write error recovery: automatic write reallocation.
  0x04: ({ blocks }) => [...be(cylinders(blocks), 3), HEADS, ...be(0, 14), ...be(5400, 2), 0, 0],
  0x05: ({ blocks }) => [
    ...be(5000, 2), // kbit/s.
    HEADS,
    SECTORS,
    ...be(BLOCK_BYTES, 2),
    ...be(Math.min(0xffff, cylinders(blocks)), 2),
    ...be(0, 18),
    ...be(5400, 2),
    0,
    0,
  ],
  0x08: ({ cached }) => [cached ? WCE : 0, ...be(0, 17)],
};

export const PAGE_CONTROL = { current: 0, changeable: 1, default: 2, saved: 3 } as const;
const ALL_PAGES = 0x3f;

function modePage(page: number, control: number, m: ModeState): number[] {
  const parameters = control === PAGE_CONTROL.changeable
    ? MODE_PAGES[page]({ ...m, blocks: 0 }).map((_, i) => page === 0x08 && i === 0 ? WCE : 0)
    : MODE_PAGES[page](control === PAGE_CONTROL.default ? { ...m, cached: true } : m);
  return [page, parameters.length, ...parameters];
}

/** The pages that PAGE CODE asks for; null when there is none. Subpages are not supported. */
export function modePages(page: number, control: number, m: ModeState): number[] | null {
  const pages = page === ALL_PAGES ? Object.keys(MODE_PAGES).map(Number) : [page];
  if (pages.some((p) => MODE_PAGES[p] === undefined)) return null;
  return pages.flatMap((p) => modePage(p, control, m));
}

/** SBC-3: the short block descriptor. */
export const blockDescriptor = (blocks: number): number[] => [
  ...be(Math.min(blocks, 0xffff_ffff), 4),
  ...be(BLOCK_BYTES, 4),
];

/**
 * SPC-4, MODE SELECT: the WCE bit that a list of mode pages asks for, `current` when it does not tell; null
 * for a list that asks to change anything else.
 */
export function selectedCache(pages: readonly number[], m: ModeState): boolean | null {
  let { cached } = m;
  for (let at = 0; at < pages.length;) {
    const page = pages[at] & 0x3f;
    const now = pages[at] & 0x40 || MODE_PAGES[page] === undefined
      ? null
      : modePage(page, PAGE_CONTROL.current, m);
    if (now === null || pages.length - at < now.length || pages[at + 1] !== now[1]) return null;
    for (let i = 2; i < now.length; i++) {
      const changes = now[i] ^ pages[at + i];
      if (changes & (page === 0x08 && i === 2 ? ~WCE : 0xff)) return null;
    }
    if (page === 0x08) cached = (pages[at + 2] & WCE) !== 0;
    at += now.length;
  }
  return cached;
}
