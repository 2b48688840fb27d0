/**
 * The five kinds of published documents and the roles that sign them. To add one: its name and bound here, its format in a
 * file of its own, and what a reader does with it in advance.ts.
 * Spec: docs/publication.md §1, §2.
 * @module
 */

import { BUNDLE_MAX_BYTES, REVOCATIONS_MAX_BYTES, SMALL_DOCUMENT_MAX_BYTES } from './limits.ts';

export const ROLES = ['root', 'policy', 'release', 'revocation', 'timestamp'] as const;
export type Role = (typeof ROLES)[number];

export const DOCUMENT_KINDS = ['root', 'bundle', 'release', 'revocations', 'timestamp'] as const;
export type DocumentKind = (typeof DOCUMENT_KINDS)[number];

/** Of the envelope as it is published. */
export const ENVELOPE_MAX_BYTES: Readonly<Record<DocumentKind, number>> = {
  root: SMALL_DOCUMENT_MAX_BYTES,
  bundle: BUNDLE_MAX_BYTES,
  release: SMALL_DOCUMENT_MAX_BYTES,
  revocations: REVOCATIONS_MAX_BYTES,
  timestamp: SMALL_DOCUMENT_MAX_BYTES,
};

export function payloadTypeOf(kind: DocumentKind): string {
  return `application/vnd.veilgate.${kind}+json`;
}

export function kindOfPayloadType(type: string): DocumentKind | undefined {
  return DOCUMENT_KINDS.find((kind) => payloadTypeOf(kind) === type);
}
