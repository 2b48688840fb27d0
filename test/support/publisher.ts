/**
 * A team that publishes into a directory by the clock of this machine, for tests against a running gateway: one key for each
 * role, every document sound except for what a test does to it. Spec: docs/publication.md §2.
 * @module
 */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ed25519PublicKey, sha256 } from '#primitives';
import { encodeBundle } from '../../attestation/publication/bundle.ts';
import { signEnvelope } from '../../attestation/publication/envelope.ts';
import { ROLES, type DocumentKind, type Role } from '../../attestation/publication/kinds.ts';
import { encodeRelease, type Release } from '../../attestation/publication/release.ts';
import {
  encodeRevocations,
  type DatedRevocation,
} from '../../attestation/publication/revocations.ts';
import { encodeRoot } from '../../attestation/publication/root.ts';
import { encodeTimestamp } from '../../attestation/publication/timestamp.ts';
import { compilePolicy, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import { utf8, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { Json, JsonObject } from '../../core/json.ts';

const DAY_MS = 86_400_000;
const POLICY_NAME = 'development';

const keyOf = (name: string): Bytes<32> => sha256(utf8(`publisher ${name}`));

/** Whole seconds: documents have no finer clock. */
function nowMs(): number {
  return Math.floor(systemClock() / 1000) * 1000;
}

export interface Edit {
  (policy: Record<string, Json>): void;
}

export class Publisher {
  readonly directory: string;
  readonly rootFile: string;
  readonly #template: JsonObject;
  /** Of the key that each role has now. */
  readonly #keys = new Map<Role, string>(ROLES.map((role) => [role, role]));
  #version = 1;
  #serial = 0;
  #release: Release | undefined;
  #releaseBytes: Uint8Array = new Uint8Array();
  #revocations: readonly DatedRevocation[] = [];
  #revocationNumber = 0;
  #revocationBytes: Uint8Array = new Uint8Array();

  constructor(directory: string, rootsSha256: readonly Bytes<32>[]) {
    this.directory = directory;
    mkdirSync(join(directory, 'root'), { recursive: true });
    mkdirSync(join(directory, 'bundles'), { recursive: true });
    const text = readFileSync('policies/development.yaml', 'utf8');
    const filled = fillDevelopmentPolicy(text, { rootsSha256, nowMs: nowMs() });
    const { canonical } = compilePolicy(utf8(filled));
    this.#template = objectOf(canonical);
    this.rootFile = join(directory, 'root', '1.json');
    // Somebody who begins anew in the same directory has the same keys.
    if (!existsSync(this.rootFile)) this.#write('root/1.json', this.#sign('root', this.#root()));
  }

  #root(): Uint8Array {
    const role = (name: Role) => ({ threshold: 1, keys: [this.#keyName(name)] });
    return encodeRoot({
      policy: POLICY_NAME,
      version: this.#version,
      issuedMs: nowMs() - DAY_MS,
      expiresMs: nowMs() + 30 * DAY_MS,
      keys: ROLES.map((name) => this.#keyName(name)).map((name) => ({
        name,
        publicKey: ed25519PublicKey(keyOf(name)),
      })),
      roles: {
        root: role('root'),
        policy: role('policy'),
        release: role('release'),
        revocation: role('revocation'),
        timestamp: role('timestamp'),
      },
    });
  }

  #keyName(role: Role): string {
    return this.#keys.get(role) ?? role;
  }

  /** The next root: new keys for these roles, and the old ones are worth nothing. */
  rotate(...roles: readonly Role[]): void {
    const before = keyOf(this.#keyName('root'));
    this.#version++;
    for (const role of roles) this.#keys.set(role, `${role}-${this.#version}`);
    const after = keyOf(this.#keyName('root'));
    const secretKeys = roles.includes('root') ? [before, after] : [after];
    this.#write(`root/${this.#version}.json`, signEnvelope('root', this.#root(), secretKeys));
  }

  /** Not published yet. */
  policy(edit: Edit = () => undefined): CompiledPolicy {
    const document: Record<string, Json> = {
      ...structuredClone(this.#template),
      serial: ++this.#serial,
    };
    edit(document);
    return compilePolicy(utf8(JSON.stringify(document, undefined, 2)), { source: 'policy.yaml' });
  }

  /** In force, with a timestamp. */
  publish(policy: CompiledPolicy): void {
    this.bundle(policy);
    this.release({ current: named(policy), candidate: null });
  }

  candidate(policy: CompiledPolicy, share = 0): void {
    this.bundle(policy);
    this.release({ candidate: { ...named(policy), share } });
  }

  bundle(policy: CompiledPolicy): void {
    const { serial } = policy.document;
    this.#write(`bundles/${serial}.json`, this.#sign('bundle', encodeBundle(policy)));
  }

  release(change: Partial<Release>): void {
    const { current } = { ...this.#release, ...change };
    if (current === undefined) throw new Error('nothing in force');
    const next: Release = {
      policy: POLICY_NAME,
      candidate: null,
      ...this.#release,
      ...change,
      current,
      issuedMs: nowMs(),
      number: (this.#release?.number ?? 0) + 1,
    };
    this.#release = next;
    this.#releaseBytes = encodeRelease(next);
    this.#write('release.json', this.#sign('release', this.#releaseBytes));
    if (this.#revocationNumber > 0) this.timestamp();
  }

  revoke(...entries: readonly Pick<DatedRevocation, 'kind' | 'value'>[]): void {
    const added = entries.map((entry) => ({
      ...entry,
      reason: 'for a test',
      by: 'carol',
      atMs: nowMs(),
    }));
    this.revocations([...this.#revocations, ...added]);
  }

  revocations(entries: readonly DatedRevocation[], by: readonly Role[] = ['revocation']): void {
    this.#revocations = entries;
    this.#revocationBytes = encodeRevocations({
      policy: POLICY_NAME,
      number: ++this.#revocationNumber,
      issuedMs: nowMs(),
      entries,
    });
    const bytes = signEnvelope(
      'revocations',
      this.#revocationBytes,
      by.map((role) => keyOf(this.#keyName(role))),
    );
    this.#write('revocations.json', bytes);
    this.timestamp();
  }

  /** Another list under the number of the last one. */
  sameNumber(entries: readonly DatedRevocation[]): void {
    this.#revocationNumber--;
    this.revocations(entries);
  }

  timestamp(timeMs = nowMs()): void {
    if (this.#release === undefined) return;
    const payload = encodeTimestamp({
      policy: POLICY_NAME,
      timeMs,
      release: { number: this.#release.number, digest: sha256(this.#releaseBytes) },
      revocations: { number: this.#revocationNumber, digest: sha256(this.#revocationBytes) },
    });
    this.#write('timestamp.json', this.#sign('timestamp', payload));
  }

  #sign(kind: DocumentKind, payload: Uint8Array): Uint8Array {
    const role = { bundle: 'policy', revocations: 'revocation' } as const;
    const name = kind === 'bundle' || kind === 'revocations' ? role[kind] : kind;
    return signEnvelope(kind, payload, [keyOf(this.#keyName(name))]);
  }

  #write(name: string, bytes: Uint8Array): void {
    const path = join(this.directory, name);
    writeFileSync(`${path}.draft`, bytes);
    renameSync(`${path}.draft`, path);
  }
}

function named({ document, digest }: CompiledPolicy) {
  return { serial: document.serial, digest };
}

function objectOf(canonical: string): JsonObject {
  return z.record(z.string(), z.json()).parse(JSON.parse(canonical));
}
