/**
 * A payment channel as files of this user alone: the channel file that `veilgate channel open` made, the key it names, and
 * beside it the payer's count (`.state`), the mark of the one process that pays (`.lock`) and the bills that did not hold
 * (`.bill-….json`). Loaded only when a channel is given as a path; browsers never get here.
 * @module
 */

import { dirname, resolve } from 'node:path';
import { fixed, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/json.ts';
import { readPrivate, saveOnce, saveOver, systemCodeOf } from '../../core/node/private-files.ts';
import { takeWriterLock } from '../../core/node/writer-lock.ts';
import { CHANNEL_FILE, type ChannelFile } from '../../settlement/channel-terms.ts';
import type { Amount } from '../../settlement/money.ts';
import { clientError } from '../errors.ts';
import { CHANNEL_FILE_MAX_BYTES, PAY_STATE_MAX_BYTES } from '../limits.ts';
import type { ChannelParts } from '../pay/open-payer.ts';
import type { PayMemory } from '../pay/pay-memory.ts';
import {
  decodePayState,
  encodePayState,
  inEpoch,
  newPayState,
  resumed,
  type PayState,
} from '../pay/pay-state.ts';

const KEY_BYTES = 32;
const FILE_DEPTH_MAX = 3;

/** Throws `client.channel_file`; also while another process, or this one, pays from it already. */
export function openChannelFile(path: string): {
  readonly parts: ChannelParts;
  readonly release: () => void;
} {
  const { gateway, channel, terms, keyFile } = readChannelFile(path);
  const secretKey = readKey(resolve(dirname(path), keyFile));
  const release = unusable(() => takeWriterLock(`${path}.lock`));
  return { parts: { gateway, channel, terms, secretKey, memory: memoryAt(path) }, release };
}

/** Throws `client.channel_file`. */
export function readChannelFile(path: string): ChannelFile {
  const bytes = unusable(() =>
    readPrivate(path, { privacy: 'public', maxBytes: CHANNEL_FILE_MAX_BYTES }),
  );
  if (bytes === undefined) throw clientError('client.channel_file', `${path} is not there`);
  const options = { maxBytes: CHANNEL_FILE_MAX_BYTES, maxDepth: FILE_DEPTH_MAX } as const;
  const { value } = unusable(() => parseStrictJson(bytes, { ...options, numbers: 'integers' }));
  const decoded = CHANNEL_FILE.safeParse(value);
  if (decoded.success) return decoded.data;
  const at = decoded.error.issues[0]?.path.join('.') ?? '';
  throw clientError('client.channel_file', `${path}: ${at}`);
}

function readKey(path: string): Bytes<32> {
  const bytes = unusable(() => readPrivate(path, { privacy: 'secret', maxBytes: KEY_BYTES }));
  if (bytes?.length !== KEY_BYTES) {
    throw clientError('client.channel_file', `${path}: want a key of ${KEY_BYTES} bytes`);
  }
  return fixed(bytes, KEY_BYTES);
}

function memoryAt(path: string): PayMemory {
  return {
    load: async () => {
      await Promise.resolve();
      return unusable(() =>
        readPrivate(`${path}.state`, { privacy: 'public', maxBytes: PAY_STATE_MAX_BYTES }),
      );
    },
    save: async (state) => {
      await Promise.resolve();
      unusable(() => saveOver(`${path}.state`, state));
    },
    keepBill: async (requestId, bill) => {
      await Promise.resolve();
      const place = `${path}.bill-${toHex(requestId)}.json`;
      unusable(() => saveOnce(place, bill));
      return place;
    },
  };
}

/** For a channel that was just opened: nothing was ever signed or charged. A count that is there stays. */
export function beginCount(path: string): void {
  const { channel } = readChannelFile(path);
  unusable(() => saveOnce(`${path}.state`, encodePayState(newPayState(channel, 'known'))));
}

/** Pays again after a fault. Returns the faults that somebody has looked at. */
export function resumeCount(path: string): readonly string[] {
  let faults: readonly string[] = [];
  changeCount(path, (state) => {
    ({ faults } = state);
    return resumed(state);
  });
  return faults;
}

/**
 * As read from the chain: the epoch, and everything that was ever claimed. Throws `client.channel_file` for an epoch that is
 * over, and for more than this count ever promised: whoever says so about the chain would have it promised again.
 */
export function setCountEpoch(path: string, epoch: number, claimed: Amount): void {
  changeCount(path, (state) => {
    if (state.epoch === epoch) return state;
    if (epoch < state.epoch) throw clientError('client.channel_file', 'an epoch that is over');
    const promised = state.ceiling > state.charged ? state.ceiling : state.charged;
    if (state.baseline === 'known' && claimed > promised) {
      throw clientError('client.channel_file', 'more was claimed than was ever signed for');
    }
    return inEpoch(state, epoch, claimed);
  });
}

/** What is remembered of the channel; undefined before the first request. */
export function readCount(path: string): PayState | undefined {
  const { channel } = readChannelFile(path);
  const saved = unusable(() =>
    readPrivate(`${path}.state`, { privacy: 'public', maxBytes: PAY_STATE_MAX_BYTES }),
  );
  return saved === undefined ? undefined : decodePayState(saved, channel);
}

/** Throws `client.channel_file` while somebody pays: they would write over it. */
function changeCount(path: string, change: (state: PayState) => PayState): void {
  const release = unusable(() => takeWriterLock(`${path}.lock`));
  try {
    const { channel } = readChannelFile(path);
    const state = readCount(path) ?? newPayState(channel, 'unknown');
    unusable(() => saveOver(`${path}.state`, encodePayState(change(state))));
  } finally {
    release();
  }
}

function unusable<Value>(step: () => Value): Value {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof VeilError) {
      throw cause.code === 'client.channel_file'
        ? cause
        : clientError('client.channel_file', cause.message, { cause });
    }
    const code = systemCodeOf(cause);
    if (code === 'unknown') throw cause;
    throw clientError('client.channel_file', code, { cause });
  }
}
