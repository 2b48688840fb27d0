/**
 * `veilgate host enrol EVIDENCE…`: an entry for a policy's registry of machines. All evidence has to come from one machine,
 * genuine and of this time; two people have to put their names to it.
 * Exit status: 0 written, 1 refused, 2 wrong usage, 3 something cannot be read or written.
 * @module
 */

import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { hostCpuId } from '../../attestation/policy/remedy/host-mend.ts';
import { utf8 } from '../../core/bytes.ts';
import { paint } from '../../core/node/terminal.ts';
import type { AttestIo } from '../attest/gather.ts';
import { instantOption } from '../attest/request.ts';
import { paragraph, printable, type Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { COMMAND_IO, judgeEvidence, type JudgedEvidence } from '../policy/evidence.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { saveFile } from '../policy/save.ts';
import { checkHost, hostLines } from './host-entry.ts';
import { cpuHex, cpuText, machineIdOf, type Identified } from './machine-id.ts';

export interface EnrolOptions {
  readonly host: string;
  readonly location: string;
  readonly by: readonly string[];
  readonly out?: string;
  readonly policy?: string;
  readonly simulated?: true;
  readonly root?: string;
  readonly at?: number;
  readonly offline?: string | true;
  readonly json?: true;
}

export function registerEnrolCommand(parent: Command): void {
  parent
    .command('enrol')
    .description('write the entry of a machine, from evidence that it made')
    .argument('<evidence...>', 'as veilgate attest takes it; a quote or report is enough')
    .requiredOption('--host <name>', 'name of the machine')
    .requiredOption('--location <text>', 'where it stands')
    .requiredOption('--by <person...>', 'who vouches for it: two people')
    .option('--policy <path>', 'refuse what this policy has already')
    .option('--out <file>', 'such as hosts/NAME.yaml; else standard output')
    .option('--simulated', 'a simulated machine, for development')
    .option('--root <file>', 'the development root of a simulated machine')
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now',
      instantOption,
    )
    .option('--offline [bundle]', 'fetch no collateral; take it from this bundle, if one is named')
    .option('--json', 'one line of JSON')
    .action((inputs: readonly string[], options: EnrolOptions) => {
      const question = { command: 'host-enrol', json: options.json === true };
      return respond(question, (page) =>
        enrolAnswer(question, { inputs, options, io: COMMAND_IO, page }),
      );
    });
}

export interface EnrolRequest {
  readonly inputs: readonly string[];
  readonly options: EnrolOptions;
  readonly io: AttestIo;
  readonly page: Page;
}

export async function enrolAnswer(
  question: PolicyQuestion,
  { inputs, options, io, page }: EnrolRequest,
): Promise<PolicyAnswer> {
  const { host: name, location, by, root, at, offline, out } = options;
  checkHost({ name, location, by });
  const policy = options.policy === undefined ? undefined : readPolicy(options.policy);
  const judged = await judgeEvidence(
    {
      inputs,
      options: {
        ...(root === undefined ? {} : { root }),
        ...(at === undefined ? {} : { at }),
        ...(offline === undefined ? {} : { offline }),
      },
    },
    io,
  );
  const machine = oneMachine(judged, options, policy);
  if ('refused' in machine) {
    if (question.json) return jsonAnswer(question, EXIT.findings, { refused: machine.refused });
    return textAnswer(EXIT.findings, [
      paint('red', 'refused'),
      ...machine.refused.flatMap((reason) => paragraph(reason, page, '  ')),
    ]);
  }
  const { cpu, isSimulated } = machine;
  const { nowMs } = judged.question;
  const lines = hostLines({ name, location, by, cpu, nowMs });
  const text = `${[...(isSimulated ? ['# SIMULATED: protects nothing.'] : []), ...lines].join('\n')}\n`;
  if (out !== undefined) {
    if (existsSync(out)) throw cliError('cli.file', `${out} is there already`);
    saveFile('host entry', out, utf8(text));
  }
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      host: name,
      cpu,
      simulated: isSimulated,
      out: out ?? null,
    });
  }
  if (out === undefined) return textAnswer(EXIT.ok, [text.trimEnd()]);
  return textAnswer(EXIT.ok, [
    printable(`written ${out}: ${name}, ${cpuText(cpu)}`),
    ...(isSimulated ? [paint('yellow', 'SIMULATED: it protects nothing.')] : []),
  ]);
}

/** Or every reason against it. */
function oneMachine(
  { judgements, unreadable }: JudgedEvidence,
  { host, simulated }: EnrolOptions,
  policy: CompiledPolicy | undefined,
): Exclude<Identified, { refused: string }> | { readonly refused: readonly string[] } {
  const read = judgements.map((judgement) => ({
    name: judgement.subject.name,
    id: machineIdOf(judgement),
  }));
  const broken = [
    ...unreadable.map(({ name, reason }) => `${name}: ${reason}`),
    ...read.flatMap(({ name, id }) => ('refused' in id ? [`${name}: ${id.refused}`] : [])),
  ];
  const known = read.flatMap(({ id }) => ('refused' in id ? [] : [id]));
  const [first] = known;
  if (broken.length > 0 || first === undefined) return { refused: broken };
  const others = known.filter(({ cpu }) => cpuHex(cpu) !== cpuHex(first.cpu));
  const isSimulated = known.some((each) => each.isSimulated);
  const reasons = [
    ...(others.length > 0
      ? [`the evidence comes from ${new Set(known.map(({ cpu }) => cpuHex(cpu))).size} machines`]
      : []),
    ...(isSimulated && simulated !== true
      ? ['a simulated machine: for development say --simulated']
      : []),
    ...(!isSimulated && simulated === true
      ? ['not a simulated machine: leave --simulated out']
      : []),
    ...takenReasons(policy, host, cpuHex(first.cpu)),
  ];
  return reasons.length > 0 ? { refused: reasons } : first;
}

function takenReasons(
  policy: CompiledPolicy | undefined,
  name: string,
  cpu: string,
): readonly string[] {
  if (policy === undefined) return [];
  return policy.document.hosts.flatMap((host, index) => {
    const at = policy.at('hosts', index);
    if (hostCpuId(host) === cpu) return [`this machine is ${host.host} already [${at}]`];
    return host.host === name ? [`another machine is called ${name} [${at}]`] : [];
  });
}
