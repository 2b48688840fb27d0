/**
 * Writes fixtures from evidence: the bundle with the collateral it was judged by, and what the policy says of it now. What is
 * written is what happened, not what should: whoever commits it looks at it first.
 * @module
 */

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { workerIdOf } from '../../attestation/card.ts';
import { encodeEvidence } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { cliError } from '../errors.ts';
import { attestError } from '../attest/errors.ts';
import { bundleOfSubject, type Judgement } from '../attest/judge.ts';
import { printable } from '../attest/text.ts';
import { EXIT, jsonAnswer, textAnswer, type PolicyAnswer, type PolicyQuestion } from './answer.ts';
import { judgeEvidence } from './evidence.ts';
import { judgeFixture } from './fixture.ts';
import { stemOf } from './fixture-folder.ts';
import { readPolicy } from './read-policy.ts';
import { saveFile } from './save.ts';
import type { TestRequest } from './test.ts';

const ID_SHOWN_CHARS = 16;

interface Recorded {
  readonly fixture: string;
  readonly evidence: string;
  readonly at: string;
  readonly decision: 'admitted' | 'denied';
  readonly failing: readonly string[];
}

/** Throws `cli.file` rather than take the place of a fixture that is there. */
export async function recordAnswer(
  question: PolicyQuestion,
  { folder, options, io }: TestRequest,
  inputs: readonly string[],
): Promise<PolicyAnswer> {
  const policy = readPolicy(options.policy);
  const { at, offline } = options;
  const judged = await judgeEvidence(
    { inputs, options: offline === undefined ? {} : { offline }, policy },
    io,
  );
  const [broken] = judged.unreadable;
  if (broken !== undefined)
    throw attestError('attest.malformed', `${broken.name}: ${broken.reason}`);
  // Of several workers in one file each has a name of its own.
  const subjects = judged.judgements.map(({ subject }) => stemOf(subject.name));
  const isAlone = (name: string): boolean =>
    subjects.filter((one) => one === stemOf(name)).length === 1;
  mkdirSync(folder, { recursive: true });
  const recorded = judged.judgements.map((judgement) =>
    record(judgement, {
      isAlone: isAlone(judgement.subject.name),
      folder,
      policy,
      ...(at === undefined ? {} : { at }),
    }),
  );
  if (question.json) return jsonAnswer(question, EXIT.ok, { recorded });
  return textAnswer(
    EXIT.ok,
    recorded.map(({ fixture, at: instant, decision, failing }) =>
      printable(
        `${fixture}: ${decision}${failing.length === 0 ? '' : ` by ${failing.join(', ')}`}, as of ${instant}`,
      ),
    ),
  );
}

interface Place {
  /** No other worker came from the same input. */
  readonly isAlone: boolean;
  readonly folder: string;
  readonly policy: CompiledPolicy;
  /** Else the instant at which the evidence was made. */
  readonly at?: number;
}

function record(judgement: Judgement, { folder, policy, at: given, isAlone }: Place): Recorded {
  const { subject, statement, card, nowMs } = judgement;
  const evidence = bundleOfSubject(subject);
  if (evidence === undefined) {
    const what = `${subject.name} is bare evidence of a machine`;
    throw attestError('attest.option', `${what}: a fixture needs statement and card too`);
  }
  const at = given ?? (statement === undefined ? nowMs : statement.iat * 1000);
  const circumstances = {
    at,
    ...(statement === undefined ? {} : { aud: statement.aud, challenge: statement.nonce }),
  };
  const ruling = judgeFixture(circumstances, { evidence, policy, countsIssued: false });
  const worker = card === undefined ? '' : toHex(workerIdOf(card.owner)).slice(0, ID_SHOWN_CHARS);
  const stem = (isAlone ? stemOf(subject.name) : `${stemOf(subject.name)}-${worker}`)
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  const names = { fixture: `${stem}.yaml`, evidence: `${stem}.json` };
  for (const name of Object.values(names)) {
    if (existsSync(join(folder, name))) throw cliError('cli.file', `${name} is there already`);
  }
  const members = {
    note: `recorded under ${policy.document.name}#${policy.document.serial}`,
    evidence: names.evidence,
    at: formatInstant(Math.floor(at / 1000) * 1000),
    ...(statement === undefined ? {} : { aud: statement.aud, challenge: toHex(statement.nonce) }),
    expect: ruling.decision,
    ...(ruling.rule === undefined ? {} : { rule: ruling.rule }),
    ...(ruling.image === undefined ? {} : { image: ruling.image }),
    failing: ruling.failing,
  };
  saveFile(
    'evidence',
    join(folder, names.evidence),
    utf8(JSON.stringify(encodeEvidence(evidence))),
  );
  saveFile('fixture', join(folder, names.fixture), utf8(stringify(members, { lineWidth: 0 })));
  const { decision, failing } = ruling;
  return { ...names, at: members.at, decision, failing };
}
