/**
 * Why a published document is not taken. Details and facts are names, versions, numbers and digests, never a value that
 * a document holds. Spec: docs/publication.md; STYLE §6.
 * @module
 */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The policy document is malformed.',
};
const REFUSED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The policy document is not accepted.',
};
const LATER: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'The policy documents are not complete.',
};
/** Met by whoever starts a process: nothing of the saved state is used. */
const UNUSABLE: ErrorSpec = {
  status: 500,
  recovery: 'stop',
  public: 'The saved policy cannot be used.',
};

export const publicationError = defineErrors({
  'publication.too_large': { ...MALFORMED, status: 413, public: 'The document is too large.' },
  /** Not strict JSON, or members missing, unknown, contradictory or of another form. */
  'publication.malformed': MALFORMED,
  /** An envelope of another kind of document. */
  'publication.payload_type': MALFORMED,
  /** The payload is not the one canonical text of what it says. */
  'publication.not_canonical': MALFORMED,
  /** One key stands twice among the signatures. */
  'publication.duplicate_key': REFUSED,
  /** A key of the root, and a signature that is not of it. */
  'publication.signature': REFUSED,
  /** Too few keys of the role have signed. */
  'publication.threshold': REFUSED,
  'publication.other_policy': REFUSED,
  /** Not the version after the newest root. */
  'publication.root_chain': REFUSED,
  /** The newest root has expired: only its successor is accepted. */
  'publication.root_expired': REFUSED,
  /** Older than what was accepted already. */
  'publication.rollback': REFUSED,
  /** Two contents were signed under one number. Somebody has to look. */
  'publication.equivocation': REFUSED,
  /** Issued later than now. */
  'publication.future': REFUSED,
  'publication.expired': REFUSED,
  /** A release names a bundle that is not at hand, or not a sound one. */
  'publication.missing_bundle': LATER,
  /** Not the policy that the release names. */
  'publication.bundle_mismatch': REFUSED,
  /** The policy inside a bundle does not compile. */
  'publication.bundle_policy': REFUSED,
  /** Gives back what was revoked, without those whose right that is. */
  'publication.revocation_withdrawn': REFUSED,
  /** The saved documents do not verify from the pinned root upwards. */
  'publication.saved_state': UNUSABLE,
  /** The clock is behind what has been accepted. */
  'publication.clock': { ...UNUSABLE, public: 'The clock of this machine is wrong.' },
});
