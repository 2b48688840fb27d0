/**
 * `veilgate host check EVIDENCE… --policy PATH`: is this machine in the registry, who put it there, and does the entry still
 * count. Exit status: 0 every machine is there, 1 one is not, 2 wrong usage, 3 something cannot be read.
 * @module
 */

import type { Command } from 'commander';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { hostCpuId } from '../../attestation/policy/remedy/host-mend.ts';
import { usesRegistry } from '../../attestation/policy/diff/entries.ts';
import { formatInstant } from '../../core/clock.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import type { AttestIo } from '../attest/gather.ts';
import type { Judgement } from '../attest/judge.ts';
import { instantOption } from '../attest/request.ts';
import { unreadableLines } from '../attest/summary.ts';
import { labelled, type Page } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { COMMAND_IO, judgeEvidence } from '../policy/evidence.ts';
import { policyJson } from '../policy/explain.ts';
import { policyName } from '../policy/compile.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { cpuHex, cpuText, machineIdOf } from './machine-id.ts';

export interface CheckOptions {
  readonly policy: string;
  readonly at?: number;
  readonly offline?: string | true;
  readonly json?: true;
}

export function registerCheckCommand(parent: Command): void {
  parent
    .command('check')
    .description('say whether the machine that made evidence is in the registry')
    .argument('<evidence...>', 'as veilgate attest takes it; a quote or report is enough')
    .requiredOption('--policy <path>', 'a policy file, or a directory with policy.yaml')
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now',
      instantOption,
    )
    .option('--offline [bundle]', 'fetch no collateral; take it from this bundle, if one is named')
    .option('--json', 'one line of JSON')
    .action((inputs: readonly string[], options: CheckOptions) => {
      const question = { command: 'host-check', json: options.json === true };
      return respond(question, (page) =>
        checkAnswer(question, { inputs, options, io: COMMAND_IO, page }),
      );
    });
}

export interface CheckRequest {
  readonly inputs: readonly string[];
  readonly options: CheckOptions;
  readonly io: AttestIo;
  readonly page: Page;
}

export async function checkAnswer(
  question: PolicyQuestion,
  { inputs, options, io, page }: CheckRequest,
): Promise<PolicyAnswer> {
  const policy = readPolicy(options.policy);
  const { at, offline } = options;
  const asked = {
    inputs,
    options: {
      ...(at === undefined ? {} : { at }),
      ...(offline === undefined ? {} : { offline }),
    },
  };
  const judged = await judgeEvidence({ ...asked, roots: policy }, io);
  const standings = judged.judgements.map((judgement) => standingOf(judgement, policy));
  const isOpen = standings.some(({ standing }) => standing !== 'registered');
  const status = isOpen ? EXIT.findings : judged.unreadable.length > 0 ? EXIT.unreadable : EXIT.ok;
  const isUsed = policy.document.rules.some(usesRegistry);
  if (question.json) {
    const members = { policy: policyJson(policy), used: isUsed, machines: standings };
    return jsonAnswer(question, status, { ...members, unreadable: judged.unreadable });
  }
  return textAnswer(status, [
    ...standings.flatMap((standing) => standingLines(standing, page)),
    ...judged.unreadable.flatMap((each) => unreadableLines(each, page)),
    ...(isUsed ? [] : [paint('yellow', `No rule of ${policyName(policy)} asks for the registry.`)]),
  ]);
}

interface Standing {
  readonly name: string;
  readonly standing: 'registered' | 'expired' | 'unknown' | 'unproven';
  readonly cpu?: string;
  readonly host?: string;
  readonly location?: string;
  readonly by?: readonly string[];
  readonly seen?: string;
  readonly expires?: string;
  readonly at?: string;
  readonly why?: string;
}

function standingOf(judgement: Judgement, policy: CompiledPolicy): Standing {
  const { name } = judgement.subject;
  const id = machineIdOf(judgement);
  if ('refused' in id) return { name, standing: 'unproven', why: id.refused };
  const { hosts } = policy.document;
  const index = hosts.findIndex((host) => hostCpuId(host) === cpuHex(id.cpu));
  const host = hosts[index];
  const cpu = cpuText(id.cpu);
  if (host === undefined) return { name, standing: 'unknown', cpu };
  return {
    name,
    standing: judgement.nowMs < host.expires ? 'registered' : 'expired',
    cpu,
    host: host.host,
    location: host.location,
    by: host.by,
    seen: host.seen,
    expires: formatInstant(host.expires),
    at: policy.at('hosts', index),
  };
}

const COLOURS = {
  registered: 'green',
  expired: 'red',
  unknown: 'red',
  unproven: 'yellow',
} as const satisfies Readonly<Record<Standing['standing'], Colour>>;

function standingLines(each: Standing, page: Page): readonly string[] {
  const { name, standing, cpu, why, host } = each;
  const word = standing.toUpperCase();
  const [first = '', ...rest] = labelled(`${word}  `, name, page, 12);
  const detail =
    host === undefined
      ? (why ?? 'no entry of hosts has this machine: veilgate host enrol')
      : `${host} at ${each.location ?? ''}, entered ${each.seen ?? ''} by ${(each.by ?? []).join(', ')}, until ${each.expires ?? ''}   ${each.at ?? ''}`;
  return [
    paint(COLOURS[standing], word) + first.slice(word.length),
    ...rest,
    ...labelled('  ', detail, page, 2),
    ...(cpu === undefined ? [] : labelled('  ', cpu, page, 2)),
  ];
}
