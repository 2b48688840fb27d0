/**
 * Start reading here: a log in, the four registers out, and how they compare with those of a quote. The log is
 * untrusted whoever delivers it; the expected registers are as good as the quote they come from, which is verified
 * elsewhere (`../verify.ts`).
 * Spec: Intel TDX Module Base Architecture Specification, "RTMR: Run-Time Measurement Registers" (TDG.MR.RTMR.EXTEND).
 * @module
 */

import { sha384 } from '#primitives';
import { equalPublic, fixed, type Bytes } from '../../../core/bytes.ts';
import { attempt, type Attempt } from '../../attempt.ts';
import { readCcel } from './ccel.ts';
import { readDstackLog } from './dstack.ts';
import {
  isMeasured,
  RTMR_INDEXES,
  type EventLog,
  type LogEvent,
  type LogFailure,
  type LogRuleId,
  type Registers,
  type RtmrIndex,
} from './event.ts';
import { readFactsUnverified, type DstackFacts } from './facts.ts';

export interface EventLogSource {
  readonly kind: 'ccel' | 'dstack';
  readonly bytes: Uint8Array;
}

export type LogCheckId = LogRuleId | `rtmr.${RtmrIndex}`;

export type EventLogResult =
  /** Replays to the expected registers; what `covered` calls covered is as authentic as they are. */
  | {
      readonly verdict: 'match';
      readonly failing: readonly [];
      readonly replayed: Registers;
      readonly log: EventLog;
      /** dstack only. */
      readonly facts?: Attempt<DstackFacts>;
    }
  /** A readable log of something else: no text of it is evidence, and it has no facts. */
  | {
      readonly verdict: 'mismatch';
      readonly failing: readonly LogCheckId[];
      readonly failures: readonly LogFailure[];
      readonly replayed: Registers;
      readonly log: EventLog;
    }
  /** Not to be used at all, even if the registers happen to match. */
  | {
      readonly verdict: 'reject';
      readonly failing: readonly LogCheckId[];
      readonly failures: readonly LogFailure[];
    };

/** Bad bytes end in a result, never in an exception. */
export function appraiseEventLog(source: EventLogSource, expected: Registers): EventLogResult {
  const replay = replayEventLog(source);
  if (replay.outcome === 'rejected') return rejected(replay.failures);
  const { registers: replayed, log, contradictions } = replay;
  const differing = RTMR_INDEXES.filter(
    (register) => !equalPublic(replayed[register], expected[register]),
  ).map((register): LogCheckId => `rtmr.${register}`);
  if (differing.length > 0) {
    const failing = [...contradictions.map(({ id }) => id), ...differing];
    return { verdict: 'mismatch', failing, failures: contradictions, replayed, log };
  }
  if (contradictions.length > 0) return rejected(contradictions);
  const facts = log.kind === 'dstack' ? { facts: readFactsUnverified(log) } : {};
  return { verdict: 'match', failing: [], replayed, log, ...facts };
}

function rejected(failures: readonly LogFailure[]): EventLogResult {
  return { verdict: 'reject', failing: failures.map(({ id }) => id), failures };
}

export type Replay =
  | {
      readonly outcome: 'replayed';
      readonly registers: Registers;
      readonly log: EventLog;
      /** Not empty: no machine that follows the profile wrote this log, so it is never a match. */
      readonly contradictions: readonly LogFailure[];
    }
  | { readonly outcome: 'rejected'; readonly failures: readonly LogFailure[] };

/** For whoever has nothing to compare with: nothing in the log is authenticated by this. */
export function replayEventLog({ kind, bytes }: EventLogSource): Replay {
  const read = attempt(() => (kind === 'ccel' ? readCcel(bytes) : readDstackLog(bytes)));
  if (read.outcome === 'malformed') {
    return { outcome: 'rejected', failures: [{ id: 'log.format', reason: read.reason }] };
  }
  const log = read.value;
  if (log.failures.length > 0) return { outcome: 'rejected', failures: log.failures };
  const registers = registersOf(log.events);
  return { outcome: 'replayed', registers, log, contradictions: contradictionsOf(log) };
}

function contradictionsOf({ events }: EventLog): readonly LogFailure[] {
  const first = events.find(({ covered }) => covered.kind === 'contradicted');
  if (first === undefined) return [];
  const reason = `event ${first.index}: the data does not hash to the digest`;
  return [{ id: 'log.eventDigest', reason }];
}

function registersOf(events: readonly LogEvent[]): Registers {
  const measured = events.filter(isMeasured);
  const valueOf = (register: RtmrIndex): Bytes<48> =>
    measured
      .filter((event) => event.register === register)
      .reduce<Bytes<48>>(
        (value, { digest }) => sha384(value, digest),
        fixed(new Uint8Array(48), 48),
      );
  return [valueOf(0), valueOf(1), valueOf(2), valueOf(3)];
}
