/** Why nobody may be admitted, in words that say what to do. @module */

import { formatInstant } from '../core/clock.ts';
import type { Freshness } from '../attestation/publication/freshness.ts';
import type { PublicationState } from '../attestation/publication/memory.ts';
import type { Refusal } from '../attestation/publication/step.ts';
import { clientError } from './errors.ts';

/** A refused document, or a place that did not answer. */
export type Trouble = Refusal;

const TROUBLES_SHOWN_MAX = 4;
/** Of a document that nobody verified: names in it are whoever's. */
const DETAIL_MAX_CHARS = 200;

export function nothingToJudgeBy(
  { root }: PublicationState,
  troubles: readonly Trouble[],
  nowMs: number,
): Error {
  const { version, expiresMs } = root.payload;
  if (nowMs >= expiresMs) {
    const detail = `version ${version} expired at ${formatInstant(expiresMs)}: take a newer root file`;
    return clientError('client.policy_root', detail);
  }
  if (isFuture(troubles)) return clientError('client.clock', listed(troubles));
  const twofold = twofoldAmong(troubles);
  if (twofold !== undefined) return clientError('client.policy_equivocation', textOf(twofold));
  const detail = troubles.length === 0 ? 'nothing was shown' : listed(troubles);
  return clientError('client.policy_none', detail);
}

const WHY: Readonly<Record<Exclude<Freshness, { fresh: true }>['why'], string>> = {
  no_timestamp: 'no timestamp was shown',
  clock: 'this clock is behind what was signed',
  stale: 'the newest timestamp is too old, or this clock is ahead',
  equivocation: 'the timestamp names another content for a number that is held',
  behind: 'there is a newer release or list, and it was not shown',
  unconfirmed: 'no timestamp names the list of revocations that was shown',
};

export function notFresh(
  why: Exclude<Freshness, { fresh: true }>['why'],
  troubles: readonly Trouble[],
): Error {
  const detail = troubles.length === 0 ? WHY[why] : `${WHY[why]}; ${listed(troubles)}`;
  if (why === 'clock' || isFuture(troubles)) return clientError('client.clock', detail);
  if (why === 'equivocation' || twofoldAmong(troubles) !== undefined) {
    return clientError('client.policy_equivocation', detail);
  }
  return clientError('client.policy_stale', detail);
}

/** Nobody but the signers can date a document; that all of them are ahead is less likely than that we are behind. */
function isFuture(troubles: readonly Trouble[]): boolean {
  return troubles.some(({ code }) => code === 'publication.future');
}

function twofoldAmong(troubles: readonly Trouble[]): Trouble | undefined {
  return troubles.find(({ code }) => code === 'publication.equivocation');
}

export function textOf({ document, code, detail }: Trouble): string {
  const shown = detail.slice(0, DETAIL_MAX_CHARS).replaceAll(/\p{Cc}/gu, '?');
  return shown === '' ? `${document}: ${code}` : `${document}: ${code} (${shown})`;
}

function listed(troubles: readonly Trouble[]): string {
  return troubles.slice(0, TROUBLES_SHOWN_MAX).map(textOf).join('; ');
}
