/** A purse of steps: what a stranger's schema may cost in total. @module */

import { WORK_MAX } from './limits.ts';
import { refuse, type Path } from './refusal.ts';

export class Work {
  #left = WORK_MAX;

  /** Throws `grammar.limit`. */
  spend(steps: number, path: Path, keyword: string): void {
    this.#left -= steps;
    if (this.#left < 0) throw refuse('grammar.limit', path, keyword);
  }
}
