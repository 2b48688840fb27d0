/** Every kind of vector that `veilgate vectors` can judge. To add one: write its file, add its line here. @module */

import { launchDigestVectors } from './launch-digest.ts';
import { rtmrVectors } from './rtmr.ts';
import { sevSnpVectors } from './sev-snp.ts';
import { statementVectors } from './statement.ts';
import { tdxVectors } from './tdx.ts';

export const VECTOR_KINDS = [
  tdxVectors,
  rtmrVectors,
  sevSnpVectors,
  launchDigestVectors,
  statementVectors,
] as const;
