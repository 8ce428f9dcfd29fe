/**
 * Streams against QEMU, one after the other, with what was met on the way.
 * @module
 */
import { generateForPeer } from "./generate.ts";
import { Peer } from "./peer.ts";
import { PeerLockstep } from "./with_peer.ts";

/** Instructions of a stream: each takes QEMU about a millisecond. */
export const PEER_INSTRUCTIONS = 400;

export interface PeerOutcome {
  streams: number;
  instructions: number;
  /** How often each known disagreement was met. */
  quirks: Map<string, number>;
  failures: { seed: number; text: string }[];
}

/** Runs streams from `seed` while `goOn` says so. */
export async function againstQemu(
  seed: number,
  goOn: (all: PeerOutcome) => boolean,
): Promise<PeerOutcome> {
  const all: PeerOutcome = { streams: 0, instructions: 0, quirks: new Map(), failures: [] };
  const peer = await Peer.start();
  try {
    for (; goOn(all); seed++) {
      const r = await new PeerLockstep(peer, generateForPeer(seed, PEER_INSTRUCTIONS)).run();
      all.streams++;
      all.instructions += r.steps;
      for (const [what, n] of r.quirks) all.quirks.set(what, (all.quirks.get(what) ?? 0) + n);
      if (r.failure === null) continue;
      const repeat = `deno task lockstep --qemu --seed ${seed} --streams 1`;
      all.failures.push({ seed, text: `${r.failure}\nto repeat: ${repeat}` });
    }
  } finally {
    await peer.stop();
  }
  return all;
}
