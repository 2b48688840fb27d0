/**
 * Error codes of evidence, statements, cards and policies. Bad evidence inside an appraisal never throws: these
 * codes end up as failed checks there. They are thrown where something is decoded on its own.
 * Spec: STYLE §6; gpu-and-policy §4.2, §4.4, §5.2.
 * @module
 */

import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The evidence is malformed.',
};

export const evidenceError = defineErrors({
  'evidence.size': { ...MALFORMED, status: 413, public: 'The evidence is too large.' },
  'evidence.format': MALFORMED,
});

export const statementError = defineErrors({
  /** Not strict JSON. */
  'statement.malformed': MALFORMED,
  /** `fmt` names another format. */
  'statement.format': MALFORMED,
  /** Members missing, unknown, or with a wrong encoding. */
  'statement.schema': MALFORMED,
});

export const cardError = defineErrors({
  'card.malformed': MALFORMED,
  'card.format': MALFORMED,
  'card.schema': MALFORMED,
});

/** Met by whoever starts a process or sets up a client, never over a network: a policy that does not compile is not used. */
const BAD_POLICY: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The policy cannot be used.',
};

export const policyError = defineErrors({
  'policy.size': BAD_POLICY,
  /** Not YAML, or YAML outside the allowed subset. */
  'policy.syntax': BAD_POLICY,
  /** Members missing, unknown, or with values that no rule allows. */
  'policy.schema': BAD_POLICY,
  /** Names something the policy does not define, or contradicts itself. */
  'policy.inconsistent': BAD_POLICY,
  /** The development template has not the places to fill in. */
  'policy.template': BAD_POLICY,
});
