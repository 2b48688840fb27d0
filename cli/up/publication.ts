/**
 * What a security team does, for one machine: keys of each role, a policy signed and published, an empty list of
 * revocations, and the service that says every 20 s that nothing is newer. All keys lie in one directory, so it protects
 * nothing; everything else is as it is in earnest. Spec: docs/publication.md; overview "Simulated machines".
 * @module
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ed25519PublicKey } from '#primitives';
import { encodeBundle } from '../../attestation/publication/bundle.ts';
import { signEnvelope } from '../../attestation/publication/envelope.ts';
import { ROLES, type Role } from '../../attestation/publication/kinds.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { encodeRelease } from '../../attestation/publication/release.ts';
import { encodeRevocations } from '../../attestation/publication/revocations.ts';
import { encodeRoot } from '../../attestation/publication/root.ts';
import { compilePolicy, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { utf8, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { makeKey, readSigningKey } from '../publication/keys.ts';
import { ownState } from '../publication/own-state.ts';
import {
  bundleFile,
  commit,
  readRepository,
  RELEASE_FILE,
  REVOCATIONS_FILE,
  rootFile,
  seenIn,
  type RepositoryFiles,
  type RepositoryWrite,
} from '../publication/repository.ts';
import { runTimestampService } from '../publication/timestamp-service.ts';
import type { DataDirectory } from './data-directory.ts';

const POLICY_NAME = 'development';
const DAY_MS = 86_400_000;
const ROOT_LIFETIME_DAYS = 3650;

export interface DevelopmentPublication {
  readonly directory: string;
  readonly rootFile: string;
  /** Of the role that revokes, for `veilgate revoke --as`. */
  readonly revocationKey: string;
  readonly policy: CompiledPolicy;
}

/** `textFor` makes the policy for a serial: it rises with every start, because the dates in it do. */
export async function publishDevelopment(
  data: DataDirectory,
  textFor: (serial: number) => string,
): Promise<DevelopmentPublication> {
  const directory = data.path('published');
  const keys = keysOf(data);
  const nowMs = wholeSecond();
  await writeOnce(directory, rootFile(1), () => signedRoot(keys, nowMs));
  const files = readRepository(directory);
  const { state } = ownState(files, nowMs);
  const serial = Math.max(state.highestSerial, 0, ...files.serials) + 1;
  const policy = compilePolicy(utf8(textFor(serial)), { source: 'policy.yaml' });
  const writes = [
    ...releaseWrites(state, policy, { keys, nowMs }),
    ...listWrites(files, keys, nowMs),
  ];
  await commit(directory, writes, seenIn(files, [RELEASE_FILE, REVOCATIONS_FILE]));
  const revocationKey = keyPath(data, 'revocation');
  return { directory, rootFile: join(directory, rootFile(1)), revocationKey, policy };
}

/** Until the signal. What it meets is tried again; a gateway without fresh word says so itself. */
export async function keepTimestamp(data: DataDirectory, signal: AbortSignal): Promise<void> {
  await runTimestampService({
    directory: data.path('published'),
    secretKey: keysOf(data).timestamp,
    memoryPath: data.path('timestamp-memory.json'),
    now: systemClock,
    signal,
  });
}

type Keys = Readonly<Record<Role, Bytes<32>>>;

/** As `veilgate policy key new` makes them, so that every command takes them. */
function keyPath(data: DataDirectory, role: Role): string {
  return data.path('keys', `policy-${role}.key`);
}

function keysOf(data: DataDirectory): Keys {
  const key = (role: Role): Bytes<32> => {
    const path = keyPath(data, role);
    return (existsSync(path) ? readSigningKey(path) : makeKey(role, path)).secretKey;
  };
  return {
    root: key('root'),
    policy: key('policy'),
    release: key('release'),
    revocation: key('revocation'),
    timestamp: key('timestamp'),
  };
}

/** Documents have no finer clock. */
function wholeSecond(): number {
  return Math.floor(systemClock() / 1000) * 1000;
}

async function writeOnce(directory: string, name: string, make: () => Uint8Array): Promise<void> {
  try {
    readRepository(directory);
  } catch {
    // There is none yet; what is wrong with one that is there shows when it is read again.
    await commit(directory, [{ name, bytes: make() }], [{ name, bytes: undefined }]);
  }
}

function signedRoot(keys: Keys, nowMs: number): Uint8Array {
  const role = (name: Role) => ({ threshold: 1, keys: [name] });
  const payload = encodeRoot({
    policy: POLICY_NAME,
    version: 1,
    issuedMs: nowMs,
    expiresMs: nowMs + ROOT_LIFETIME_DAYS * DAY_MS,
    keys: ROLES.map((name) => ({ name, publicKey: ed25519PublicKey(keys[name]) })),
    roles: {
      root: role('root'),
      policy: role('policy'),
      release: role('release'),
      revocation: role('revocation'),
      timestamp: role('timestamp'),
    },
  });
  return signEnvelope('root', payload, [keys.root]);
}

function releaseWrites(
  { release }: PublicationState,
  policy: CompiledPolicy,
  { keys, nowMs }: { readonly keys: Keys; readonly nowMs: number },
): readonly RepositoryWrite[] {
  const { serial } = policy.document;
  const payload = encodeRelease({
    policy: POLICY_NAME,
    number: (release?.document.payload.number ?? 0) + 1,
    issuedMs: nowMs,
    current: { serial, digest: policy.digest },
    candidate: null,
  });
  return [
    {
      name: bundleFile(serial),
      bytes: signEnvelope('bundle', encodeBundle(policy), [keys.policy]),
    },
    { name: RELEASE_FILE, bytes: signEnvelope('release', payload, [keys.release]) },
  ];
}

/** What was revoked stays revoked. */
function listWrites(
  { revocations }: RepositoryFiles,
  keys: Keys,
  nowMs: number,
): readonly RepositoryWrite[] {
  if (revocations !== undefined) return [];
  const payload = encodeRevocations({
    policy: POLICY_NAME,
    number: 1,
    issuedMs: nowMs,
    entries: [],
  });
  const bytes = signEnvelope('revocations', payload, [keys.revocation]);
  return [{ name: REVOCATIONS_FILE, bytes }];
}
