/**
 * Debian's stock kernel on our PCI bus: it finds, sizes and places what it does on QEMU, and says so in
 * the same words.
 * @module
 */
import assert from "node:assert/strict";
import { unexplained } from "./linux/console.ts";
import { linux, linuxMachine, opensbi } from "./linux/guest.ts";
import { runQemu } from "./linux/qemu.ts";
import { qemu } from "./needs.ts";
import { recordInto } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const LIMIT = { untilIcount: 12_000_000_000 };

const guest = linux();
const both = guest.met && opensbi().met ? qemu() : guest.met ? opensbi() : guest;

/** What the guest read of sysfs. */
const sysfs = (text: string) =>
  text.replaceAll("\r", "").split("\n").filter((l) => l.startsWith("exitscope: pci "));

both.test("linux: the PCI bus with two edus is the one that it finds on QEMU", () =>
  withFolder(async (folder) => {
    const { spec } = await linuxMachine({
      bios: "opensbi",
      harts: 1,
      serial: "16550",
      append: "run=pci",
      pci: ["edu", "edu"],
    });
    const { result, text } = await recordInto(folder, spec, LIMIT);
    assert.deepEqual(result.end, { kind: "poweroff", code: 0 }, text.slice(-3000));
    const { console } = await runQemu(folder, spec, "modern");
    assert.deepEqual(unexplained(text, console), []);
    const found = sysfs(text);
    assert.deepEqual(found, sysfs(console));
    const functions = found.filter((l) => /0x\w{4} 0x\w{4} 0x\w{6}/.test(l)).map((l) =>
      l.slice(15, 50)
    );
    assert.deepEqual(functions, [
      "0000:00:00.0 0x1b36 0x0008 0x060000",
      "0000:00:01.0 0x1234 0x11e8 0x00ff00",
      "0000:00:02.0 0x1234 0x11e8 0x00ff00",
    ]);
    assert.match(text, /pci 0000:00:01.0: BAR 0 \[mem 0x40000000-0x400fffff\]: assigned/);
  }));
