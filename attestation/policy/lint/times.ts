/** Grants end by themselves: what has ended, what ends soon, and what was given for too long. @module */

import { formatInstant } from '../../../core/clock.ts';
import { finding, type LintFinding, type LintSubject } from './finding.ts';

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;
const LONG_DAYS = 90;
const SOON_DAYS = 14;
const CLOCK_SKEW_MS = 60_000;

/** What SECURITY.md promises of revocations; a timestamp is signed every 20 s. */
const WORD_MAX_S = { gateway: 60, client: 300 } as const;

interface Entry {
  readonly what: string;
  readonly at: string;
  readonly expires: number;
}

export function lintTimes(subject: LintSubject): readonly LintFinding[] {
  return [
    ...policyTimes(subject),
    ...oldWord(subject),
    ...entriesOf(subject).flatMap((entry) => entryTimes(subject, entry)),
  ];
}

function policyTimes(subject: LintSubject): readonly LintFinding[] {
  const { policy, nowMs } = subject;
  const { issued, expires } = policy.document;
  const at = policy.at('expires');
  if (nowMs >= expires) {
    const message = `the policy expired ${formatInstant(expires)}: it admits nobody`;
    return [finding('time.expired-policy', { at, message, hint: 'issue it anew' })];
  }
  const early = `the policy is issued ${formatInstant(issued)}, which is ahead: nobody until then`;
  return [
    ...(issued > nowMs + CLOCK_SKEW_MS
      ? [finding('time.not-yet', { at: policy.at('issued'), message: early })]
      : []),
    ...remaining(subject, { what: 'the policy', at, expires }),
  ];
}

function oldWord({ policy }: LintSubject): readonly LintFinding[] {
  const age = policy.document.limits.revocation_age;
  if ('any' in age) return [];
  return (['gateway', 'client'] as const)
    .filter((who) => age[who] > WORD_MAX_S[who] * SECOND_MS)
    .map((who) =>
      finding('time.old-word', {
        at: policy.at('limits', 'revocation_age', who),
        message: `a ${who} goes on for ${age[who] / SECOND_MS} s without word on revocations`,
        hint: `${WORD_MAX_S[who]}s is usual`,
      }),
    );
}

function entriesOf({ policy }: LintSubject): readonly Entry[] {
  const { images, advisories, hosts } = policy.document;
  return [
    ...images.map(({ name, expires }, index) => ({
      what: `image ${name}`,
      at: policy.at('images', index, 'expires'),
      expires,
    })),
    ...advisories.map(({ id, expires }, index) => ({
      what: `advisory ${id}`,
      at: policy.at('advisories', index, 'expires'),
      expires,
    })),
    ...hosts.map(({ host, expires }, index) => ({
      what: `host ${host}`,
      at: policy.at('hosts', index, 'expires'),
      expires,
    })),
  ];
}

function entryTimes(subject: LintSubject, entry: Entry): readonly LintFinding[] {
  const { policy, nowMs } = subject;
  const { what, at, expires } = entry;
  if (nowMs >= expires) {
    const message = `${what} expired ${formatInstant(expires)}`;
    return [finding('time.expired', { at, message, hint: 'remove it, or renew it on purpose' })];
  }
  const end = policy.document.expires;
  const message = `${what} lasts until ${formatInstant(expires)}, the policy until ${formatInstant(end)}`;
  return [
    ...remaining(subject, entry),
    ...(expires > end ? [finding('time.outlives', { at, message })] : []),
  ];
}

/** From `issued`, so that the same policy is judged the same tomorrow. */
function remaining({ policy, nowMs }: LintSubject, entry: Entry): readonly LintFinding[] {
  const { what, at, expires } = entry;
  const days = Math.floor((expires - policy.document.issued) / DAY_MS);
  const left = Math.floor((expires - nowMs) / DAY_MS);
  const long = `${what} is granted for ${days} days`;
  const soon = `${what} expires ${formatInstant(expires)}, ${daysText(left)}`;
  return [
    ...(days > LONG_DAYS
      ? [finding('time.long', { at, message: long, hint: `${LONG_DAYS} days are usual` })]
      : []),
    ...(left < SOON_DAYS ? [finding('time.soon', { at, message: soon })] : []),
  ];
}

/** `in 3 days`, `today`. */
export function daysText(days: number): string {
  if (days <= 0) return 'within a day';
  return days === 1 ? 'in 1 day' : `in ${days} days`;
}
