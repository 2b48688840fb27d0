/**
 * `veilgate policy test FOLDER --policy PATH`: does the policy still say of captured evidence what a team once wrote down.
 * Exit status: 0 it does, 1 a fixture differs (or --coverage found a gap), 2 wrong usage, 3 something cannot be read.
 * Spec: gpu-and-policy §5.5.
 * @module
 */

import type { Command } from 'commander';
import { newCaches } from '../../attestation/tees.ts';
import { paint } from '../../core/node/terminal.ts';
import type { AttestIo } from '../attest/gather.ts';
import { instantOption } from '../attest/request.ts';
import { labelled, printable, type Page } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type ExitStatus,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { coverageOf, type Coverage } from './coverage.ts';
import { COMMAND_IO } from './evidence.ts';
import { policyJson } from './explain.ts';
import { differences, judgeFixture, type Difference, type FixtureRuling } from './fixture.ts';
import { readFixtureFolder, type BrokenFixture } from './fixture-folder.ts';
import { readPolicy } from './read-policy.ts';
import { recordAnswer } from './record.ts';

export interface TestOptions {
  readonly policy: string;
  readonly coverage?: true;
  readonly record?: readonly string[];
  readonly at?: number;
  readonly offline?: string | true;
  readonly json?: true;
}

export function registerTestCommand(parent: Command): void {
  parent
    .command('test')
    .description('check that a policy says of captured evidence what is written down')
    .argument('<folder>', 'fixtures: *.yaml, and the evidence that they name')
    .requiredOption('--policy <path>', 'a policy file, or a directory with policy.yaml')
    .option('--coverage', 'say which checks no fixture fails alone')
    .option('--record <evidence...>', 'write a fixture from each, with what the policy says now')
    .option(
      '--at <instant>',
      'with --record: judge as of this instant, not of the evidence’s own',
      instantOption,
    )
    .option('--offline [bundle]', 'with --record: fetch no collateral, or take it from this bundle')
    .option('--json', 'one line of JSON')
    .action((folder: string, options: TestOptions) => {
      const question = { command: 'test', json: options.json === true };
      return respond(question, (page) =>
        testAnswer(question, { folder, options, io: COMMAND_IO, page }),
      );
    });
}

export interface TestRequest {
  readonly folder: string;
  readonly options: TestOptions;
  readonly io: AttestIo;
  readonly page: Page;
}

export async function testAnswer(
  question: PolicyQuestion,
  request: TestRequest,
): Promise<PolicyAnswer> {
  const { folder, options, page } = request;
  if (options.record !== undefined) return await recordAnswer(question, request, options.record);
  const policy = readPolicy(options.policy);
  const { fixtures, broken } = readFixtureFolder(folder);
  const caches = newCaches();
  const tested = fixtures.map(({ name, fixture, evidence }): Tested => {
    const countsIssued = fixture.failing.includes('policy.issued');
    const ruling = judgeFixture(fixture, { evidence, policy, caches, countsIssued });
    return { name, ruling, differs: differences(fixture, ruling) };
  });
  const good = tested.filter(({ differs }) => differs.length === 0);
  const coverage =
    options.coverage === true
      ? coverageOf(
          policy,
          good.map(({ ruling }) => ruling),
        )
      : undefined;
  const hasFindings = good.length < tested.length || (coverage?.missing.length ?? 0) > 0;
  const status = hasFindings ? EXIT.findings : broken.length > 0 ? EXIT.unreadable : EXIT.ok;
  if (question.json) {
    return jsonAnswer(question, status, {
      policy: policyJson(policy),
      fixtures: tested.map(({ name, ruling, differs }) => ({
        name,
        decision: ruling.decision,
        rule: ruling.rule ?? null,
        image: ruling.image ?? null,
        failing: ruling.failing,
        differs,
      })),
      broken,
      coverage: coverage ?? null,
    });
  }
  return text(status, { tested, broken, coverage }, page);
}

interface Tested {
  readonly name: string;
  readonly ruling: FixtureRuling;
  readonly differs: readonly Difference[];
}

interface Outcome {
  readonly tested: readonly Tested[];
  readonly broken: readonly BrokenFixture[];
  readonly coverage: Coverage | undefined;
}

/** What is as expected is one number: what differs is to be seen. */
function text(status: ExitStatus, { tested, broken, coverage }: Outcome, page: Page): PolicyAnswer {
  const differing = tested.filter(({ differs }) => differs.length > 0);
  const good = tested.length - differing.length;
  const all = tested.length === 1 ? '1 fixture' : `${tested.length} fixtures`;
  const parts = [
    `${good} as expected`,
    ...(differing.length > 0 ? [`${differing.length} not`] : []),
    ...(broken.length > 0 ? [`${broken.length} broken`] : []),
  ];
  return textAnswer(status, [
    ...differing.flatMap((each) => differingLines(each, page)),
    ...broken.flatMap(({ name, reason }) => [
      `${paint('yellow', 'broken')}  ${printable(name)}`,
      ...labelled('          ', reason.replaceAll('\n', ' '), page, 10),
    ]),
    ...(differing.length + broken.length > 0 ? [''] : []),
    `${all}: ${parts.join(', ')}`,
    ...(coverage === undefined ? [] : coverageLines(coverage, page)),
  ]);
}

function differingLines({ name, ruling, differs }: Tested, page: Page): readonly string[] {
  const rows = differs.flatMap(({ what, want, got }) => [
    ...labelled(`  ${what.padEnd(9)} want  `, want, page, 18),
    ...labelled('            got   ', got, page, 18),
  ]);
  const failed = ruling.appraisal.verdict.checks.flatMap((check) =>
    check.outcome === 'fail' && check.at !== undefined
      ? labelled('  line      ', `${check.id}  ${check.at}`, page, 18)
      : [],
  );
  return [`${paint('red', 'differs')} ${printable(name)}`, ...rows, ...failed];
}

function coverageLines({ covered, missing, exempt }: Coverage, page: Page): readonly string[] {
  const count = covered.length + missing.length;
  return [
    '',
    `${covered.length} of ${count} checks of this policy have a fixture that fails them alone`,
    ...(missing.length === 0 ? [] : labelled('  without   ', missing.join(' '), page, 12)),
    ...exempt.flatMap(({ id, why }) => labelled('  never     ', `${id}: ${why}`, page, 12)),
  ];
}
