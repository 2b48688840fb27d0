/**
 * The root: which keys there are, and which of them may sign what. One version is pinned; each further one is signed by
 * the one before and by itself. Spec: docs/publication.md §2 "Root".
 * @module
 */

import { z } from 'zod';
import { equalPublic, fromHex, toBase64Url, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import { base64UrlField } from '../byte-fields.ts';
import { INSTANT, NAME } from '../policy/fields.ts';
import { keyIdOf, parseEnvelope, type Envelope } from './envelope.ts';
import { publicationError } from './errors.ts';
import { ENVELOPE_MAX_BYTES, ROLES, type Role } from './kinds.ts';
import { KEYS_MAX } from './limits.ts';
import { decodeWith, encodePayload, NUMBER, readPayload } from './payload.ts';
import {
  verifyPinned,
  verifySuccessor,
  type DocumentFormat,
  type Keyring,
  type Verified,
} from './verified.ts';

export const ROOT_FORMAT = 'veilgate.root/1';

export interface RootFields {
  readonly policy: string;
  readonly version: number;
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly keys: readonly { readonly name: string; readonly publicKey: Bytes<32> }[];
  /** Keys by their names. */
  readonly roles: Readonly<
    Record<Role, { readonly threshold: number; readonly keys: readonly string[] }>
  >;
}

export type Root = RootFields & Keyring;

const ROLE = z.strictObject({
  threshold: z.int().min(1).max(KEYS_MAX),
  keys: z.array(NAME).min(1).max(KEYS_MAX),
});

const SCHEMA = z.strictObject({
  format: z.literal(ROOT_FORMAT),
  policy: NAME,
  version: NUMBER,
  issued: INSTANT,
  expires: INSTANT,
  keys: z
    .array(z.strictObject({ name: NAME, ed25519: base64UrlField(32) }))
    .min(1)
    .max(KEYS_MAX),
  roles: z.strictObject({
    root: ROLE,
    policy: ROLE,
    release: ROLE,
    revocation: ROLE,
    timestamp: ROLE,
  } satisfies Record<Role, typeof ROLE>),
});

export const ROOT: DocumentFormat<Root> = {
  kind: 'root',
  role: 'root',
  decode: decodeRoot,
  policyOf: ({ policy }) => policy,
};

/** Form and sense only. Throws `publication.malformed`. */
export function decodeRoot(value: Json): Root {
  const { policy, version, issued, expires, keys, roles } = decodeWith(SCHEMA, value);
  const fields: RootFields = {
    policy,
    version,
    issuedMs: issued,
    expiresMs: expires,
    keys: keys.map(({ name, ed25519 }) => ({ name, publicKey: ed25519 })),
    roles,
  };
  const problem = senseless(fields);
  if (problem !== undefined) throw publicationError('publication.malformed', problem);
  return { ...fields, ...keyringOf(fields) };
}

function keyringOf({ policy, keys, roles }: RootFields): Keyring {
  const keyidOf = new Map(keys.map(({ name, publicKey }) => [name, keyIdOf(publicKey)]));
  const signersOf = (role: Role) => ({
    threshold: roles[role].threshold,
    keyids: new Set(roles[role].keys.map((name) => keyidOf.get(name) ?? '')),
  });
  return {
    policy,
    publicKeys: new Map(keys.map(({ publicKey }) => [keyIdOf(publicKey), publicKey])),
    signers: {
      root: signersOf('root'),
      policy: signersOf('policy'),
      release: signersOf('release'),
      revocation: signersOf('revocation'),
      timestamp: signersOf('timestamp'),
    },
  };
}

/** One person with two names or two forms of one key would count twice towards a threshold. */
function senseless({ issuedMs, expiresMs, keys, roles }: RootFields): string | undefined {
  const names = new Set(keys.map(({ name }) => name));
  if (expiresMs <= issuedMs) return 'expires: not after issued';
  if (names.size !== keys.length) return 'keys: a name stands twice';
  if (new Set(keys.map(({ publicKey }) => keyIdOf(publicKey))).size !== keys.length) {
    return 'keys: a key stands twice';
  }
  if (keys.some(({ publicKey }) => isWeak(publicKey))) return 'keys: a key that proves nothing';
  for (const role of ROLES) {
    const { threshold, keys: members } = roles[role];
    const distinct = new Set(members);
    if (distinct.size !== members.length) return `roles.${role}: a name stands twice`;
    if (members.some((name) => !names.has(name))) return `roles.${role}: no such key`;
    if (threshold > members.length) return `roles.${role}: threshold above the number of keys`;
    if (role !== 'timestamp' && roles.timestamp.keys.some((name) => distinct.has(name))) {
      return `roles.${role}: a key of timestamp, which is online`;
    }
  }
  return undefined;
}

/** y-coordinates of the eight points of small order, for which anybody can make signatures. Spec: RFC 8032 §5.1.3, §8.8. */
const SMALL_ORDER: readonly Uint8Array[] = [
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(fromHex);

/** Of small order, or in the second form that a few points have (y not below the field's prime 2^255 - 19). */
function isWeak(publicKey: Bytes<32>): boolean {
  const y = Uint8Array.from(publicKey);
  y[31] = (y[31] ?? 0) & 0x7f;
  const isSecondForm =
    (y[0] ?? 0) >= 0xed && y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  return isSecondForm || SMALL_ORDER.some((point) => equalPublic(point, y));
}

/** Canonical payload. Throws `publication.malformed` for what no reader would take. */
export function encodeRoot(fields: RootFields): Uint8Array {
  const { policy, version, issuedMs, expiresMs, keys, roles } = fields;
  const roleOf = (role: Role): Json => ({
    threshold: roles[role].threshold,
    keys: roles[role].keys,
  });
  const value: Json = {
    format: ROOT_FORMAT,
    policy,
    version,
    issued: formatInstant(issuedMs),
    expires: formatInstant(expiresMs),
    keys: keys.map(({ name, publicKey }) => ({ name, ed25519: toBase64Url(publicKey) })),
    roles: Object.fromEntries(ROLES.map((role) => [role, roleOf(role)])),
  };
  decodeRoot(value);
  return encodePayload(value);
}

/** What it says, whoever says it. Throws `publication.malformed`, `publication.not_canonical`. */
export function readRootUnverified({ payload }: Envelope): Root {
  return decodeRoot(readPayload(payload, ENVELOPE_MAX_BYTES.root));
}

/** The root that a reader was configured with. Throws `publication.*`. */
export function openPinnedRoot(bytes: Uint8Array): Verified<Root> {
  return verifyPinned(parseEnvelope(bytes, 'root'), ROOT);
}

/**
 * The root after `previous`, expired or not: readers that were away climb over old ones. Throws `publication.*`,
 * `publication.root_chain` for any other version.
 */
export function verifyNextRoot(bytes: Uint8Array, previous: Verified<Root>): Verified<Root> {
  const next = verifySuccessor(parseEnvelope(bytes, 'root'), previous, ROOT);
  const want = previous.payload.version + 1;
  if (next.payload.version === want) return next;
  throw publicationError('publication.root_chain', `got ${next.payload.version}, want ${want}`);
}
