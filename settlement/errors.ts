/** What settlement refuses. The codes that a payer sees are outcomes of the ledger, not errors. Spec: STYLE §6. @module */

import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The payment is malformed.',
};
const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const settlementError = defineErrors({
  /** An amount that is negative, not whole in its asset's unit, or beyond what a ledger holds. */
  'settlement.amount': MALFORMED,
  /** A voucher, charge, statement or bearer token that is not one. */
  'settlement.artefact': MALFORMED,
  /** A key that verifiers would judge differently, or under which anybody can sign. */
  'settlement.key': MALFORMED,
  /** A list of prices that is not one. */
  'settlement.prices': { ...BROKEN, public: 'The price list is not valid.' },
});

export const ledgerError = defineErrors({
  /** Too many operations wait for the disk. */
  'ledger.busy': {
    status: 503,
    recovery: 'retry_later',
    public: 'The gateway takes no more requests now.',
  },
  'ledger.closed': { ...BROKEN, status: 503, recovery: 'retry_later' },
  /** Sums, chain or reservations do not follow from the journal. */
  'ledger.inconsistent': BROKEN,
  /** Another process took this ledger over. */
  'ledger.fenced': BROKEN,
  'ledger.schema': BROKEN,
  /** Reading or writing failed; what was not acknowledged may or may not be there. */
  'ledger.store': BROKEN,
  /** One operation could not be carried out; nothing of it was written. */
  'ledger.operation': BROKEN,
});
