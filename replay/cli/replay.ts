/** `replay`: a recording run again from its manifest and inputs. @module */
import { EXIT, UserError } from "./errors.ts";

export interface ReplayArguments {
  readonly trace: string;
  readonly verify: boolean;
}
