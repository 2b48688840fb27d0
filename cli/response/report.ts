/** The result of checking a proof, for people: who answered, by whose word, and what of it does not hold. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { paint, printable } from '../../core/node/terminal.ts';
import type { Check } from '../../attestation/verdict.ts';
import {
  PROOF_SECTIONS,
  type CheckedProof,
  type PinnedCheck,
} from '../../client/proof/check-response.ts';
import type { ResponseProof } from '../../client/proof/response-proof.ts';
import type { Verified } from './verify.ts';
import { showLines } from '../receipt/show.ts';

export type Shown = 'all' | 'notable';

export function reportLines(verified: Verified, shown: Shown): readonly string[] {
  const { proof, checked, via } = verified;
  return [
    ...aboutLines(proof, checked),
    ...(via === undefined ? [] : viaLines(via)),
    ...(via === undefined ? [] : sectionLines('gateway', via.gateway, shown)),
    ...PROOF_SECTIONS.flatMap((name) => sectionLines(name, checked.sections[name], shown)),
    conclusion(verified),
  ];
}

function aboutLines({ appraisedAtMs }: ResponseProof, checked: CheckedProof): readonly string[] {
  const { verdict, gateway, rootSha256, bill } = checked;
  const facts: (readonly [name: string, value: string])[] = [
    ['judged as of', formatInstant(appraisedAtMs)],
    ['gateway', gateway ?? 'not known'],
    ['policy root', rootSha256 === undefined ? 'none' : `sha256:${toHex(rootSha256)}`],
  ];
  if (verdict !== undefined) {
    const { policy, image, model, tcbStatus, simulated } = verdict;
    facts.push(
      ['policy', `${policy.name} serial ${policy.serial}, sha256:${toHex(policy.digest)}`],
      ['model', model ?? 'not known'],
      ['image', image ?? 'not known'],
      ['machine', simulated ? 'SIMULATED, for development' : (tcbStatus ?? 'not known')],
    );
  }
  const lines = facts.map(([name, value]) => `${name.padEnd(NAME_CHARS)}${printable(value)}`);
  const billed = bill === undefined ? [] : showLines({ file: 'bill', bill }).slice(1);
  return [...lines, ...billed];
}

/** Who read the prompt beside the worker. */
function viaLines({ verdict }: NonNullable<Verified['via']>): readonly string[] {
  const { image, simulated, tcbStatus } = verdict ?? {};
  const facts: (readonly [name: string, value: string])[] = [
    ['read by', 'a gateway in a TEE, and the worker'],
    ['gateway image', image ?? 'not known'],
    ['its machine', simulated === true ? 'SIMULATED, for development' : (tcbStatus ?? 'not known')],
  ];
  return facts.map(([name, value]) => `${name.padEnd(NAME_CHARS)}${printable(value)}`);
}

const NAME_CHARS = 16;
const OUTCOME_CHARS = 8;
const COLOURS = { pass: 'green', fail: 'red', waived: 'yellow', skipped: 'dim' } as const;

function sectionLines(name: string, checks: readonly Check[], shown: Shown): readonly string[] {
  const passes = checks.filter(({ outcome }) => outcome === 'pass').length;
  const listed = checks.filter(({ outcome }) => shown === 'all' || outcome !== 'pass');
  return [
    paint('bold', `${name}: ${passes} of ${checks.length} pass`),
    ...listed.map((check) => {
      const outcome = paint(COLOURS[check.outcome], check.outcome.padEnd(OUTCOME_CHARS));
      return `  ${outcome} ${check.id}${printable(wordsOf(check))}`;
    }),
  ];
}

function wordsOf(check: Check): string {
  if (check.outcome === 'fail') return `: want ${check.want}, got ${check.got}`;
  if (check.outcome === 'waived') return `: by ${check.by}: ${check.note}`;
  if (check.outcome === 'skipped') return `: ${check.because}`;
  return '';
}

function conclusion({ holds, checked, via }: Verified): string {
  if (!holds) return paint('red', 'does not hold');
  const { sections, verdict, unpinned } = checked;
  const isSimulated = verdict?.simulated === true || via?.verdict?.simulated === true;
  const simulated = isSimulated ? ', of a simulated machine' : '';
  const offline = sections.policy.some(
    ({ id, outcome }) => id === 'policy.in_force' && outcome === 'waived',
  );
  const aged = offline ? ', under a policy whose age the client did not ask' : '';
  const colour = simulated === '' && aged === '' ? 'green' : 'yellow';
  if (unpinned.length === 0) return paint(colour, `holds${simulated}${aged}`);
  const whose = unpinned.map((pin) => IN_IT[pin]).join(' and ');
  const missing = unpinned.map((pin) => PIN_OPTIONS[pin]).join(' and ');
  const word = `, but only by the word of the ${whose} in it, which anybody can choose: say ${missing}`;
  return paint('yellow', `holds${simulated}${aged}${word}`);
}

const IN_IT: Readonly<Record<PinnedCheck, string>> = {
  'policy.root': 'root',
  'policy.digest': 'policy',
  'gateway.id': 'gateway',
};

const PIN_OPTIONS: Readonly<Record<PinnedCheck, string>> = {
  'policy.root': '--root',
  'policy.digest': '--policy',
  'gateway.id': '--gateway-id',
};
