/**
 * A PCI function in a device: its configuration space, what its BARs decode, and the port as a function
 * has it, with interrupts by line or by message, and memory only as bus master.
 * @module
 */
import type { GuestMemory } from "../memory.ts";
import type { Port } from "../port.ts";
import type { BoxField } from "../state.ts";
import type { Space } from "../region.ts";
import { u8s } from "../state.ts";
import { CONFIG_BYTES, ConfigSpace } from "./config.ts";
import {
  checkDeclaration,
  COMMAND,
  type Msix,
  type PciBar,
  type PciDeclaration,
} from "./declaration.ts";
import { MasterMemory } from "./master_memory.ts";
import { MsiVectors, MsixVectors } from "./messages.ts";

/** Fields that a function adds to its device's state. */
export const CONFIG_FIELD = "pci config";
export const MSIX_FIELD = "pci msix";

export class PciFunction {
  readonly config: ConfigSpace;
  readonly port: Port;
  readonly bars: readonly PciBar[];
  readonly msi: MsiVectors | null;
  readonly msix: MsixVectors | null;
  /** Its bus asks to be told when what it decodes may have changed. */
  remapped: () => void = () => {};
  readonly #base: Port;
  readonly #msix: Msix | null;

  /** Throws when the declaration is wrong. */
  constructor(private readonly device: string, d: PciDeclaration, lines: number, port: Port) {
    checkDeclaration(device, d);
    if (lines > 1) throw new Error(`${device}: irqs is ${lines}, a PCI function has 0 or 1`);
    try {
      this.config = new ConfigSpace(d, lines > 0);
    } catch (e) {
      throw new Error(`${device}: pci: ${(e as Error).message}`);
    }
    this.config.onDecode = () => this.remapped();
    this.bars = d.bars ?? [];
    this.#base = port;
    this.#msix = d.msix ?? null;
    const send = this.#send.bind(this);
    this.msi = d.msi ? new MsiVectors(d.msi, this.config, send) : null;
    this.msix = d.msix ? new MsixVectors(d, d.msix, this.config, send) : null;
    this.port = this.#makePort();
  }

  get fields(): Record<string, BoxField<unknown>> {
    return {
      [CONFIG_FIELD]: u8s(CONFIG_BYTES),
      ...(this.#msix ? { [MSIX_FIELD]: MsixVectors.field(this.#msix) } : {}),
    };
  }

  bind(state: Readonly<Record<string, unknown>>): void {
    this.config.bind(state[CONFIG_FIELD] as Uint8Array<ArrayBuffer>);
    this.msix?.bind(state[MSIX_FIELD] as Uint32Array<ArrayBuffer>);
  }

  /** The spaces that BARs map beside the device's registers, each as large as the BAR asks. */
  spaces(given: Readonly<Record<string, Space>>): (Space & { name: string; sizeBytes: number })[] {
    const known: Record<string, Space> = {
      ...given,
      ...(this.msix ? { msix: { raw: this.msix } } : {}),
    };
    const sizes = new Map<string, number>();
    for (const { bar, space, size, repeat } of this.bars) {
      if (space === undefined) continue;
      if (known[space] === undefined) {
        throw new Error(
          `${this.device}: BAR${bar} maps the space "${space}", which is not declared`,
        );
      }
      sizes.set(space, Math.max(sizes.get(space) ?? 0, repeat ?? size));
    }
    const idle = Object.keys(known).find((name) => !sizes.has(name));
    if (idle !== undefined) throw new Error(`${this.device}: no BAR maps the space "${idle}"`);
    return [...sizes].map(([name, sizeBytes]) => ({ ...known[name], name, sizeBytes }));
  }

  #commands(bit: number): boolean {
    return (this.config.command & bit) !== 0;
  }

  /** Address of a BAR on the PCI bus, null while it decodes nothing. */
  decoded(bar: PciBar): number | null {
    if (!this.#commands(bar.kind === "io" ? COMMAND.io : COMMAND.memory)) return null;
    return this.config.address(bar);
  }

  /** Does the driver take messages instead of the line? */
  get messages(): boolean {
    return (this.msix?.enabled ?? false) || (this.msi?.enabled ?? false);
  }

  #message(vector: number): number {
    if (this.msix?.enabled) return this.msix.message(vector);
    return this.msi?.enabled ? this.msi.message(vector) : -1;
  }

  #send(path: "msi" | "msix", vector: number, address: number, data: number): number {
    if (!this.#commands(COMMAND.busMaster)) return -1;
    const { mem, trace } = this.#base;
    const seq = trace.irq({ event: "message", line: vector, path });
    if (mem.ok(address, 4)) {
      mem.setU32(address, data);
      trace.dma({ gpa: address, bytes: 4, write: true });
    }
    return seq;
  }

  /** Runs before the device settles. */
  settle(): void {
    this.msix?.flush();
    this.msi?.flush();
  }

  #makePort(): Port {
    const base = this.#base;
    const { config } = this;
    /** The line is silent while the driver has it disabled or takes messages. */
    const line = () => config.interrupt && !this.#commands(COMMAND.intxDisable) && !this.messages;
    const isMaster = () => this.#commands(COMMAND.busMaster);
    const message = (vector: number) => this.#message(vector);
    const messages = () => this.messages;
    const bar = (index: number) => {
      const found = this.bars.find((b) => b.bar === index);
      return found === undefined ? null : this.decoded(found);
    };
    let mem: GuestMemory | null = null;
    const own = {
      irq(level: boolean): number {
        config.interrupt = level;
        return base.irq(line());
      },
      signal(): number {
        if (messages()) return message(0);
        config.interrupt = true;
        return line() ? base.signal() : -1;
      },
      messages,
      message,
      bar,
      get mem(): GuestMemory {
        return mem ??= new MasterMemory(base.mem, isMaster);
      },
    };
    // What is not named here is the port's own, and there is none while the device is declared.
    return Object.create(base, Object.getOwnPropertyDescriptors(own));
  }
}
