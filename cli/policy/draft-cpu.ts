/** What the `cpu` section of a draft needs, and what it is made of. @module */

import type { CpuId } from '../../attestation/policy/remedy/host-mend.ts';

export interface DraftFrame {
  readonly nowMs: number;
  readonly ruleId: string;
  readonly isSimulated: boolean;
  readonly hasHost: boolean;
}

export interface DraftCpu {
  /** Members of the rule's `cpu`. */
  readonly lines: readonly string[];
  /** Members of the image. */
  readonly image: readonly string[];
  readonly advisories: readonly string[];
  /** Absent where nothing proves one. */
  readonly cpuId?: CpuId;
  /** For the first lines. */
  readonly about: string;
}
