/**
 * The text of a draft policy: every value with its origin, and what a person has to decide marked "choose:". Whether it
 * admits the evidence it was made from is shown by whoever calls this, before anything is written.
 * @module
 */

import { GRANT_DAYS, instantIn, TO_FILL_IN } from '../../attestation/policy/remedy/edit.ts';
import type { Card } from '../../attestation/card.ts';
import type { Statement } from '../../attestation/statement.ts';
import type { TeeFacts } from '../../attestation/tee.ts';
import { toHex, type Bytes } from '../../core/bytes.ts';
import type { DraftCpu, DraftFrame } from './draft-cpu.ts';
import { snpDraft } from './draft-snp.ts';
import { tdxDraft } from './draft-tdx.ts';
import { asEntry, commentText, indented, quoted } from './yaml-text.ts';
import { hostLines, type HostFacts } from '../host/host-entry.ts';

export interface DraftInput {
  readonly facts: TeeFacts;
  readonly statement: Statement;
  readonly card: Card;
  readonly nowMs: number;
  /** For people. */
  readonly source: string;
  readonly name: string;
  readonly owner: string | undefined;
  /** Of a simulated machine: its development root. */
  readonly simulatedRoot: Bytes<32> | undefined;
  readonly host: Omit<HostFacts, 'cpu' | 'nowMs'> | undefined;
}

/** A whole policy: one file, or the policy first and then the entries of its lists. */
export interface Draft {
  readonly whole: string;
  readonly split: readonly { readonly name: string; readonly text: string }[];
}

const DIGEST_SHOWN_CHARS = 12;
const RULE_ID = { tdx: 'tdx-cpu', snp: 'snp-cpu' } as const;

export function draftOf(input: DraftInput): Draft {
  const { facts, nowMs, simulatedRoot, host, statement } = input;
  const frame: DraftFrame = {
    nowMs,
    ruleId: RULE_ID[facts.tee],
    isSimulated: simulatedRoot !== undefined,
    hasHost: host !== undefined,
  };
  const cpu = draftCpu(facts, frame);
  const imageName = draftName('image', statement.workload.image);
  const entry = imageLines({
    workload: statement.workload,
    nowMs,
    cpu,
    imageName,
    engine: ['  # choose: the engine of the release.', '  engine: unknown'],
  });
  const hostEntry =
    host === undefined || cpu.cpuId === undefined
      ? []
      : hostLines({ ...host, cpu: cpu.cpuId, nowMs });
  const body = (images: readonly string[], hosts: readonly string[]): string =>
    textOf([
      ...headLines(input, cpu),
      ...limitLines(),
      ...ruleLines(input, cpu, { frame, imageName }),
      ...listLines('images', images),
      '',
      ...modelLines(input),
      ...listLines('advisories', cpu.advisories),
      '',
      ...listLines('hosts', hosts),
    ]);
  return {
    whole: body(asEntry(entry), asEntry(hostEntry)),
    split: [
      { name: 'policy.yaml', text: body([], []) },
      { name: `images/${imageName}.yaml`, text: textOf(entry) },
      ...(host === undefined || hostEntry.length === 0
        ? []
        : [{ name: `hosts/${host.name}.yaml`, text: textOf(hostEntry) }]),
    ],
  };
}

export function draftCpu(facts: TeeFacts, frame: DraftFrame): DraftCpu {
  return facts.tee === 'tdx' ? tdxDraft(facts.tdx, frame) : snpDraft(facts.snp, frame);
}

export function draftName(kind: string, image: Bytes<32>): string {
  return `${kind}-${toHex(image).slice(0, DIGEST_SHOWN_CHARS)}`;
}

export function textOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

export function listLines(name: string, entries: readonly string[]): readonly string[] {
  return entries.length === 0 ? [`${name}: []`] : [`${name}:`, ...indented(entries, 2)];
}

function headLines(
  { nowMs, source, name, owner, simulatedRoot }: DraftInput,
  { about, cpuId }: DraftCpu,
): readonly string[] {
  const machines = cpuId === undefined ? 'any machine of the cloud' : 'no other machine';
  const contact = owner ?? '<whom to ask>';
  return [
    '# yaml-language-server: $schema=./policy-1.schema.json',
    '#',
    `# A draft, from ${commentText(source)} as of ${instantIn(0, nowMs)}:`,
    `# ${commentText(about)}.`,
    `# It admits that worker as it was then, ${machines}, and no other release.`,
    '# Look at every line with "choose:".',
    ...(simulatedRoot === undefined
      ? []
      : ['# The machine is SIMULATED: what this policy admits protects nothing.']),
    'format: veilgate.policy/1',
    `name: ${name}`,
    '# Raise it with every change.',
    'serial: 1',
    `issued: ${instantIn(0, nowMs)}`,
    `# ${GRANT_DAYS} days: look at it again then.`,
    `expires: ${instantIn(GRANT_DAYS, nowMs)}`,
    ...(owner === undefined ? ['# choose: whom to ask.'] : []),
    `contact: ${quoted(contact)}`,
    'note: drafted from captured evidence',
    ...(simulatedRoot === undefined
      ? []
      : [
          '',
          '# From the evidence: the development root that it ends in.',
          'development: true',
          'roots:',
          `  - simulated: 'sha256:${toHex(simulatedRoot)}'`,
        ]),
    '',
  ];
}

export function limitLines(): readonly string[] {
  return [
    'limits:',
    '  # As policies/production.yaml has them.',
    '  evidence_age: 1h',
    '  reattest_every: 1h',
    '  revocation_age: { gateway: 60s, client: 5m }',
    '  collateral_grace: 0s',
    '  # choose: "required" where every client can set a challenge of its own.',
    '  challenge: gateway',
    '',
  ];
}

function ruleLines(
  { card }: DraftInput,
  cpu: DraftCpu,
  { frame, imageName }: { readonly frame: DraftFrame; readonly imageName: string },
): readonly string[] {
  return [
    'rules:',
    `  - id: ${frame.ruleId}`,
    '    # From the worker card.',
    `    models: [${quoted(card.model.id)}]`,
    `    images: [${imageName}]`,
    '    cpu:',
    ...indented(cpu.lines, 6),
    '    # GPU evidence is not verified yet.',
    '    gpu: none',
    '',
  ];
}

export interface DraftImage {
  readonly workload: Pick<Statement['workload'], 'image' | 'config'>;
  readonly nowMs: number;
  readonly cpu: DraftCpu;
  readonly imageName: string;
  /** Member of `workload`; of workers alone. */
  readonly engine: readonly string[];
}

export function imageLines({
  workload,
  nowMs,
  cpu,
  imageName,
  engine,
}: DraftImage): readonly string[] {
  return [
    '# choose: the name of the release, here and in the rule.',
    `name: ${imageName}`,
    '# choose: where it was built from. The commit is a placeholder.',
    `source: { repo: ${quoted(TO_FILL_IN.repo)}, commit: '${'0'.repeat(40)}' }`,
    `expires: ${instantIn(GRANT_DAYS, nowMs)}`,
    'workload:',
    '  # From the quoted statement.',
    `  image: 'sha256:${toHex(workload.image)}'`,
    `  config: 'sha256:${toHex(workload.config)}'`,
    ...engine,
    ...cpu.image,
  ];
}

function modelLines({ card, statement: { workload } }: DraftInput): readonly string[] {
  return [
    'models:',
    '  # The name from the worker card, the digest of the weights from the quoted statement.',
    `  - { id: ${quoted(card.model.id)}, weights: 'sha256:${toHex(workload.model)}' }`,
    '',
  ];
}
