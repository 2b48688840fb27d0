/** Error codes of the TDX readers. They never leave `verifyTdx`: there they become failed checks. @module */

import { defineErrors, VeilError, type ErrorSpec } from '../../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const tdxError = defineErrors({
  'tdx.quote': REJECTED,
  'tdx.certificate': REJECTED,
  'tdx.crl': REJECTED,
  'tdx.collateral': REJECTED,
});

/** What a reader made of untrusted bytes. */
export type Attempt<Value> =
  | { readonly outcome: 'read'; readonly value: Value }
  | { readonly outcome: 'malformed'; readonly reason: string };

/** Runs a reader; its coded errors become an answer, anything else is a bug and goes on. */
export function attempt<Value>(read: () => Value): Attempt<Value> {
  try {
    return { outcome: 'read', value: read() };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return { outcome: 'malformed', reason: error.message };
  }
}
