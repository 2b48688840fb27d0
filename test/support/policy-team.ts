/**
 * A team with keys, a root and a repository, made by the commands that people type: Alice, Bob and Carol, two of them for what
 * gives, one for what takes away. Dates are of today, because commands look at the clock. @module
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import { done } from './commands.ts';
import { TEST_IMAGE, testPolicyDocument } from './worker-evidence.ts';

const DAY_MS = 86_400_000;
const PEOPLE = 'alice,bob,carol';

export interface Team extends Disposable {
  readonly path: (name: string) => string;
  readonly repo: string;
  readonly key: (name: string) => string;
  /** Writes the sources of a policy; the same text for the same arguments. */
  readonly policy: (serial: number, overrides?: Readonly<Record<string, Json>>) => string;
  /** Signed by Alice and Bob. */
  readonly bundle: (serial: number, overrides?: Readonly<Record<string, Json>>) => Promise<string>;
}

export async function team(): Promise<Team> {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-team-'));
  const path = (name: string): string => join(folder, name);
  const key = (name: string): string => path(`${name}.key`);
  const repo = path('repo');
  const startMs = Math.floor(systemClock() / 1000) * 1000 - 60_000;
  const policy = (serial: number, overrides: Readonly<Record<string, Json>> = {}): string => {
    const document = testPolicyDocument(sha256(utf8('test root')), {
      name: 'production',
      serial,
      issued: formatInstant(startMs),
      expires: formatInstant(startMs + 60 * DAY_MS),
      images: [{ ...TEST_IMAGE, expires: formatInstant(startMs + 50 * DAY_MS) }],
      ...overrides,
    });
    const sources = path(`policy-${serial}`);
    mkdirSync(sources, { recursive: true });
    writeFileSync(join(sources, 'policy.yaml'), JSON.stringify(document, undefined, 2));
    return sources;
  };
  const bundle = async (
    serial: number,
    overrides: Readonly<Record<string, Json>> = {},
  ): Promise<string> => {
    const out = path(`${serial}.json`);
    const sources = policy(serial, overrides);
    await done('policy', 'sign', sources, '--as', key('alice'), '--repo', repo, '--out', out);
    await done('policy', 'sign', out, '--as', key('bob'), '--repo', repo, '--source', sources);
    return out;
  };
  for (const name of [...PEOPLE.split(','), 'server', 'dave']) {
    await done('policy', 'key', 'new', '--name', name, '--out', key(name));
  }
  const root = path('root-1.json');
  await done('policy', 'root', 'init', ...rootOptions(path), '--out', root);
  await done('policy', 'root', 'sign', root, '--as', key('alice'));
  await done('policy', 'root', 'sign', root, '--as', key('bob'));
  await done('policy', 'repo', 'init', '--repo', repo, '--root', root, '--as', key('carol'));
  return {
    path,
    repo,
    key,
    policy,
    bundle,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

export function rootOptions(path: (name: string) => string): readonly string[] {
  const keys = [...PEOPLE.split(','), 'server'].flatMap((name) => [
    '--key',
    `${name}=${path(`${name}.pub`)}`,
  ]);
  const roles = [
    `root=2:${PEOPLE}`,
    `policy=2:${PEOPLE}`,
    `release=1:${PEOPLE}`,
    `revocation=1:${PEOPLE}`,
    'timestamp=1:server',
  ].flatMap((role) => ['--role', role]);
  return ['--policy', 'production', '--expires', '1y', ...keys, ...roles];
}

/** A team whose policy 1 is in force, with a fresh timestamp. */
export async function publishedTeam(): Promise<Team> {
  const made = await team();
  await done(
    'policy',
    'publish',
    '--repo',
    made.repo,
    '--bundle',
    await made.bundle(1),
    '--as',
    made.key('carol'),
  );
  await done('revoke', 'timestamp', '--once', '--repo', made.repo, '--as', made.key('server'));
  return made;
}
