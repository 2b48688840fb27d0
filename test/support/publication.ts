/**
 * A publisher of policies for tests: people with keys, and every document sound except for what a test names. Documents come
 * as the bytes of their envelopes. `published` is what a reader finds on the first day.
 * Spec: docs/publication.md.
 * @module
 */

import { ed25519PublicKey, sha256 } from '#primitives';
import { advance, type Advance, type Offered } from '../../attestation/publication/advance.ts';
import { encodeBundle } from '../../attestation/publication/bundle.ts';
import { signEnvelope } from '../../attestation/publication/envelope.ts';
import type { DocumentKind } from '../../attestation/publication/kinds.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { encodeRelease, type Release } from '../../attestation/publication/release.ts';
import {
  encodeRevocations,
  type DatedRevocation,
  type RevocationList,
} from '../../attestation/publication/revocations.ts';
import { encodeRoot, type RootFields } from '../../attestation/publication/root.ts';
import { encodeTimestamp, type Timestamp } from '../../attestation/publication/timestamp.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { utf8, type Bytes } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { DAY_MS, NOW_MS } from './tdx/pki.ts';
import { testPolicy } from './worker-evidence.ts';

/** Everybody has a key of their name; `server` is the machine that is online. */
export function secretKeyOf(name: string): Bytes<32> {
  return sha256(utf8(`publication key of ${name}`));
}

export function publicKeyOf(name: string): Bytes<32> {
  return ed25519PublicKey(secretKeyOf(name));
}

export const POLICY_NAME = 'test';
export const PEOPLE = ['alice', 'bob', 'carol', 'dave'] as const;
/** Who signs when a test does not say: just as many as have to. */
const SIGNERS: Readonly<Record<DocumentKind, readonly string[]>> = {
  root: ['alice', 'bob'],
  bundle: ['alice', 'bob'],
  release: ['alice', 'bob'],
  revocations: ['carol'],
  timestamp: ['server'],
};

/** Alice, Bob and Carol: two for what gives, one for what takes away. Dave has no role. */
export function rootFields(overrides: Partial<RootFields> = {}): RootFields {
  const people = ['alice', 'bob', 'carol'];
  return {
    policy: POLICY_NAME,
    version: 1,
    issuedMs: NOW_MS - DAY_MS,
    expiresMs: NOW_MS + 365 * DAY_MS,
    keys: [...PEOPLE, 'server'].map((name) => ({ name, publicKey: publicKeyOf(name) })),
    roles: {
      root: { threshold: 2, keys: people },
      policy: { threshold: 2, keys: people },
      release: { threshold: 2, keys: people },
      revocation: { threshold: 1, keys: people },
      timestamp: { threshold: 1, keys: ['server'] },
    },
    ...overrides,
  };
}

/** Any payload, signed by whom the test says. */
export function sign(
  kind: DocumentKind,
  payload: Uint8Array,
  by: readonly string[] = SIGNERS[kind],
): Uint8Array {
  return signEnvelope(kind, payload, by.map(secretKeyOf));
}

export function makeRoot(
  overrides: Partial<RootFields> = {},
  by: readonly string[] = SIGNERS.root,
): Uint8Array {
  return sign('root', encodeRoot(rootFields(overrides)), by);
}

/** The same policy for the same serial and overrides. */
export function policyOf(
  serial: number,
  overrides: Readonly<Record<string, Json>> = {},
): CompiledPolicy {
  return testPolicy(sha256(utf8('test root')), { serial, ...overrides });
}

export function makeBundle(
  policy: CompiledPolicy,
  by: readonly string[] = SIGNERS.bundle,
): Uint8Array {
  return sign('bundle', encodeBundle(policy), by);
}

/** Of policy 1, and nothing beside it. */
export function releaseOf(overrides: Partial<Release> = {}): Release {
  return {
    policy: POLICY_NAME,
    number: 1,
    issuedMs: NOW_MS - 3_600_000,
    current: named(policyOf(1)),
    candidate: null,
    ...overrides,
  };
}

/** As a release names a policy. */
export function named({ document, digest }: CompiledPolicy): {
  readonly serial: number;
  readonly digest: Bytes<32>;
} {
  return { serial: document.serial, digest };
}

export function makeRelease(
  overrides: Partial<Release> = {},
  by: readonly string[] = SIGNERS.release,
): Uint8Array {
  return sign('release', encodeRelease(releaseOf(overrides)), by);
}

export function entry(kind: DatedRevocation['kind'], value: string): DatedRevocation {
  return { kind, value, reason: 'for a test', by: 'carol', atMs: NOW_MS - 3_600_000 };
}

export function revocationsOf(overrides: Partial<RevocationList> = {}): RevocationList {
  return {
    policy: POLICY_NAME,
    number: 1,
    issuedMs: NOW_MS - 3_600_000,
    entries: [],
    ...overrides,
  };
}

export function makeRevocations(
  overrides: Partial<RevocationList> = {},
  by: readonly string[] = SIGNERS.revocations,
): Uint8Array {
  return sign('revocations', encodeRevocations(revocationsOf(overrides)), by);
}

/** Names release 1 and list 1 as they are without overrides. */
export function timestampOf(overrides: Partial<Timestamp> = {}): Timestamp {
  return {
    policy: POLICY_NAME,
    timeMs: NOW_MS,
    release: { number: 1, digest: sha256(encodeRelease(releaseOf())) },
    revocations: { number: 1, digest: sha256(encodeRevocations(revocationsOf())) },
    ...overrides,
  };
}

export function makeTimestamp(
  overrides: Partial<Timestamp> = {},
  by: readonly string[] = SIGNERS.timestamp,
): Uint8Array {
  return sign('timestamp', encodeTimestamp(timestampOf(overrides)), by);
}

/** Bundles by their serials, as they are published. */
export function bundlesOf(
  policies: readonly CompiledPolicy[],
  by: readonly string[] = SIGNERS.bundle,
): ReadonlyMap<number, Uint8Array> {
  return new Map(policies.map((policy) => [policy.document.serial, makeBundle(policy, by)]));
}

/** Everything of the first day. */
export function firstDay(): Required<Omit<Offered, 'roots'>> {
  return {
    release: makeRelease(),
    bundles: bundlesOf([policyOf(1)]),
    revocations: makeRevocations(),
    timestamp: makeTimestamp(),
  };
}

/** A reader that pins root 1 and has accepted nothing. */
export function blankReader(): PublicationState {
  return openPublication({ pinnedRoot: makeRoot(), nowMs: NOW_MS });
}

/** A reader that has accepted the first day. Throws when anything was refused. */
export function reader(more: Offered = {}): PublicationState {
  return accepted(accepted(blankReader(), firstDay()), more);
}

/** The state after what has to be accepted whole. */
export function accepted(
  state: PublicationState,
  offered: Offered,
  nowMs: number = NOW_MS,
): PublicationState {
  const { state: next, refused } = advance(state, offered, nowMs);
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`);
  return next;
}

/** Codes of what was refused, each after its kind of document. */
export function refusals({ refused }: Advance): readonly string[] {
  return refused.map(({ document, code }) => `${document} ${code}`);
}
