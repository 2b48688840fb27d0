/**
 * Any signed document, opened for showing and signing. Its content is decoded in full; that it was signed by anybody is not
 * said here. Spec: docs/publication.md §2.
 * @module
 */

import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { decodeBundle } from '../../attestation/publication/bundle.ts';
import { parseAnyEnvelope, type Envelope } from '../../attestation/publication/envelope.ts';
import { ENVELOPE_MAX_BYTES, type DocumentKind } from '../../attestation/publication/kinds.ts';
import { digestText, readPayload } from '../../attestation/publication/payload.ts';
import { decodeRelease, type Release } from '../../attestation/publication/release.ts';
import {
  decodeRevocations,
  type RevocationList,
} from '../../attestation/publication/revocations.ts';
import { decodeRoot, type Root } from '../../attestation/publication/root.ts';
import { decodeTimestamp, type Timestamp } from '../../attestation/publication/timestamp.ts';
import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { readBoundedFile } from '../measure/files.ts';

const LARGEST_BYTES = Math.max(...Object.values(ENVELOPE_MAX_BYTES));

interface Opened {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
}

export type OpenedBundle = Opened & { readonly kind: 'bundle'; readonly policy: CompiledPolicy };
export type OpenedRoot = Opened & { readonly kind: 'root'; readonly root: Root };
export type OpenedRelease = Opened & { readonly kind: 'release'; readonly release: Release };
export type OpenedList = Opened & { readonly kind: 'revocations'; readonly list: RevocationList };
export type OpenedDocument =
  | OpenedBundle
  | OpenedRoot
  | OpenedRelease
  | OpenedList
  | (Opened & { readonly kind: 'timestamp'; readonly timestamp: Timestamp });

/** Throws `cli.file`, `publication.*`. */
export function openDocument(path: string): OpenedDocument {
  return openBytes(path, readBoundedFile('signed document', path, LARGEST_BYTES));
}

/** `path`: as messages show it. Throws `publication.*`. */
export function openBytes(path: string, bytes: Uint8Array): OpenedDocument {
  const envelope = parseAnyEnvelope(bytes);
  const opened = { path, bytes, envelope };
  const payload = readPayload(envelope.payload, ENVELOPE_MAX_BYTES[envelope.kind]);
  switch (envelope.kind) {
    case 'root':
      return { ...opened, kind: 'root', root: decodeRoot(payload) };
    case 'bundle':
      return { ...opened, kind: 'bundle', policy: decodeBundle(payload).policy };
    case 'release':
      return { ...opened, kind: 'release', release: decodeRelease(payload) };
    case 'revocations':
      return { ...opened, kind: 'revocations', list: decodeRevocations(payload) };
    case 'timestamp':
  }
  return { ...opened, kind: 'timestamp', timestamp: decodeTimestamp(payload) };
}

/** `bundle production#43`, `release 12 of production`. */
export function documentName(document: OpenedDocument): string {
  switch (document.kind) {
    case 'root':
      return `root ${document.root.version} of ${document.root.policy}`;
    case 'bundle':
      return `bundle ${policyNameOf(document.policy)}`;
    case 'release':
      return `release ${document.release.number} of ${document.release.policy}`;
    case 'revocations':
      return `revocations ${document.list.number} of ${document.list.policy}`;
    case 'timestamp':
  }
  return `timestamp of ${document.timestamp.policy}, ${formatInstant(document.timestamp.timeMs)}`;
}

export function policyNameOf({ document }: CompiledPolicy): string {
  return `${document.name}#${document.serial}`;
}

export function policyDigestText({ digest }: Pick<CompiledPolicy, 'digest'>): string {
  return `sha256:${toHex(digest)}`;
}

/** Of a bundle, that of its policy: what releases name and people compare. */
export function documentDigest(document: OpenedDocument): string {
  return document.kind === 'bundle'
    ? policyDigestText(document.policy)
    : digestText(document.envelope.digest);
}

/** What a number in a message is about. */
export const KIND_WORDS: Readonly<Record<DocumentKind, string>> = {
  root: 'root',
  bundle: 'bundle',
  release: 'release',
  revocations: 'list of revocations',
  timestamp: 'timestamp',
};
