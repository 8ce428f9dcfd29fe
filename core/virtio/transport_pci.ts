/**
 * virtio over PCI: Virtio 1.2 §4.1, and its legacy interface in I/O space (§4.1.4.10).
 *
 * A device is transitional unless it is told otherwise: the interface that the driver writes to first
 * after a reset is the one that it uses, and writes to the other one do nothing (but a reset).
 *
 * - Of a queue the driver sets up nothing after DRIVER_OK, and nothing while it is enabled; writing 0 to
 *   queue_enable is not allowed (§4.1.4.3.2) and does nothing. Only a reset stops a queue.
 * - A driver of the modern interface must accept VIRTIO_F_VERSION_1.
 * - A notification means the queue that its address is of, whatever is written there.
 *
 * Not here: queue reset, notification data, shared memory regions, bars other than QEMU's.
 * @module
 */
import {
  device,
  type DeviceType,
  type Fields,
  type Port,
  type Props,
  type Space,
} from "../mmio/device.ts";
import type { Interrupts } from "./core.ts";
import { cfgFields, cfgRegs, CfgWindow } from "./pci_cfg.ts";
import {
  AREA,
  CAP_AT,
  declaration,
  type Identity,
  interfacesOf,
  LEGACY_BAR,
  legacyBytes,
  MODERN_BAR,
  MODERN_BYTES,
  PCI_PROPS,
  type PciOptions,
} from "./pci_layout.ts";
import {
  driverFields,
  type DriverState,
  INTERFACE,
  NO_VECTOR,
  Registers,
} from "./pci_registers.ts";
import { declared, readAcross } from "./transport.ts";
import { INTERRUPT, type VirtioDevice } from "./virtio.ts";

/** A virtio device on the PCI bus, `NAME-pci`. */
export function virtioPci<
  const S extends Fields,
  const K extends Fields,
  const P extends Props,
  const F extends string,
>(d: VirtioDevice<S, K, P, F>, o: PciOptions): DeviceType {
  const { assemble, props, ...shared } = declared(d, driverFields(d.queues.length), cfgFields);
  const identity: Identity = { name: `${d.name}-pci`, id: d.id, ...o };
  return device(identity.name, {
    ...shared,
    doc: d.doc,
    source: `${d.source}, §4.1`,
    irqs: 1,
    pci: (props) => declaration(identity, props),
    props: { ...PCI_PROPS(o.vectors), ...props } as Props,
  }, (state, port, props) => {
    const has = interfacesOf(identity, props);
    const { s, kept, core, fields, behaviour } = assemble(state, port, props, {
      legacy: (s) => s.interface === INTERFACE.legacy,
      needsVersion1: true,
      interrupts: (s) => byVector(s, port),
    });
    const registers = new Registers(s, core, port, has.vectors, fields);
    const modern: Space = {
      regs: registers.modern(() => kept.configGeneration),
      raw: { read: (at, size) => readAcross(fields, at - AREA.device, size), write: () => {} },
    };
    const legacy: Space = { regs: registers.legacy(), raw: registers.legacyConfig() };
    const window = new CfgWindow(identity.name, [
      ...has.legacy
        ? [{ bar: LEGACY_BAR, sizeBytes: legacyBytes(identity, has.vectors), space: legacy }]
        : [],
      ...has.modern ? [{ bar: MODERN_BAR, sizeBytes: MODERN_BYTES, space: modern }] : [],
    ]);
    return {
      ...behaviour,
      regs: [],
      spaces: { ...has.legacy ? { legacy } : {}, ...has.modern ? { modern } : {} },
      config: has.modern ? cfgRegs(CAP_AT.pci, kept, window) : [],
    };
  });
}

/**
 * §4.1.5.3, §4.1.5.4: a bit of the ISR status and the line, or the vector that the driver chose, once it has
 * enabled MSI-X.
 */
function byVector(s: DriverState, port: Port): Interrupts {
  const send = (vector: number) => vector === NO_VECTOR ? -1 : port.message(vector);
  return {
    used(queue) {
      if (port.messages()) return send(s.vectors[queue].vector);
      s.interruptStatus |= INTERRUPT.USED_BUFFER;
      return port.signal();
    },
    configuration() {
      s.interruptStatus |= INTERRUPT.CONFIGURATION_CHANGE;
      if (port.messages()) send(s.configVector);
      else port.signal();
    },
  };
}
