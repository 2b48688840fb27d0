/**
 * A folder of fixtures: `*.yaml`, `*.yml` and `*.fixture.json` are fixtures, everything else is evidence that one of them
 * names. A file that nobody names is said to be so: a fixture with a mistyped ending would be a test that nobody runs.
 * @module
 */

import { readdirSync, type Dirent } from 'node:fs';
import { basename, join, relative } from 'node:path';
import {
  decodeEvidence,
  EVIDENCE_MAX_BYTES,
  type EvidenceBundle,
} from '../../attestation/evidence.ts';
import { POLICY_MAX_BYTES } from '../../attestation/policy/yaml.ts';

import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { cliError } from '../errors.ts';
import { readBoundedFile } from '../measure/files.ts';
import { readFixture, type Fixture } from './fixture.ts';

const FILES_MAX = 4096;
/** Of a bundle as JSON, in which bytes are base64. */
const EVIDENCE_FILE_MAX_BYTES = 2 * EVIDENCE_MAX_BYTES;
const IGNORED: readonly string[] = ['README.md'];

export interface FixtureFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly fixture: Fixture;
  readonly evidence: EvidenceBundle;
}

export interface BrokenFixture {
  readonly name: string;
  readonly reason: string;
}

export interface FixtureFolder {
  readonly fixtures: readonly FixtureFile[];
  readonly broken: readonly BrokenFixture[];
}

/** One broken fixture does not hide the others. Throws `cli.file` for the folder itself. */
export function readFixtureFolder(folder: string): FixtureFolder {
  const files = filesIn(folder);
  const named = new Set<string>();
  const fixtures: FixtureFile[] = [];
  const broken: BrokenFixture[] = [];
  for (const name of files.filter(isFixture)) {
    try {
      const bytes = readBoundedFile('fixture', join(folder, name), POLICY_MAX_BYTES);
      const fixture = readFixture(name, bytes);
      named.add(fixture.evidence);
      if (!files.includes(fixture.evidence)) {
        throw cliError('cli.file', `${name} names evidence that is not there: ${fixture.evidence}`);
      }
      fixtures.push({ name, fixture, evidence: readBundle(join(folder, fixture.evidence)) });
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      broken.push({ name, reason: error.message });
    }
  }
  const unused = files.filter((name) => !isFixture(name) && !named.has(name));
  const orphans = unused.map((name) => ({ name, reason: 'no fixture names it, and it is none' }));
  return { fixtures, broken: [...broken, ...orphans] };
}

function isFixture(name: string): boolean {
  return /\.(?:ya?ml|fixture\.json)$/.test(name);
}

/** Plain files, with `/`, sorted. */
function filesIn(folder: string): readonly string[] {
  const entries = listed(folder).filter(
    ({ name }) => !name.startsWith('.') && !IGNORED.includes(name),
  );
  const link = entries.find((entry) => !entry.isFile() && !entry.isDirectory());
  if (link !== undefined) {
    throw cliError('cli.file', `${join(link.parentPath, link.name)} is no plain file`);
  }
  const names = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll('\\', '/'))
    .sort();
  if (names.length > FILES_MAX)
    throw cliError('cli.file', `${folder} holds over ${FILES_MAX} files`);
  return names;
}

function listed(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true });
  } catch (cause) {
    throw cliError('cli.file', `cannot list ${folder}`, { cause });
  }
}

/** Throws `cli.file`, `evidence.*`, `json.*`. */
export function readBundle(path: string): EvidenceBundle {
  const bytes = readBoundedFile('evidence', path, EVIDENCE_FILE_MAX_BYTES);
  return decodeEvidence(parseJson(bytes, EVIDENCE_FILE_MAX_BYTES));
}

/** Such as `worker-1` of `a/worker-1.json`. */
export function stemOf(path: string): string {
  return basename(path).replace(/\.[^.]*$/, '');
}
