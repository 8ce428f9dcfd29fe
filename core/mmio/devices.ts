/**
 * Every device type. A device in this list is held to every law of laws_test.ts.
 * @module
 */
import { virtioBlk, virtioBlkPci } from "../virtio/blk.ts";
import { virtioConsole, virtioConsolePci } from "../virtio/console.ts";
import { virtioRng, virtioRngPci } from "../virtio/rng.ts";
import { virtioScsi, virtioScsiPci } from "../virtio/scsi.ts";
import { virtioMmioEmpty } from "../virtio/transport_mmio.ts";
import { aclint } from "./aclint.ts";
import type { DeviceType } from "./device.ts";
import { edu } from "./edu.ts";
import { finisher } from "./finisher.ts";
import { goldfishRtc } from "./goldfish_rtc.ts";
import { lsi53c895a } from "./lsi53c895a/lsi53c895a.ts";
import { marker } from "./marker.ts";
import { pciHost } from "./pci/host.ts";
import { plic } from "./plic.ts";
import { sifiveUart } from "./sifive_uart.ts";
import { uart16550 } from "./uart16550.ts";

const ALL: readonly DeviceType[] = [
  aclint,
  edu,
  finisher,
  goldfishRtc,
  lsi53c895a,
  marker,
  pciHost,
  plic,
  sifiveUart,
  uart16550,
  virtioBlk,
  virtioBlkPci,
  virtioConsole,
  virtioConsolePci,
  virtioMmioEmpty,
  virtioRng,
  virtioRngPci,
  virtioScsi,
  virtioScsiPci,
];

export const DEVICES: Readonly<Record<string, DeviceType>> = Object.fromEntries(
  ALL.map((type) => [type.name, type]),
);
