/**
 * A client of the GDB remote serial protocol, as far as a lockstep needs it: registers by name,
 * physical memory, single steps. Source: "Debugging with GDB", appendix "GDB Remote Serial Protocol";
 * packets that start with `Qqemu` and `qqemu`: QEMU, docs/system/gdb.
 * @module
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");
/** Bytes of memory in one packet, well below what QEMU takes. */
const MEMORY_BYTES = 1536;

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(i * 2, i * 2 + 2), 16);
  return out;
}
function littleEndian(v: bigint): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, v), true);
  return toHex(bytes);
}
const bigOf = (hex: string): bigint => {
  const bytes = new Uint8Array(8);
  bytes.set(fromHex(hex).subarray(0, 8));
  return new DataView(bytes.buffer).getBigUint64(0, true);
};

/** `$data#checksum` (remote protocol, "Overview"). */
export function packet(data: string): string {
  const sum = encoder.encode(data).reduce((n, b) => n + b & 0xff, 0);
  return `$${data}#${sum.toString(16).padStart(2, "0")}`;
}

export class GdbError extends Error {}

export class Gdb {
  #received = "";
  readonly #numbers = new Map<string, number>();

  private constructor(private readonly conn: Deno.Conn) {}

  /** Connects, and learns which registers the target has. */
  static async connect(conn: Deno.Conn): Promise<Gdb> {
    const gdb = new Gdb(conn);
    await gdb.command("qSupported:xmlRegisters=riscv");
    await gdb.#describe("target.xml", { next: 0 });
    return gdb;
  }
  close(): void {
    this.conn.close();
  }

  async command(data: string): Promise<string> {
    await this.#send(packet(data));
    return await this.#reply();
  }
  async #send(text: string): Promise<void> {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
  }
  async #reply(): Promise<string> {
    const buffer = new Uint8Array(16384);
    for (;;) {
      const found = /\$([^#]*)#[0-9a-f]{2}/.exec(this.#received);
      if (found) {
        this.#received = this.#received.slice(found.index + found[0].length);
        await this.#send("+");
        return found[1];
      }
      const n = await this.conn.read(buffer);
      if (n === null) throw new GdbError("the target closed the connection");
      this.#received += decoder.decode(buffer.subarray(0, n));
    }
  }
  async #expect(data: string, wanted: RegExp): Promise<string> {
    const answer = await this.command(data);
    if (!wanted.test(answer)) throw new GdbError(`${data.slice(0, 40)}: got ${answer}`);
    return answer;
  }

  /** Numbers follow each other where the description does not give them ("Target Description"). */
  async #describe(file: string, count: { next: number }): Promise<void> {
    let text = "";
    for (let more = true; more;) {
      const at = text.length.toString(16);
      const part = await this.#expect(`qXfer:features:read:${file}:${at},ffb`, /^[lm]/);
      text += part.slice(1);
      more = part[0] === "m";
    }
    for (const [tag] of text.matchAll(/<(?:reg|xi:include) [^>]*>/g)) {
      const of = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
      const href = of("href");
      if (href) await this.#describe(href, count);
      else {
        const n = Number(of("regnum") ?? count.next);
        this.#numbers.set(of("name")!, n);
        count.next = n + 1;
      }
    }
  }
  #number(name: string): string {
    const n = this.#numbers.get(name);
    if (n === undefined) throw new GdbError(`the target has no register ${name}`);
    return n.toString(16);
  }
  /** Names a CSR that the description leaves out, as QEMU does while mstatus.FS is off. */
  nameCsr(name: string, csr: number): void {
    const sstatus = this.#numbers.get("sstatus");
    if (sstatus === undefined) throw new GdbError("the target describes no CSRs");
    this.#numbers.set(name, sstatus - 0x100 + csr);
  }

  /** undefined: the target refuses, as QEMU does where the hart's privilege may not read it. */
  async read(name: string): Promise<bigint | undefined> {
    const answer = await this.#expect(`p${this.#number(name)}`, /^(E..|[0-9a-f]{8}|[0-9a-f]{16})$/);
    return answer.startsWith("E") ? undefined : bigOf(answer);
  }
  async write(name: string, v: bigint): Promise<void> {
    await this.#expect(`P${this.#number(name)}=${littleEndian(v)}`, /^OK$/);
  }
  /** x0..x31 and pc. */
  async readGeneral(): Promise<bigint[]> {
    const all = await this.#expect("g", /^([0-9a-f]{16}){33}/);
    return Array.from({ length: 33 }, (_, i) => bigOf(all.slice(i * 16, i * 16 + 16)));
  }
  async writeGeneral(values: readonly bigint[]): Promise<void> {
    await this.#expect(`G${values.map(littleEndian).join("")}`, /^OK$/);
  }
  /** One instruction, or the entry into the handler of its trap. */
  async step(): Promise<void> {
    await this.#expect("s", /^[ST]05/);
  }

  /** From here on addresses of memory are physical. */
  async physicalMemory(): Promise<void> {
    await this.#expect("Qqemu.PhyMemMode:1", /^OK$/);
  }
  async readMemory(addr: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const out = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += MEMORY_BYTES) {
      const n = Math.min(MEMORY_BYTES, bytes - at);
      const part = `m${(addr + at).toString(16)},${n.toString(16)}`;
      out.set(fromHex(await this.#expect(part, /^([0-9a-f]{2})+$/)), at);
    }
    return out;
  }
  async writeMemory(addr: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MEMORY_BYTES) {
      const part = bytes.subarray(at, at + MEMORY_BYTES);
      const where = `${(addr + at).toString(16)},${part.length.toString(16)}`;
      await this.#expect(`M${where}:${toHex(part)}`, /^OK$/);
    }
  }
}
