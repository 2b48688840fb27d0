/**
 * The text of a policy's section `gateways` that lets one gateway hold plaintext, drafted from what it shows of itself: every
 * value with its origin, and what a person has to decide marked "choose:". Spec: docs/attested-gateway.md "Policy".
 * @module
 */

import { GRANT_DAYS, instantIn } from '../../attestation/policy/remedy/edit.ts';
import type { GatewayStatement } from '../../attestation/gateway/gateway-statement.ts';
import type { TeeFacts } from '../../attestation/tee.ts';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { draftCpu, draftName, imageLines, limitLines, listLines, textOf } from './draft.ts';
import { asEntry, commentText, indented, quoted } from './yaml-text.ts';

export interface GatewayDraftInput {
  /** Of a genuine machine. */
  readonly facts: TeeFacts;
  /** That the machine vouches for. */
  readonly statement: GatewayStatement;
  readonly nowMs: number;
  /** For people. */
  readonly source: string;
  /** Of a simulated machine: its development root. */
  readonly simulatedRoot: Bytes<32> | undefined;
}

export interface GatewayDraft {
  /** To be added to a policy. */
  readonly section: string;
  /** A policy of nothing else, to try it. */
  readonly whole: string;
}

export function gatewayDraftOf(input: GatewayDraftInput): GatewayDraft {
  const { facts, statement, nowMs, source, simulatedRoot } = input;
  const { workload } = statement;
  const ruleId = `gateway-${facts.tee}`;
  const isSimulated = simulatedRoot !== undefined;
  const cpu = draftCpu(facts, { nowMs, ruleId, isSimulated, hasHost: false });
  const imageName = draftName('gateway', workload.image);
  const image = imageLines({ workload, nowMs, cpu, imageName, engine: [] });
  const gateways = [
    'gateways:',
    '  # choose: required, where every client has it answer a challenge of its own.',
    "  challenge: { any: true, note: 'a statement lives an hour at most' }",
    '  rules:',
    `    - id: ${ruleId}`,
    `      images: [${imageName}]`,
    '      cpu:',
    ...indented(cpu.lines, 8),
    '  images:',
    ...indented(asEntry(image), 4),
  ];
  const roots =
    simulatedRoot === undefined
      ? []
      : ['development: true', 'roots:', `  - simulated: 'sha256:${toHex(simulatedRoot)}'`];
  const where = cpu.cpuId === undefined ? 'on any machine of the cloud' : 'on this machine alone';
  const section = [
    `# A draft, from ${commentText(source)} as of ${instantIn(0, nowMs)}:`,
    `# ${commentText(cpu.about)}.`,
    `# It lets this release of a gateway read prompts, ${where}.`,
    '# Add it to a policy, and look at every line with "choose:".',
    ...(isSimulated
      ? [
          '# The machine is SIMULATED, and protects nothing. The policy has to say so:',
          ...roots.map((line) => `#   ${line}`),
        ]
      : []),
    ...(cpu.advisories.length === 0
      ? []
      : [
          '',
          '# Put these into the list that the policy has.',
          ...listLines('advisories', cpu.advisories),
          '',
        ]),
    ...gateways,
  ];
  const whole = [
    'format: veilgate.policy/1',
    'name: draft',
    'serial: 1',
    `issued: ${instantIn(0, nowMs)}`,
    `expires: ${instantIn(GRANT_DAYS, nowMs)}`,
    `contact: ${quoted('nobody: a trial')}`,
    'note: to try a section about gateways',
    ...roots,
    ...limitLines(),
    ...['rules', 'images', 'models', 'hosts'].map((list) => `${list}: []`),
    ...listLines('advisories', cpu.advisories),
    ...gateways,
  ];
  return { section: textOf(section), whole: textOf(whole) };
}
