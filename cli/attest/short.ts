/**
 * One sentence for whoever reads no further: what the failed checks have in common. Said only where it holds for all of
 * them, because a wrong short version is worse than none.
 * @module
 */

import type { Check } from '../../attestation/verdict.ts';
import type { Judgement } from './judge.ts';

interface Pattern {
  /** Every failed check is one of these. */
  readonly all: RegExp;
  /** And at least one of these. */
  readonly one?: RegExp;
  readonly text: string;
}

const ROOT = /^(pck|chain)\.root$/;
const DEBUG = /\.debug$/;

const PATTERNS: readonly Pattern[] = [
  {
    all: /\.(freshness|signerValidity|validity|notBefore|notAfter|notYetValid|expired|evidenceAge)$/,
    text: 'Only time speaks against it: something is past its end or not begun. Fetch it anew, or set the clock right; see the dates below.',
  },
  {
    all: /^(bind\.|report\.signature$)/,
    one: /^bind\./,
    text: 'The certificate is not this report’s: it belongs to another chip, TCB or kind of key. Everything below follows from that.',
  },
  {
    all: /^tcbInfo\.(fmspc|pceId)$/,
    text: 'The collateral is that of another kind of platform. Fetch it by the FMSPC of this machine.',
  },
  {
    all: /^(policy|cpu)\.(tcbStatus|tcbStatus\.current|tcbDate|tcbEvalNumber|minTcbEvaluationDataNumber|module\.isvsvn|tcbMinimum|launchTcb|firmware|provisionalFirmware)$/,
    text: 'The machine is genuine and out of date. Below: what to update.',
  },
  {
    all: /^(cpu\.measurements|policy\.measurements?|workload\..*|policy\.mrTd)$/,
    text: 'The machine is genuine, and runs something else than what is listed.',
  },
  {
    all: /^(statement\.reportData|policy\.reportData)$/,
    text: 'The machine is genuine, and this evidence was made for something else than what was presented with it.',
  },
];

export function inShort({ checks, outcome }: Judgement): string | undefined {
  if (outcome === 'accepted') return undefined;
  if (outcome === 'undecided') {
    return 'Nothing speaks against it so far, and it cannot be judged: hand over what is missing and ask again.';
  }
  const failing = checks.filter(isFailed).map(({ id }) => id);
  if (failing.some((id) => ROOT.test(id))) {
    return 'Nobody you trust vouches for it: the chain ends in a root that is neither the vendor’s nor one you named. A simulator’s evidence looks like this.';
  }
  if (failing.some((id) => DEBUG.test(id))) {
    return 'A debug guest: its host reads and writes everything in it. Nothing else about it matters.';
  }
  const fits = ({ all, one }: Pattern): boolean =>
    failing.every((id) => all.test(id)) &&
    (one === undefined || failing.some((id) => one.test(id)));
  return PATTERNS.find(fits)?.text;
}

function isFailed({ outcome }: Check): boolean {
  return outcome === 'fail';
}
