/** The one class of errors about traces on disk: what is wrong, and what to do about it. @module */
export class TraceError extends Error {
  override readonly name = "TraceError";
  constructor(message: string, /** The next thing to try, as a sentence. */ readonly fix: string) {
    super(message);
  }
}
