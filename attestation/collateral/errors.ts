/**
 * What can go wrong around collateral, in two classes: worth another try later, or final for this evidence. Facts are
 * the kind of document, the host and the status: never a body, never a foreign message.
 * Spec: STYLE §6; sev-snp §8 "Two classes for callers".
 * @module
 */

import { defineErrors, VeilError, type ErrorSpec } from '../../core/errors.ts';

const LATER: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'What is needed to judge the evidence could not be obtained. Try again later.',
};
const FINAL: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'What is needed to judge the evidence does not exist.',
};

export const collateralError = defineErrors({
  /** No source answered: unreachable, too slow, failing, or being left alone after failures. */
  'collateral.unavailable': LATER,
  /** A source asked for patience, or too many wait for their turn at it. */
  'collateral.rate_limited': LATER,
  /** Sources answered, and nothing they answered holds. */
  'collateral.invalid': LATER,
  /** Genuine, but past its end. */
  'collateral.expired': LATER,
  /** The vendor knows no such platform or chip, or has withdrawn the document. */
  'collateral.not_found': FINAL,
  /** Not at hand, and this site does not ask the network. */
  'collateral.offline': {
    ...FINAL,
    public: 'What is needed to judge the evidence is not at hand, and this site works offline.',
  },
  /** The evidence does not say what to ask for. */
  'collateral.evidence': {
    status: 400,
    recovery: 'fix_request',
    public: 'The evidence does not say which machine it is from.',
  },
  'collateral.bundle': {
    status: 400,
    recovery: 'fix_request',
    public: 'The collateral bundle cannot be used.',
  },
});

/** Whether asking again later can help. Anything that is not ours is a bug and does not get better. */
export function isRetry(error: unknown): boolean {
  return (
    error instanceof VeilError &&
    error.code.startsWith('collateral.') &&
    error.spec.recovery === 'retry_later'
  );
}

/**
 * Runs a reader of untrusted bytes; its coded errors become `collateral.invalid` with their code as reason. What is a
 * `collateral.*` error already goes on as it is.
 */
export function orInvalid<Value>(kind: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    if (error.code.startsWith('collateral.')) throw error;
    throw invalid(kind, error.code, error);
  }
}

/** `reason` is a fixed word or a code of ours. */
export function invalid(kind: string, reason: string, cause?: unknown): VeilError {
  return collateralError('collateral.invalid', `${kind}: ${reason}`, {
    facts: { kind, reason },
    cause,
  });
}

export function expired(kind: string): VeilError {
  return collateralError('collateral.expired', kind, { facts: { kind } });
}
