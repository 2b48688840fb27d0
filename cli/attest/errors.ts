/** What can go wrong before there is evidence to judge. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const UNREADABLE: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The input holds no evidence that can be read.',
};

export const attestError = defineErrors({
  /** Of no kind that this program knows. */
  'attest.unknown': UNREADABLE,
  /** Of a known kind, and broken. */
  'attest.malformed': UNREADABLE,
  /** Of a kind that is known and cannot be judged here. */
  'attest.unsupported': UNREADABLE,
  /** An option that does not go with what the input turned out to be. */
  'attest.option': { ...UNREADABLE, public: 'The options do not fit the input.' },
  'attest.gateway': {
    status: 502,
    recovery: 'retry_later',
    public: 'The gateway shows no evidence.',
  },
});
