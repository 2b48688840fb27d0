/** Where a sealed answer can be cut, for the tests that show every SDK its stump. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import { FRAME } from '../../protocol/sx/frames.ts';
import { splitAnswer, type Frame } from './hostile.ts';
import type { Fate } from './relay.ts';
import { SDK_READERS, type SdkReader, type SdkTarget } from './sdk-readers.ts';

export interface Cut {
  readonly name: string;
  /** How the connection ends behind what is left. */
  readonly ending: Fate['kind'];
  /** What is left of the frames. */
  readonly keep: (frames: readonly Frame[]) => readonly Frame[];
}

const MID_FRAME_BYTES = 11;

function dataFrames(frames: readonly Frame[]): readonly Frame[] {
  return frames.filter(({ type }) => type === FRAME.data);
}

function untilLastData(frames: readonly Frame[]): readonly Frame[] {
  return frames.slice(0, frames.findLastIndex(({ type }) => type === FRAME.data) + 1);
}

/** Of every whole answer there are at least a head, two pieces and an end. */
export const CUTS: readonly Cut[] = [
  { name: 'behind the head, reset', ending: 'cut', keep: (frames) => frames.slice(0, 1) },
  { name: 'between two frames, closed', ending: 'sent', keep: (frames) => frames.slice(0, 2) },
  {
    name: 'inside a frame, reset',
    ending: 'cut',
    keep: (frames) => {
      const [last, ...before] = untilLastData(frames).toReversed();
      assert.ok(last);
      return [...before.toReversed(), { ...last, bytes: last.bytes.slice(0, MID_FRAME_BYTES) }];
    },
  },
  { name: 'behind all data, closed', ending: 'sent', keep: untilLastData },
  { name: 'before FINAL, closed', ending: 'sent', keep: (frames) => frames.slice(0, -1) },
  { name: 'before FINAL, reset', ending: 'cut', keep: (frames) => frames.slice(0, -1) },
  {
    name: 'without the last data, where the end of the stream is',
    ending: 'sent',
    keep: (frames) => {
      const last = dataFrames(frames).at(-1);
      return frames.filter((frame) => frame !== last);
    },
  },
];

const UNARY_CUTS = CUTS.filter(({ name }) => /inside|FINAL/.test(name));

export function cutBody(body: Uint8Array, { keep, ending }: Cut): Fate {
  const { opening, frames } = splitAnswer(body);
  return { kind: ending, body: concat(opening, ...keep(frames).map(({ bytes }) => bytes)) };
}

/** Cuts the next answer, and leaves the others. */
export type Arm = (cut: Cut | undefined) => void;

/** For every SDK: the untouched answer is whole, and each stump of it is an error. */
export function everySdkSees(
  way: string,
  arm: Arm,
  target: (reader: SdkReader) => Promise<SdkTarget> | SdkTarget,
): void {
  for (const reader of SDK_READERS) {
    test(`${reader.name} through ${way}: a whole answer is one`, async () => {
      arm(undefined);
      const seen = await reader.read(await target(reader));
      assert.equal(seen.outcome, 'whole', seen.outcome === 'error' ? seen.reason : '');
      assert.ok(seen.text.length > 0);
    });
    for (const cut of reader.mode === 'stream' ? CUTS : UNARY_CUTS) {
      test(`${reader.name} through ${way}: ${cut.name} is an error`, async () => {
        arm(cut);
        const seen = await reader.read(await target(reader));
        assert.equal(seen.outcome, 'error', `taken for whole: ${seen.text.length} characters`);
      });
    }
  }
}
