/** The pairs of devices that `record --compare` knows. Apart from them, so that `--help` loads no more. @module */
export const PAIR_NAMES = ["serial", "block", "scsi", "edu"] as const;
export type PairName = typeof PAIR_NAMES[number];
