/**
 * The published documents as this gateway accepted them, for clients and other gateways: signed, so that passing them on
 * takes no trust. Spec: docs/publication.md §5.
 * @module
 */

import { sha256 } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { ENVELOPE_MAX_BYTES } from '../../attestation/publication/kinds.ts';
import type { Held, PublicationState } from '../../attestation/publication/memory.ts';

export interface ServedDocument {
  readonly bytes: Uint8Array;
  /** Quoted, as the header wants it. */
  readonly etag: string;
}

const ROOT_NAME = /^root\/([1-9]\d{0,8})\.json$/;
const BUNDLE_NAME = /^bundles\/([1-9]\d{0,15})\.json$/;

/** By the name of docs/publication.md §2. */
export function servedDocument(
  { roots, release, revocations, timestamp }: PublicationState,
  name: string,
): ServedDocument | undefined {
  if (name === 'release.json') return served(release);
  if (name === 'revocations.json') return served(revocations);
  if (name === 'timestamp.json') return served(timestamp);
  const version = Number(ROOT_NAME.exec(name)?.[1]);
  const root = roots.find(({ document }) => document.payload.version === version);
  if (root !== undefined) return served(root);
  const serial = Number(BUNDLE_NAME.exec(name)?.[1]);
  const bundles = [release?.current, release?.candidate];
  return served(
    bundles.find((bundle) => bundle?.document.payload.policy.document.serial === serial),
  );
}

function served(held: Held<unknown> | undefined): ServedDocument | undefined {
  if (held === undefined) return undefined;
  return { bytes: held.bytes, etag: etagOf(held) };
}

/** Of the whole envelope: other signatures make another file. */
function etagOf(held: Held<unknown>): string {
  const known = ETAGS.get(held);
  if (known !== undefined) return known;
  const etag = `"${toHex(sha256(held.bytes))}"`;
  ETAGS.set(held, etag);
  return etag;
}

const ETAGS = new WeakMap<Held<unknown>, string>();

/** What stands beside evidence. */
export function staple(state: PublicationState): object {
  const { root, release } = state;
  return { root: root.payload.version, release: envelopeJson(release), ...revocationStaple(state) };
}

export function revocationStaple({ revocations, timestamp }: PublicationState): object {
  return { revocations: envelopeJson(revocations), timestamp: envelopeJson(timestamp) };
}

/** A document stays the same object for as long as it is held, and is asked for with every list of evidence. */
const PARSED = new WeakMap<Held<unknown>, unknown>();

function envelopeJson(held: Held<unknown> | undefined): unknown {
  if (held === undefined) return null;
  const known = PARSED.get(held);
  if (known !== undefined) return known;
  const json = parseJson(held.bytes, ENVELOPE_MAX_BYTES.revocations);
  PARSED.set(held, json);
  return json;
}
