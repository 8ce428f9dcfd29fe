/**
 * SiFive test finisher, as QEMU's virt machine has it: the guest ends the run with a code.
 *
 * No published manual: the values are those of the Linux binding `sifive,test1` and of RISC-V test code.
 * @module
 */
import { device } from "./device.ts";

export const FINISHER = { pass: 0x5555, fail: 0x3333, reset: 0x7777 } as const;

export const finisher = device("finisher", {
  doc: "Test finisher: powers off, fails with a code, or reboots.",
  source: "device-tree binding sifive,test1 with syscon-poweroff and syscon-reboot",
  size: 0x1000,
  compatible: ["sifive,test1", "sifive,test0", "syscon"],
  node: "test",
  state: {},
  dt: (n) => ({ phandle: n.phandle }),
  rootNodes: (n) => {
    const syscon = { regmap: n.phandle, offset: 0 };
    return {
      poweroff: { compatible: "syscon-poweroff", ...syscon, value: FINISHER.pass },
      reboot: { compatible: "syscon-reboot", ...syscon, value: FINISHER.reset },
    };
  },
}, (_, port) => {
  function finish(v: number): void {
    const code = v >>> 16;
    switch (v & 0xffff) {
      case FINISHER.pass:
        return port.stop("poweroff", code);
      case FINISHER.fail:
        return port.stop("fail", code);
      case FINISHER.reset:
        return port.stop("reboot", code);
    }
  }
  return { regs: [{ at: 0, name: "finisher", sizes: [2, 4], get: () => 0, set: finish }] };
});
