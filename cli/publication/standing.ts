/**
 * Who has signed a document and who still can, by names, under a root. For people: what is in force is decided by
 * attestation/publication/verified.ts. Spec: docs/publication.md §1, §2 "Root".
 * @module
 */

import { verifyEd25519 } from '#primitives';
import { preAuthEncoding, keyIdOf, type Envelope } from '../../attestation/publication/envelope.ts';
import { ROLES, type DocumentKind, type Role } from '../../attestation/publication/kinds.ts';
import type { RootFields } from '../../attestation/publication/root.ts';
import { refused } from './errors.ts';
import type { PublicKey } from './keys.ts';

export const ROLE_OF: Readonly<Record<DocumentKind, Role>> = {
  root: 'root',
  bundle: 'policy',
  release: 'release',
  revocations: 'revocation',
  timestamp: 'timestamp',
};

export interface Standing {
  readonly role: Role;
  readonly threshold: number;
  /** Names of the role's keys. */
  readonly signed: readonly string[];
  readonly canSign: readonly string[];
  readonly missing: number;
}

/** Keys by name and by keyid, of one root. */
export function nameOfKey({ keys }: RootFields, keyid: string): string | undefined {
  return keys.find(({ publicKey }) => keyIdOf(publicKey) === keyid)?.name;
}

/** Signatures that are not of their key; one such refuses the whole envelope. */
export function brokenSignatures(envelope: Envelope, root: RootFields): readonly string[] {
  const input = preAuthEncoding(envelope);
  return envelope.signatures.flatMap(({ keyid, sig }) => {
    const key = root.keys.find(({ publicKey }) => keyIdOf(publicKey) === keyid);
    return key === undefined || verifyEd25519(key.publicKey, sig, input) ? [] : [key.name];
  });
}

/** Keyids that this root does not know: no fault, and of no weight. */
export function strangers(envelope: Envelope, root: RootFields): readonly string[] {
  return envelope.signatures
    .map(({ keyid }) => keyid)
    .filter((keyid) => nameOfKey(root, keyid) === undefined);
}

export function standing(envelope: Envelope, root: RootFields, role: Role): Standing {
  const { threshold, keys } = root.roles[role];
  const broken = new Set(brokenSignatures(envelope, root));
  const names = new Set(
    envelope.signatures
      .map(({ keyid }) => nameOfKey(root, keyid))
      .filter((name) => name !== undefined && !broken.has(name)),
  );
  const signed = keys.filter((name) => names.has(name));
  const canSign = keys.filter((name) => !names.has(name));
  return { role, threshold, signed, canSign, missing: Math.max(0, threshold - signed.length) };
}

/** `2 of 3 signed (alice, bob)`. */
export function standingText({ role, threshold, signed, canSign, missing }: Standing): string {
  const by = signed.length === 0 ? 'nobody yet' : signed.join(', ');
  const head = `${role}: ${signed.length} of ${threshold} needed (${by})`;
  if (missing === 0) return head;
  return `${head}; ${missing} more of ${canSign.join(', ')}`;
}

/** The roles in which a key may sign. */
export function rolesOfKey(root: RootFields, { keyid }: Pick<PublicKey, 'keyid'>): readonly Role[] {
  const name = nameOfKey(root, keyid);
  return name === undefined ? [] : ROLES.filter((role) => root.roles[role].keys.includes(name));
}

/** Throws `repository.refused` for a key that no root here lets sign in one of these roles. */
export function assertMaySign(
  key: PublicKey & { readonly path: string },
  roots: readonly RootFields[],
  roles: readonly Role[],
): void {
  if (roots.some((root) => rolesOfKey(root, key).some((role) => roles.includes(role)))) return;
  const [root] = roots;
  const may = root === undefined ? [] : rolesOfKey(root, key);
  const has = may.length === 0 ? 'is in no role of the root' : `may sign ${may.join(', ')} only`;
  const who = roles.map((role) => `${role} (${root?.roles[role].keys.join(', ') ?? ''})`);
  throw refused(
    `the key of ${key.name} in ${key.path} ${has}`,
    `ask one of ${who.join(' or ')}; while keys are being rotated, name the next root with --next-root FILE`,
  );
}
