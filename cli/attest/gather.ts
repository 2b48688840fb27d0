/**
 * Gets the evidence and what is to judge it by: files, standard input, a gateway. Nothing is fetched from an address that
 * evidence names.
 * @module
 */

import { basename } from 'node:path';
import { attempt } from '../../attestation/attempt.ts';
import { parseCertificate, type Certificate } from '../../attestation/pki/certificate.ts';
import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import { Gatherer } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { COLLATERAL_FILE_MAX_BYTES, parseCollateralFile } from '../collateral-file.ts';
import { derBlocksOf, derOf } from '../der-file.ts';
import { cliError } from '../errors.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { readBoundedFile } from '../measure/files.ts';
import type { CollateralSource, SourceOptions } from './collateral-source.ts';
import { attestError } from './errors.ts';
import { gatewaySubjects } from './gateway.ts';
import type { Question } from './judge.ts';
import { INPUT_MAX_BYTES, recognise } from './recognise.ts';
import type { AttestOptions, AttestRequest } from './request.ts';
import type { Finds, Machine } from './subject.ts';

export interface AttestIo {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Opens what completes evidence. Absent: what is missing stays missing, and is said. */
  readonly openSource?: (options: SourceOptions) => Promise<CollateralSource>;
}

export interface Gathered extends Finds {
  readonly question: Question;
}

/** Throws coded errors: `cli.file`, `attest.*`, `client.*`, `policy.*`. */
export async function gather(request: AttestRequest, io: AttestIo): Promise<Gathered> {
  const question = questionOf(request.options, io.clock());
  return { ...(await gatherEvidence(request, question, io)), question };
}

/** With what the options hand over. Throws as `gather`, apart from `policy.*`. */
export async function gatherEvidence(
  request: Pick<AttestRequest, 'input' | 'options'>,
  question: Question,
  io: AttestIo,
): Promise<Finds> {
  const { subjects, unreadable } = await findsOf(request, question, io);
  const endorsed = endorsing(request.options);
  return {
    subjects: subjects.map((subject) => ({ ...subject, machine: endorsed(subject.machine) })),
    unreadable,
  };
}

function questionOf(options: AttestOptions, nowMs: number): Question {
  const { policy: path, root, aud, challenge, reportData } = options;
  return {
    nowMs: options.at ?? nowMs,
    ...(path === undefined ? {} : { policy: readPolicy(path) }),
    ...(root === undefined ? {} : { root: readRoot(root) }),
    ...(aud === undefined ? {} : { aud }),
    ...(challenge === undefined ? {} : { challenge }),
    ...(reportData === undefined ? {} : { reportData }),
  };
}

const CERTIFICATE_FILE_MAX_BYTES = 256 * 1024;
const CRL_FILE_MAX_BYTES = 16 * 1024 * 1024;

/** Throws `cli.file`. */
export function readRoot(path: string): Certificate {
  const bytes = readBoundedFile('root certificate', path, CERTIFICATE_FILE_MAX_BYTES);
  return readable('root certificate', path, () => parseCertificate(derOf(bytes, 'CERTIFICATE')));
}

/** A file that is named on the command line is the user's: that it cannot be read is said with its path. */
function readable<Value>(what: string, path: string, read: () => Value): Value {
  const result = attempt(read);
  if (result.outcome === 'read') return result.value;
  throw cliError('cli.file', `cannot read ${what} ${path}: ${result.reason}`);
}

async function findsOf(
  { input, options }: Pick<AttestRequest, 'input' | 'options'>,
  question: Question,
  io: AttestIo,
): Promise<Finds> {
  if (/^https?:\/\//i.test(input)) {
    const { model } = options;
    return gatewaySubjects(input, {
      fetch: io.fetch,
      nowMs: question.nowMs,
      ...(question.aud === undefined ? {} : { aud: question.aud }),
      ...(model === undefined ? {} : { model }),
    });
  }
  if (options.model !== undefined) {
    throw attestError(
      'attest.option',
      '--model does not go with a file: only gateways have several',
    );
  }
  if (input === '-') return recognise('standard input', await readAll(io.stdin));
  return recognise(basename(input), readBoundedFile('evidence', input, INPUT_MAX_BYTES));
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const gathered = new Gatherer();
  for await (const piece of stream) {
    if (gathered.size + piece.length > INPUT_MAX_BYTES) {
      throw cliError('cli.file', `standard input has over ${INPUT_MAX_BYTES} bytes`);
    }
    gathered.push(piece);
  }
  return gathered.bytes();
}

/** What the options hand over takes the place of what the evidence brought. */
function endorsing(options: AttestOptions): (machine: Machine) => Machine {
  const { collateral: path } = options;
  const collateral = path === undefined ? undefined : readCollateral(path);
  const endorsements = readEndorsements(options);
  return (machine) => {
    if (machine.tee === 'tdx') {
      refuseFor('TDX', options, ['vek', 'ask', 'ark', 'crl']);
      return collateral === undefined ? machine : { ...machine, collateral };
    }
    refuseFor('SEV-SNP', options, ['collateral']);
    return { ...machine, endorsements: { ...machine.endorsements, ...endorsements } };
  };
}

type FileOption = 'collateral' | 'vek' | 'ask' | 'ark' | 'crl';

function refuseFor(kind: string, options: AttestOptions, names: readonly FileOption[]): void {
  const given = names.find((name) => options[name] !== undefined);
  if (given === undefined) return;
  throw attestError('attest.option', `--${given} does not go with ${kind} evidence`);
}

function readCollateral(path: string) {
  const bytes = readBoundedFile('collateral', path, COLLATERAL_FILE_MAX_BYTES);
  return readable('collateral', path, () => parseCollateralFile(bytes));
}

function readEndorsements({ vek, ask, ark, crl }: AttestOptions): SnpEndorsements {
  const blocks = (path: string): readonly Uint8Array[] => {
    const bytes = readBoundedFile('certificate', path, CERTIFICATE_FILE_MAX_BYTES);
    return readable('certificate', path, () => derBlocksOf(bytes, 'CERTIFICATE'));
  };
  // AMD hands ASK and ARK out in one file, in this order.
  const [intermediate, second] = ask === undefined ? [] : blocks(ask);
  const [root] = ark === undefined ? [second] : blocks(ark);
  const [leaf] = vek === undefined ? [] : blocks(vek);
  const list = crl === undefined ? undefined : readCrl(crl);
  return {
    ...(leaf === undefined ? {} : { vek: leaf }),
    ...(intermediate === undefined ? {} : { intermediate }),
    ...(root === undefined ? {} : { root }),
    ...(list === undefined ? {} : { crl: list }),
  };
}

function readCrl(path: string): Uint8Array {
  const bytes = readBoundedFile('revocation list', path, CRL_FILE_MAX_BYTES);
  return readable('revocation list', path, () => derOf(bytes, 'X509 CRL'));
}
