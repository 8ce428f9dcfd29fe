/** Bad input, with what to do about it: shown as one line, exit code 2. @module */
export class InputError extends Error {
  override name = "InputError";
  constructor(message: string, readonly fix: string) {
    super(message);
  }
}
