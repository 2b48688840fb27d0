/**
 * One answer out of several providers': what enough of them say alike. Those that lag are asked again until the deadline,
 * those that contradict are reported. Spec: ton-settlement §4.11 rule 7.
 * @module
 */

import { hasCode, type VeilError } from '../../../core/errors.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import { tonError } from '../errors.ts';
import { ASK_AGAIN_MS } from '../limits.ts';
import type { Provider } from './provider.ts';

export interface Said<T> {
  /** Equal for answers that mean the same. */
  readonly key: string;
  readonly value: T;
  /** Does not count: older than what is known already. */
  readonly isOld: boolean;
}

export interface Question<T> {
  readonly providers: readonly Provider[];
  readonly quorum: number;
  ask(provider: Provider, signal: AbortSignal): Promise<Said<T>>;
  /** Whether `said` cannot be honest where `agreed` is: merely older or newer is no contradiction. */
  contradicts(said: T, agreed: T): boolean;
  report(provider: Provider, code: 'contradicts' | 'disagrees'): void;
  /** The deadline. */
  readonly signal: AbortSignal;
}

export interface Agreed<T> {
  readonly values: readonly T[];
  readonly by: readonly Provider[];
}

interface Round<T> {
  readonly latest: Map<Provider, Said<T>>;
  readonly failures: Map<Provider, unknown>;
  agreed: Agreed<T> | undefined;
}

/** Throws `ton.unreachable`, `ton.disagree`, `ton.network`, and whatever enough providers threw alike. */
export async function agree<T>(question: Question<T>): Promise<Agreed<T>> {
  const round: Round<T> = { latest: new Map(), failures: new Map(), agreed: undefined };
  return await new Promise((resolve, reject) => {
    const settle = (): void => {
      round.agreed ??= quorumOf(question, round);
      if (round.agreed !== undefined) resolve(round.agreed);
      // No use in waiting for the others.
      else if (usableOf(question) < question.quorum) reject(failureOf(question, round));
    };
    // Whoever answers after the decision is still compared with it: a liar must not gain by being slow.
    for (const provider of question.providers) {
      follow(question, provider, round, settle).catch(reject);
    }
    // A request that ignores its signal must not hold the caller.
    const late = (): void => {
      if (round.agreed === undefined) reject(failureOf(question, round));
    };
    if (question.signal.aborted) late();
    else question.signal.addEventListener('abort', late, { once: true });
  });
}

function usableOf<T>({ providers }: Question<T>): number {
  return providers.filter(({ isExcluded }) => !isExcluded).length;
}

async function follow<T>(
  question: Question<T>,
  provider: Provider,
  round: Round<T>,
  settle: () => void,
): Promise<void> {
  while (!question.signal.aborted) {
    try {
      const said = await question.ask(provider, question.signal);
      round.failures.delete(provider);
      round.latest.set(provider, said);
      if (round.agreed !== undefined) compare(question, provider, said, round.agreed);
      else settle();
    } catch (error) {
      if (question.signal.aborted) return;
      round.failures.set(provider, error);
      round.latest.delete(provider);
      settle();
      if (isFinal(error)) return;
    }
    if (round.agreed !== undefined) return;
    if (!(await pause(ASK_AGAIN_MS, question.signal))) return;
  }
}

/** Asking again changes nothing. */
function isFinal(error: unknown): boolean {
  return hasCode(error, 'ton.network') || hasCode(error, 'ton.config');
}

function quorumOf<T>(question: Question<T>, { latest }: Round<T>): Agreed<T> | undefined {
  const groups = Map.groupBy(
    [...latest].filter(([, said]) => !said.isOld),
    ([, { key }]) => key,
  );
  for (const group of groups.values()) {
    if (group.length < question.quorum) continue;
    const agreed = { values: group.map(([, { value }]) => value), by: group.map(([by]) => by) };
    for (const [provider, said] of latest) {
      if (!agreed.by.includes(provider)) compare(question, provider, said, agreed);
    }
    return agreed;
  }
  return undefined;
}

function compare<T>(
  question: Question<T>,
  provider: Provider,
  { value }: Said<T>,
  agreed: Agreed<T>,
): void {
  if (agreed.values.some((other) => question.contradicts(value, other))) {
    question.report(provider, 'contradicts');
  }
}

function failureOf<T>(question: Question<T>, { latest, failures }: Round<T>): VeilError {
  const usable = usableOf(question);
  if (usable < question.quorum) {
    return tonError('ton.network', 'too few providers of this network', { facts: { usable } });
  }
  if (latest.size < question.quorum) {
    const [cause] = failures.values();
    return tonError('ton.unreachable', `${latest.size} of ${question.quorum} answered`, { cause });
  }
  for (const provider of latest.keys()) question.report(provider, 'disagrees');
  return tonError('ton.disagree', `${latest.size} answers`);
}
