/** The version that `--version` prints and manifests keep. @module */
export const VERSION = "0.1.0";
