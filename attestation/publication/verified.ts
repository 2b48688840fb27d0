/**
 * From an envelope to a document that can be relied on: known keys' signatures hold, the role has signed, the payload is
 * canonical, of its format and of our policy. Only the functions here make a `Verified`.
 * Spec: docs/publication.md §1, §2 "Root".
 * @module
 */

import { verifyEd25519 } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import { preAuthEncoding, type Envelope } from './envelope.ts';
import { publicationError } from './errors.ts';
import { ENVELOPE_MAX_BYTES, type DocumentKind, type Role } from './kinds.ts';
import { readPayload } from './payload.ts';

/** What a root says about who may sign. */
export interface Keyring {
  readonly policy: string;
  /** By keyid. */
  readonly publicKeys: ReadonlyMap<string, Bytes<32>>;
  readonly signers: Readonly<
    Record<Role, { readonly threshold: number; readonly keyids: ReadonlySet<string> }>
  >;
}

/** How one kind of document is read and who signs it. */
export interface DocumentFormat<Payload> {
  readonly kind: DocumentKind;
  readonly role: Role;
  /** Throws `publication.malformed`. */
  readonly decode: (payload: Json) => Payload;
  /** Name of the policy it belongs to. */
  readonly policyOf: (payload: Payload) => string;
}

/** A document that its role has signed under the root it was verified with. Whether it is new enough is not said. */
export interface Verified<Payload> {
  readonly payload: Payload;
  /** SHA-256 of the payload bytes. */
  readonly digest: Bytes<32>;
  /** All keys of the root, of any role, whose signature holds. */
  readonly signedBy: ReadonlySet<string>;
}

const MINTED = new WeakSet<Verified<unknown>>();

/** Throws when `document` did not come out of a verification. */
export function assertVerified(document: Verified<unknown>): void {
  assert(MINTED.has(document), 'a document that nothing verified');
}

/**
 * Throws `publication.signature`, `publication.threshold`, `publication.malformed`, `publication.not_canonical`,
 * `publication.other_policy`. Expiry of the root and order of numbers are the reader's.
 */
export function verifyDocument<Payload>(
  envelope: Envelope,
  root: Verified<Keyring>,
  format: DocumentFormat<Payload>,
): Verified<Payload> {
  assertVerified(root);
  const signedBy = verifiedSigners(envelope, root.payload);
  assertRoleSigned(signedBy, root.payload, format.role);
  const payload = decodedPayload(envelope, format);
  if (format.policyOf(payload) !== root.payload.policy) {
    throw publicationError('publication.other_policy', format.kind);
  }
  return mint(envelope, payload, signedBy);
}

/** The root role of the root before and that of the new one have signed. Throws as `verifyDocument`. */
export function verifySuccessor<Root extends Keyring>(
  envelope: Envelope,
  previous: Verified<Keyring>,
  format: DocumentFormat<Root>,
): Verified<Root> {
  const { payload } = verifyDocument(envelope, previous, format);
  const signedBy = verifiedSigners(envelope, payload);
  assertRoleSigned(signedBy, payload, 'root');
  return mint(envelope, payload, signedBy);
}

/** The caller's own configuration vouches for it; that it signs itself guards against a damaged or half-signed file. */
export function verifyPinned<Root extends Keyring>(
  envelope: Envelope,
  format: DocumentFormat<Root>,
): Verified<Root> {
  const payload = decodedPayload(envelope, format);
  const signedBy = verifiedSigners(envelope, payload);
  assertRoleSigned(signedBy, payload, 'root');
  return mint(envelope, payload, signedBy);
}

/** Whether enough keys of this role have signed, beside the role that had to. */
export function hasSigned(
  document: Verified<unknown>,
  root: Verified<Keyring>,
  role: Role,
): boolean {
  assertVerified(document);
  assertVerified(root);
  return (
    countSigners(document.signedBy, root.payload, role) >= root.payload.signers[role].threshold
  );
}

function mint<Payload>(
  { digest }: Envelope,
  payload: Payload,
  signedBy: ReadonlySet<string>,
): Verified<Payload> {
  const document = Object.freeze({ payload: Object.freeze(payload), digest, signedBy });
  MINTED.add(document);
  return document;
}

/** Unknown keys do not count and are no fault; a known key with a wrong signature is one. */
function verifiedSigners(envelope: Envelope, { publicKeys }: Keyring): ReadonlySet<string> {
  const input = preAuthEncoding(envelope);
  const signedBy = new Set<string>();
  for (const { keyid, sig } of envelope.signatures) {
    const publicKey = publicKeys.get(keyid);
    if (publicKey === undefined) continue;
    if (!verifyEd25519(publicKey, sig, input)) {
      throw publicationError('publication.signature', `key ${keyid}`, { facts: { keyid } });
    }
    signedBy.add(keyid);
  }
  return signedBy;
}

function assertRoleSigned(signedBy: ReadonlySet<string>, keyring: Keyring, role: Role): void {
  const { threshold } = keyring.signers[role];
  const got = countSigners(signedBy, keyring, role);
  if (got >= threshold) return;
  throw publicationError('publication.threshold', `${role}: ${got} of ${threshold}`, {
    facts: { role, got, threshold },
  });
}

function countSigners(signedBy: ReadonlySet<string>, keyring: Keyring, role: Role): number {
  const { keyids } = keyring.signers[role];
  return [...signedBy].filter((keyid) => keyids.has(keyid)).length;
}

function decodedPayload<Payload>(
  { kind, payload }: Envelope,
  format: DocumentFormat<Payload>,
): Payload {
  assert(kind === format.kind, 'an envelope of another kind');
  return format.decode(readPayload(payload, ENVELOPE_MAX_BYTES[kind]));
}
