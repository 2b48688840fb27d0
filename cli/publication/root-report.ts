/**
 * A root for people: who may sign what, who has signed it and who is missing, what it changes, and what is worth a second
 * look. Spec: docs/publication.md §2 "Root".
 * @module
 */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROLES } from '../../attestation/publication/kinds.ts';
import type { RootFields } from '../../attestation/publication/root.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import type { Page } from '../attest/text.ts';
import { documentDigest, openDocument, type OpenedRoot } from './documents.ts';
import { refused } from './errors.ts';
import { fromNow } from './lifetime.ts';
import { roleText, rootDiff, rootWarnings } from './root-options.ts';
import { facts, indented, table } from './rows.ts';
import { brokenSignatures, standing, standingText, type Standing } from './standing.ts';

/** Throws `cli.file`, `publication.*`, `repository.refused`. */
export function openRoot(path: string): OpenedRoot {
  const opened = openDocument(path);
  if (opened.kind === 'root') return opened;
  throw refused(
    `${path} is a ${opened.kind}`,
    'name a root; "veilgate policy sign" takes the others',
  );
}

/** The one before: as named, or beside it by its number. Throws `repository.refused`. */
export function previousOf(
  { path, root }: OpenedRoot,
  asked: string | undefined,
): RootFields | undefined {
  if (root.version === 1) return undefined;
  const beside = join(dirname(path), `${root.version - 1}.json`);
  const file = asked ?? (existsSync(beside) ? beside : undefined);
  if (file === undefined) return undefined;
  const before = openRoot(file).root;
  if (before.version === root.version - 1 && before.policy === root.policy) return before;
  throw refused(
    `${file} is root ${before.version} of ${before.policy}, not the one before root ${root.version} of ${root.policy}`,
    'name that one with --previous',
  );
}

export interface RootReport {
  readonly standings: readonly Standing[];
  readonly broken: readonly string[];
  readonly lines: (page: Page) => readonly string[];
  readonly json: object;
}

export function reportOn(opened: OpenedRoot, before: RootFields | undefined): RootReport {
  const nowMs = systemClock();
  const { root, envelope, path } = opened;
  const own = standing(envelope, root, 'root');
  const standings = before === undefined ? [own] : [standing(envelope, before, 'root'), own];
  const broken = brokenSignatures(envelope, root);
  const warnings = rootWarnings(root, nowMs);
  const isBeforeUnknown = root.version > 1 && before === undefined;
  const changes = before === undefined ? [] : rootDiff(before, root);
  const labels =
    before === undefined ? ['signed'] : [`by root ${before.version}`, `by root ${root.version}`];
  return {
    standings,
    broken,
    lines: (page) => [
      ...facts(
        [
          ['root', `${root.version} of ${root.policy}`],
          ['file', path],
          ['digest', documentDigest(opened)],
          ['expires', `${formatInstant(root.expiresMs)} (${fromNow(root.expiresMs, nowMs)})`],
          ...standings.map((it, at) => [labels[at] ?? 'signed', standingText(it)] as const),
          [
            '',
            isBeforeUnknown
              ? `root ${root.version - 1} has to sign too; name it with --previous`
              : undefined,
          ],
          [
            'BROKEN',
            broken.length === 0
              ? undefined
              : `the signature of ${broken.join(', ')} is not of their key: readers refuse the file`,
          ],
        ],
        page,
      ),
      '',
      ...table(
        ROLES.map((role) => [role, roleText(root.roles[role])]),
        page,
      ),
      ...(before === undefined ? [] : ['', `changes since root ${before.version}`]),
      ...(changes.length === 0 && before !== undefined ? ['  nothing but the number'] : []),
      ...indented(changes, page),
      ...(warnings.length === 0 ? [] : ['']),
      ...facts(
        warnings.map((text) => ['warning', text] as const),
        page,
      ),
    ],
    json: {
      policy: root.policy,
      version: root.version,
      file: path,
      digest: documentDigest(opened),
      issued: formatInstant(root.issuedMs),
      expires: formatInstant(root.expiresMs),
      roles: root.roles,
      signatures: standings,
      broken,
      changes,
      warnings,
    },
  };
}
