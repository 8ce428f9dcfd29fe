/**
 * virtio-console. Source: Virtio 1.2 §5.3.
 *
 * One port: VIRTIO_CONSOLE_F_MULTIPORT is not offered, so there are no control queues. Output is a
 * request: popped at the kick, printed after the latency, one after the other, as a line would take
 * them. Input goes into receive buffers as soon as it arrives; a bounded FIFO holds what finds none.
 * A device-writable buffer in transmitq and a device-readable one in receiveq (§5.3.6.1 forbids
 * both) carry nothing and are handed back.
 * @module
 */
import { bytes, prop, u16 } from "../mmio/device.ts";
import { virtioMmio } from "./transport_mmio.ts";
import { virtioPci } from "./transport_pci.ts";
import { virtioDevice } from "./virtio.ts";
import { partBytes } from "./virtqueue.ts";

const RECEIVEQ = 0, TRANSMITQ = 1; // §5.3.2
const QUEUE_SIZE = 64;
const MAX_BYTES = 1 << 20; // Of one write; Linux stays within 32 KiB.
const FIFO_BYTES = 4096;

const consoleDevice = virtioDevice({
  name: "virtio-console",
  id: 3,
  doc: "Paravirtual console: a buffer of bytes is one request.",
  source: "Virtio 1.2 §5.3",
  features: {
    VIRTIO_CONSOLE_F_SIZE: { bit: 0, spec: "§5.3.3" },
    VIRTIO_CONSOLE_F_EMERG_WRITE: { bit: 2, spec: "§5.3.3" },
  },
  queues: [
    { name: "receiveq", maxSize: QUEUE_SIZE, maxBytes: MAX_BYTES, use: "buffer" },
    { name: "transmitq", maxSize: QUEUE_SIZE, maxBytes: MAX_BYTES, use: "request", serial: true },
  ],
  state: { fifo: bytes(FIFO_BYTES) },
  kept: { cols: u16(), rows: u16() }, // 0 until the terminal's size changes.
  props: {
    cols: prop.u32(80, "Columns of the terminal."),
    rows: prop.u32(25, "Rows of the terminal."),
  },
  build(s, kept, v, props) {
    /** Fills receive buffers while there are both bytes and buffers. */
    function deliver(): void {
      for (let left = QUEUE_SIZE; left > 0 && s.fifo.length > 0; left--) {
        const chain = v.pop(RECEIVEQ);
        if (chain === null) break;
        v.finish(RECEIVEQ, chain);
      }
      v.wantBuffers(RECEIVEQ, s.fifo.length > 0);
      v.inputSpace();
    }
    return {
      config: [
        {
          at: 0,
          name: "cols",
          size: 2,
          feature: "VIRTIO_CONSOLE_F_SIZE",
          get: () => kept.cols || props.cols,
        },
        {
          at: 2,
          name: "rows",
          size: 2,
          feature: "VIRTIO_CONSOLE_F_SIZE",
          get: () => kept.rows || props.rows,
        },
        {
          at: 8,
          name: "emerg_wr",
          size: 4,
          feature: "VIRTIO_CONSOLE_F_EMERG_WRITE",
          get: () => 0,
          set: (c) => v.out(c & 0xff),
        },
      ],
      available: deliver,
      serve(queue, chain) {
        if (queue === TRANSMITQ) {
          const data = v.read(chain);
          if (data.length > 0) v.out(data);
          return { kind: "console_write", status: "ok", bytes: data.length, written: 0 };
        }
        const room = Math.min(partBytes(chain, true), s.fifo.length);
        const written = v.write(chain, Uint8Array.from(s.fifo.splice(0, room)));
        return { kind: "console_read", status: "ok", bytes: written, written };
      },
      input: {
        rx(data) {
          for (const byte of data.subarray(0, FIFO_BYTES - s.fifo.length)) s.fifo.push(byte);
          deliver();
        },
        /** Columns and rows, u16 little-endian each; anything else is dropped. */
        resize(data) {
          if (data.length !== 4) return;
          kept.cols = data[0] | data[1] << 8;
          kept.rows = data[2] | data[3] << 8;
          v.configChanged("VIRTIO_CONSOLE_F_SIZE");
        },
      },
      canInput: { rx: () => v.live(RECEIVEQ) ? FIFO_BYTES - s.fifo.length : 0 },
    };
  },
});

export const virtioConsole = virtioMmio(consoleDevice);
export const virtioConsolePci = virtioPci(consoleDevice, {
  class: 0x07_8000,
  vectors: 2,
  configBytes: 12,
});
