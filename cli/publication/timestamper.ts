/**
 * Signs "this is still the newest": a reader with a memory of its own that names what it has accepted. Its key lies on a
 * machine that is online, so it believes no file: what does not verify under the root, or goes back, is never named.
 * Spec: docs/publication.md §2 "Timestamp", §3.
 * @module
 */

import { advance } from '../../attestation/publication/advance.ts';
import { parseEnvelope, signEnvelope } from '../../attestation/publication/envelope.ts';
import { STATE_MAX_BYTES } from '../../attestation/publication/limits.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { decodeState, encodeState } from '../../attestation/publication/saved-state.ts';
import type { PublicationEvent, Refusal } from '../../attestation/publication/step.ts';
import { encodeTimestamp, type NamedDocument } from '../../attestation/publication/timestamp.ts';
import { equalPublic, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { readPrivate, saveOver, systemCodeOf } from '../../core/node/private-files.ts';
import { takeWriterLock } from '../../core/node/writer-lock.ts';
import { repositoryError } from './errors.ts';
import { offeredOf, ownState } from './own-state.ts';
import { assertFirstRoot } from './pinned-root.ts';
import { readRepository, replaceFile, TIMESTAMP_FILE } from './repository.ts';

const SECOND_MS = 1000;
/**
 * Timestamps are to the second and have to rise: several changes in one second are stamped with the seconds that follow.
 * Readers take up to 60 s; a burst that needs more than this waits for the clock.
 */
const AHEAD_MAX_MS = 10_000;

export interface TimestamperOptions {
  /** The repository. */
  readonly directory: string;
  /** Of the role `timestamp`. */
  readonly secretKey: Bytes<32>;
  /** What it has accepted so far, in a file of its own. Without it, whoever restores an old repository is believed. */
  readonly memoryPath: string;
  /** The first root that the repository has to hold. Without it, and without a memory, the one that lies there is believed. */
  readonly pinnedRoot?: Uint8Array;
  readonly now: Clock;
}

/** What came of one look. */
export type Tick = {
  /** Newly accepted since the last look; a timestamp of our own is none. */
  readonly accepted: readonly PublicationEvent[];
  /** In the repository and not believed: the last good ones are named. */
  readonly refused: readonly Refusal[];
} & (
  | { readonly outcome: 'signed'; readonly timeMs: number; readonly named: NamedNumbers }
  /** Nothing new, and nobody asked for a new one. */
  | { readonly outcome: 'unchanged' }
  /** Soon: too many changes in too short a time. */
  | { readonly outcome: 'later' }
  /** There is nothing to name yet. */
  | { readonly outcome: 'waiting'; readonly missing: readonly ('release' | 'revocations')[] }
  /** Readers would refuse our own timestamp: a key without the role, a root that has expired. */
  | { readonly outcome: 'unable'; readonly refusal: Refusal }
);

export interface NamedNumbers {
  readonly release: number;
  readonly revocations: number;
}

export interface Timestamper {
  /** `due`: a new one, whatever happened. `changes`: only if there is something new. Throws when a disk fails. */
  readonly tick: (reason: 'due' | 'changes') => Tick;
  readonly close: () => void;
}

/** Throws `repository.*`, `publication.*`, `writer_lock.held`, `file.private`. */
export function openTimestamper(options: TimestamperOptions): Timestamper {
  const { directory, memoryPath, now } = options;
  const release = takeWriterLock(`${memoryPath}.lock`);
  try {
    let state = remembered(options);
    let isSigned = false;
    return {
      tick: (reason) => {
        const files = readRepository(directory);
        const looked = advance(state, { roots: files.roots, ...offeredOf(files) }, now());
        const accepted = looked.accepted.filter(({ kind }) => kind !== 'timestamp');
        // Ours is the only one there should be, and the next one takes its place.
        const refused = looked.refused.filter(({ document }) => document !== 'timestamp');
        // On the disk before anything is signed that names it.
        if (accepted.length > 0) remember(memoryPath, looked.state);
        state = looked.state;
        if (reason === 'changes' && accepted.length === 0 && isSigned) {
          return { outcome: 'unchanged', accepted, refused };
        }
        const made = stamped(state, options);
        isSigned = made.outcome === 'signed';
        if (made.outcome !== 'signed') return { ...made, accepted, refused };
        replaceFile(directory, { name: TIMESTAMP_FILE, bytes: made.bytes });
        state = made.state;
        return { outcome: 'signed', timeMs: made.timeMs, named: made.named, accepted, refused };
      },
      close: release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** The first time, the repository as it is; afterwards nothing older than what was accepted. */
function remembered(options: TimestamperOptions): PublicationState {
  const { directory, memoryPath, now } = options;
  const files = readRepository(directory);
  const saved = readPrivate(memoryPath, { privacy: 'public', maxBytes: STATE_MAX_BYTES });
  const nowMs = now();
  const [pinnedRoot] = files.roots;
  if (pinnedRoot === undefined) throw repositoryError('repository.unusable', 'no root');
  if (options.pinnedRoot !== undefined) assertFirstRoot(files, options.pinnedRoot);
  if (saved !== undefined) {
    const state = openPublication({ pinnedRoot, saved, nowMs });
    assertRemembered(state, saved, options);
    return state;
  }
  const { state } = ownState(files, nowMs);
  remember(memoryPath, state);
  return state;
}

/**
 * A reader pins a newer root than all it remembers when its owner says so. Here nobody does: the first root of a directory is
 * whoever's who can write there, and one that names the team's keys beside their own supports all that is remembered.
 */
function assertRemembered(
  { roots: [pinned] }: PublicationState,
  saved: Uint8Array,
  { directory, memoryPath }: TimestamperOptions,
): void {
  const known = decodeState(saved).roots.map((bytes) => parseEnvelope(bytes, 'root').digest);
  if (pinned !== undefined && known.some((it) => equalPublic(it, pinned.document.digest))) return;
  throw repositoryError(
    'repository.unusable',
    `the first root in ${directory} is none that ${memoryPath} remembers\nnext: put the roots before it back; if this is another publication, name another --memory`,
  );
}

function remember(path: string, state: PublicationState): void {
  try {
    saveOver(path, encodeState(state));
  } catch (cause) {
    const code = systemCodeOf(cause);
    throw repositoryError('repository.unusable', `cannot write ${path} (${code})`, { cause });
  }
}

type Stamped =
  | {
      readonly outcome: 'signed';
      readonly state: PublicationState;
      readonly bytes: Uint8Array;
      readonly timeMs: number;
      readonly named: NamedNumbers;
    }
  | { readonly outcome: 'later' }
  | { readonly outcome: 'waiting'; readonly missing: readonly ('release' | 'revocations')[] }
  | { readonly outcome: 'unable'; readonly refusal: Refusal };

function stamped(state: PublicationState, { secretKey, now }: TimestamperOptions): Stamped {
  const release = state.release?.document;
  // A list that the newest root does not support takes away, but nobody is fresh by it.
  const list = state.revocations?.supported === true ? state.revocations.document : undefined;
  if (release === undefined || list === undefined) {
    const missing = [release ?? ('release' as const), list ?? ('revocations' as const)];
    return { outcome: 'waiting', missing: missing.filter((it) => typeof it === 'string') };
  }
  const nowMs = now();
  const timeMs = nextTime(state, nowMs);
  if (timeMs - nowMs > AHEAD_MAX_MS) return { outcome: 'later' };
  const named = { release: numbered(release), revocations: numbered(list) };
  const payload = encodeTimestamp({ policy: state.root.payload.policy, timeMs, ...named });
  const bytes = signEnvelope('timestamp', payload, [secretKey]);
  // What a reader would refuse is not written.
  const judged = advance(state, { timestamp: bytes }, nowMs);
  const [refusal] = judged.refused;
  if (refusal !== undefined) return { outcome: 'unable', refusal };
  const numbers = { release: named.release.number, revocations: named.revocations.number };
  return { outcome: 'signed', state: judged.state, bytes, timeMs, named: numbers };
}

function nextTime({ timestamp }: PublicationState, nowMs: number): number {
  const wholeMs = Math.floor(nowMs / SECOND_MS) * SECOND_MS;
  const lastMs = timestamp?.document.payload.timeMs;
  return lastMs === undefined ? wholeMs : Math.max(wholeMs, lastMs + SECOND_MS);
}

function numbered({
  payload,
  digest,
}: {
  readonly payload: { readonly number: number };
  readonly digest: Bytes<32>;
}): NamedDocument {
  return { number: payload.number, digest };
}
