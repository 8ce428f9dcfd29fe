/**
 * U-Boot as Debian packages it, in M-mode and in S-mode: to its prompt, and to a disk through its own
 * virtio drivers. Nothing of it is part of this repository.
 * @module
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { MachineSpec } from "../core/board/spec.ts";
import type { EventTable } from "../core/trace/schema.ts";
import { easyFs, FIXTURE_FILES } from "../fixtures/disks/easy_fs.ts";
import type { Answer } from "../replay/answers.ts";
import { driveOf } from "../replay/cli/drive.ts";
import { parseDrive } from "../replay/cli/values.ts";
import { readInput } from "../replay/files.ts";
import { needsThat } from "./needs.ts";
import { recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const M_MODE = "/usr/lib/u-boot/qemu-riscv64/u-boot.bin";
const S_MODE = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin";
const OPENSBI = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";

function present(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const ref = (path: string) => readInput(path, "file").ref;

interface Setup {
  readonly files: readonly string[];
  readonly machine: () => Partial<MachineSpec>;
  /** In M-mode every look at the console is an exit: two million of them. */
  readonly tables: EventTable[] | undefined;
}

const SETUPS: Record<string, Setup> = {
  "M-mode": {
    files: [M_MODE],
    machine: () => ({ bios: ref(M_MODE), kernel: null, hypervisor: "none" }),
    tables: [],
  },
  "S-mode, builtin SBI": {
    files: [S_MODE],
    machine: () => ({ kernel: ref(S_MODE) }),
    tables: undefined,
  },
  "S-mode over OpenSBI": {
    files: [S_MODE, OPENSBI],
    machine: () => ({ bios: ref(OPENSBI), kernel: ref(S_MODE), hypervisor: "none" }),
    tables: [],
  },
};

const DISK = easyFs(FIXTURE_FILES);
const PROMPT = /^=> $/;
const hex = (n: number) => n.toString(16);
const SESSION: readonly Answer[] = [
  { after: /autoboot: +\d/, type: "\n" },
  { after: PROMPT, type: "virtio scan\n" },
  { after: PROMPT, type: "virtio info\n" },
  { after: PROMPT, type: `virtio read 84000000 0 ${hex(DISK.length / 512)}\n` },
  { after: PROMPT, type: `crc32 84000000 ${hex(DISK.length)}\n` },
  { after: PROMPT, type: "poweroff\n" },
];

for (const [name, { files, machine, tables }] of Object.entries(SETUPS)) {
  const apt = files.includes(OPENSBI) ? "u-boot-qemu opensbi" : "u-boot-qemu";
  const need = needsThat("U-Boot", files.every(present), { apt });
  for (const transport of ["modern", "legacy"]) {
    need.test(`U-Boot in ${name}: reads a ${transport} virtio disk`, async () => {
      await withFolder(async (folder) => {
        Deno.writeFileSync(`${folder}/disk.img`, DISK);
        const words = `${folder}/disk.img,legacy=${transport === "legacy" ? "on" : "off"}`;
        const drives = [driveOf(parseDrive(words)!, 0)];
        const change = { serial: "16550", memoryBytes: 128 << 20, append: "", drives } as const;
        const spec = serialSpec({ ...change, ...machine() });
        const options = { answers: SESSION, tables, untilIcount: 500_000_000 };
        const { result, text } = await recordInto(folder, spec, options);
        assert.deepEqual(result.unanswered, [], text);
        assert.match(text, /Device 0: QEMU VirtIO Block Device/);
        assert.match(text, new RegExp(`Capacity: .* \\(${DISK.length / 512} x 512\\)`));
        assert.match(text, new RegExp(`==> ${hex(crc32(DISK)).padStart(8, "0")}\\b`));
        assert.deepEqual(result.end, { kind: "poweroff", code: 0 }, text);
      });
    });
  }
}
