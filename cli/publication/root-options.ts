/** Keys and roles as they are named on a command line, and what a root made of them is worth a second look for. @module */

import { ROLES, type Role } from '../../attestation/publication/kinds.ts';
import { keyIdOf } from '../../attestation/publication/envelope.ts';
import type { RootFields } from '../../attestation/publication/root.ts';
import { equalPublic } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { cliError } from '../errors.ts';
import { publicKeyFrom } from './keys.ts';
import { DAY_MS, fromNow } from './lifetime.ts';

type RootKey = RootFields['keys'][number];
type RoleFields = RootFields['roles'][Role];

const KEY_FORM = /^([^=]+)=(.+)$/;
const ROLE_FORM = /^([a-z]+)=([1-9]\d?):([^,]+(?:,[^,]+)*)$/;
const SOON_MS = 30 * DAY_MS;

/** `alice=alice.pub` or `alice=<base64url>`. Throws `cli.option`, `cli.file`. */
export function parseKeyOption(text: string): RootKey {
  const [, name, key] = KEY_FORM.exec(text) ?? [];
  if (name !== undefined && key !== undefined) return { name, publicKey: publicKeyFrom(key) };
  throw cliError('cli.option', '--key takes name=file or name=base64url, such as alice=alice.pub');
}

/** `policy=2:alice,bob,carol`. Throws `cli.option`. */
export function parseRoleOption(text: string): readonly [Role, RoleFields] {
  const [, word, threshold, names] = ROLE_FORM.exec(text) ?? [];
  const role = ROLES.find((name) => name === word);
  if (role !== undefined && names !== undefined) {
    return [role, { threshold: Number(threshold), keys: names.split(',') }];
  }
  throw cliError(
    'cli.option',
    `--role takes role=threshold:names, such as policy=2:alice,bob,carol; roles are ${ROLES.join(', ')}`,
  );
}

/** Throws `cli.option` when one is not named. */
export function rolesFrom(options: readonly string[]): RootFields['roles'] {
  const named = new Map(options.map(parseRoleOption));
  const of = (role: Role): RoleFields => {
    const fields = named.get(role);
    if (fields !== undefined) return fields;
    throw cliError(
      'cli.option',
      `--role ${role}=… is missing: each of ${ROLES.join(', ')} needs its keys`,
    );
  };
  return {
    root: of('root'),
    policy: of('policy'),
    release: of('release'),
    revocation: of('revocation'),
    timestamp: of('timestamp'),
  };
}

/** Legal, and to be seen by whoever signs it. */
export function rootWarnings(root: RootFields, nowMs: number): readonly string[] {
  const { roles, keys, expiresMs } = root;
  const warnings: string[] = [];
  for (const role of ['root', 'policy'] as const) {
    if (roles[role].threshold > 1) continue;
    const what = role === 'root' ? 'replace every key' : 'admit whatever they like';
    warnings.push(`one person alone can ${what} (threshold 1 for ${role})`);
  }
  const people = new Set(ROLES.flatMap((role) => (role === 'timestamp' ? [] : roles[role].keys)));
  if (people.size === 1) warnings.push('one person holds every role but timestamp');
  if (roles.root.threshold === roles.root.keys.length) {
    warnings.push('if one key of root is lost, no other root can ever be signed: add one to spare');
  }
  if (roles.revocation.threshold > 1) {
    warnings.push(
      `taking away needs ${roles.revocation.threshold} people: in an emergency one should do`,
    );
  }
  if (roles.timestamp.threshold > 1) {
    warnings.push(
      '"revoke timestamp" signs with one key: a threshold above 1 for timestamp needs a service of your own',
    );
  }
  const unused = keys.filter(({ name }) => ROLES.every((role) => !roles[role].keys.includes(name)));
  for (const { name } of unused) warnings.push(`the key ${name} is in no role`);
  if (keys.some(({ name }) => name.startsWith(TRIAL))) {
    warnings.push('FOR TRIAL ONLY: keys that one command made in one place');
  }
  if (nowMs >= expiresMs) {
    warnings.push(`expired ${fromNow(expiresMs, nowMs)}: nothing is accepted but its successor`);
  } else if (expiresMs - nowMs < SOON_MS)
    warnings.push(`expires ${fromNow(expiresMs, nowMs)}: rotate it`);
  return warnings;
}

/** Begins the names of keys that `repo init --trial` makes. */
export const TRIAL = 'trial-';

/** What a new version changes, for people who have to sign it. */
export function rootDiff(before: RootFields, next: RootFields): readonly string[] {
  const lines: string[] = [];
  const was = new Map(before.keys.map((key) => [key.name, key.publicKey]));
  const is = new Map(next.keys.map((key) => [key.name, key.publicKey]));
  for (const [name, key] of is) {
    const old = was.get(name);
    if (old === undefined) lines.push(`+ key ${name} (${shortId(key)})`);
    else if (!equalPublic(old, key)) lines.push(`~ key ${name}: ${shortId(old)} → ${shortId(key)}`);
  }
  for (const [name, key] of was) if (!is.has(name)) lines.push(`- key ${name} (${shortId(key)})`);
  for (const role of ROLES) {
    const [old, now] = [roleText(before.roles[role]), roleText(next.roles[role])];
    if (old !== now) lines.push(`~ role ${role}: ${old} → ${now}`);
  }
  if (before.expiresMs !== next.expiresMs) {
    lines.push(`~ expires ${formatInstant(before.expiresMs)} → ${formatInstant(next.expiresMs)}`);
  }
  return lines;
}

export function roleText({ threshold, keys }: RoleFields): string {
  return `${threshold} of ${keys.join(', ')}`;
}

const SHOWN_ID_CHARS = 12;

function shortId(publicKey: RootKey['publicKey']): string {
  return `${keyIdOf(publicKey).slice(0, SHOWN_ID_CHARS)}…`;
}
