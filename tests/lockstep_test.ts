/**
 * The lockstep of interpreter and oracle: a bounded run of it, and proof that it finds what is wrong
 * and says it in a few instructions. `deno task lockstep` runs for longer.
 * @module
 */
import assert from "node:assert/strict";
import { parseSync } from "@optique/core/parser";
import { RiscvCpu } from "../core/cpu/mod.ts";
import type { Bytes } from "../core/cpu/ops.ts";
import { type ArchSlot, Stop } from "../core/cpu/state.ts";
import { bounded, lockstep, lockstepWithQemu, OPTIONS, summary } from "./lockstep.ts";
import { packet } from "./lockstep/gdb.ts";
import { generateForPeer } from "./lockstep/generate.ts";
import { Peer } from "./lockstep/peer.ts";
import { PEER_INSTRUCTIONS } from "./lockstep/qemu_streams.ts";
import { PeerLockstep } from "./lockstep/with_peer.ts";
import { qemu } from "./needs.ts";
import { type MakeOracle } from "./lockstep/pair.ts";
import { runSeed } from "./lockstep/run.ts";
import { minimize } from "./lockstep/shrink.ts";
import { TracingOracle } from "./lockstep/tracing_oracle.ts";

/** Some twenty seconds of one worker. */
const STREAMS = 200;

Deno.test("lockstep: interpreter and oracle agree on random streams", async () => {
  const options = bounded({ streams: STREAMS, seed: 1, workers: 2, qemu: false });
  const failures: string[] = [];
  const all = await lockstep(options, (text) => failures.push(text));
  assert.equal(failures.join("\n"), "", summary(options, all));
  assert.equal(all.streams, STREAMS);
});

/** Oracles that are wrong in one rule. */
const PLANTED: Record<string, MakeOracle> = {
  "a product": (...args) =>
    new class extends TracingOracle {
      override mulh(a: bigint, b: bigint, signs: "ss" | "su" | "uu"): bigint {
        return super.mulh(a, b, signs === "su" ? "uu" : signs);
      }
    }(...args),
  "a store": (...args) =>
    new class extends TracingOracle {
      override store(bytes: Bytes, addr: bigint, v: bigint): void {
        super.store(bytes, addr, addr % 4096n + BigInt(bytes) > 4096n ? v ^ 0x100n : v);
      }
    }(...args),
  "a page-table bit": (...args) =>
    new class extends TracingOracle {
      override ramStore(pa: bigint, v: bigint): void {
        super.ramStore(pa, v & 1n << 7n ? v & ~(1n << 6n) : v);
      }
    }(...args),
  "a trap's value": (...args) =>
    new class extends TracingOracle {
      override set(s: ArchSlot, v: bigint): void {
        super.set(s, s === "stval" && this.get("scause") === 13n ? v ^ 1n : v);
      }
    }(...args),
  "a stop": (...args) =>
    new class extends TracingOracle {
      override step(): Stop {
        const stop = super.step();
        return stop === Stop.Timer ? Stop.Budget : stop;
      }
    }(...args),
};

/** Some stream fails, and what is left of it is short and says how to repeat it. */
function isFound(makeOracle?: MakeOracle): void {
  for (let seed = 1; seed < 60; seed++) {
    const { failure } = runSeed(seed, makeOracle);
    if (failure === null) continue;
    const [, count] = /^(\d+) instructions/m.exec(failure)!;
    assert.ok(Number(count) <= 6, failure);
    assert.ok(failure.split("\n").length <= 30, failure);
    assert.match(failure, new RegExp(`deno task lockstep --seed ${seed} --streams 1$`));
    return;
  }
  assert.fail("60 streams did not find it");
}

for (const [what, makeOracle] of Object.entries(PLANTED)) {
  Deno.test(`lockstep: ${what} that is wrong is found and reduced to a few instructions`, () => {
    isFound(makeOracle);
  });
}

Deno.test("lockstep: decoded code that outlives a device's write is found and reduced", () => {
  const { wroteRam } = RiscvCpu.prototype;
  RiscvCpu.prototype.wroteRam = () => {};
  try {
    isFound();
  } finally {
    RiscvCpu.prototype.wroteRam = wroteRam;
  }
});

const PEER_STREAMS = 5;

qemu().test("lockstep: interpreter and QEMU agree instruction by instruction", async () => {
  const options = bounded({ streams: PEER_STREAMS, seed: 1, workers: 1, qemu: true });
  const told: string[] = [];
  const all = await lockstepWithQemu(options, (text) => told.push(text));
  assert.equal(all.failures.length, 0, told.join("\n"));
  assert.equal(all.instructions, PEER_STREAMS * PEER_INSTRUCTIONS);
});

qemu().test(
  "lockstep: a disagreement with QEMU that is not listed fails, with its place",
  async () => {
    const peer = await Peer.start();
    try {
      for (let seed = 1; seed < 20; seed++) {
        const stream = generateForPeer(seed, PEER_INSTRUCTIONS);
        const { failure } = await new PeerLockstep(peer, stream, []).run();
        if (failure === null) continue;
        assert.match(failure, /^step \d+, pc 0x[0-9a-f]+: 0x[0-9a-f]+ \S+.*\n {2}\S+: ours 0x/);
        return;
      }
      assert.fail("20 streams met nothing that is listed");
    } finally {
      await peer.stop();
    }
  },
);

Deno.test("lockstep: a packet of the remote protocol ends with the sum of its bytes", () => {
  assert.equal(packet("g"), "$g#67");
  assert.equal(packet("m80000000,8"), "$m80000000,8#59");
});

Deno.test("lockstep: minimize keeps what is needed, whatever lies between", () => {
  const items = Array.from({ length: 100 }, (_, i) => i);
  const needed = [3, 41, 42, 97];
  assert.deepEqual(minimize(items, (kept) => needed.every((n) => kept.includes(n))), needed);
  assert.deepEqual(minimize(items, () => true), []);
});

Deno.test("lockstep: options that are none are refused", () => {
  for (const args of [["--seconds"], ["--seed", "x"], ["--hours", "1"], ["--streams", "-1"]]) {
    assert.equal(parseSync(OPTIONS, args).success, false, args.join(" "));
  }
  const hour = parseSync(OPTIONS, ["--seconds", "3600"]);
  assert.ok(hour.success);
  const { seconds, streams, seed } = bounded(hour.value);
  assert.deepEqual({ seconds, streams, seed }, { seconds: 3600, streams: Infinity, seed: 1 });
});
