/**
 * virtio-rng. Source: Virtio 1.2 §5.4 (entropy device).
 *
 * Its bytes follow from the property `seed` and from how many were drawn since the machine started, so
 * that a run can be repeated: they are no secret.
 * @module
 */
import { num, prop } from "../mmio/device.ts";
import { noise } from "../mmio/noise.ts";
import { virtioMmio } from "./transport_mmio.ts";
import { virtioPci } from "./transport_pci.ts";
import { virtioDevice } from "./virtio.ts";
import { partBytes } from "./virtqueue.ts";

const QUEUE_SIZE = 8; // As QEMU's.
const MAX_BYTES = 1 << 20; // Of one request; Linux asks for 64.

const rngDevice = virtioDevice({
  name: "virtio-rng",
  id: 4,
  doc: "Paravirtual source of random bytes, the same in every run with the same seed.",
  source: "Virtio 1.2 §5.4",
  features: {},
  queues: [{ name: "requestq", maxSize: QUEUE_SIZE, maxBytes: MAX_BYTES, use: "request" }],
  state: {},
  kept: { drawn: num() }, // Bytes so far.
  props: { seed: prop.u32(0, "What the bytes follow from.") },
  build: (_s, kept, v, props) => ({
    /** §5.4.6.1: device-readable buffers carry nothing. */
    serve(_queue, chain) {
      const data = new Uint8Array(partBytes(chain, true));
      noise(props.seed, kept.drawn, data);
      kept.drawn += data.length;
      const written = v.write(chain, data);
      return { kind: "rng_read", status: "ok", bytes: written, written };
    },
  }),
});

export const virtioRng = virtioMmio(rngDevice);
export const virtioRngPci = virtioPci(rngDevice, {
  class: 0x00_ff00,
  vectors: 2,
  configBytes: 0,
});
