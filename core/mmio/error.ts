/**
 * What a person who plugs a device in can get wrong.
 * @module
 */

/** A device cannot be plugged in as asked: shown as one line, with what to do about it. */
export class PlugError extends Error {
  override name = "PlugError";
  constructor(message: string, readonly fix: string) {
    super(message);
  }
}
