/**
 * The channels of a payer: a file for each, and beside it the key that signs vouchers, both the owner's alone. They are on
 * the disk before any coin moves. Spec: `CHANNEL_FILE` of settlement/channel-terms.ts.
 * @module
 */

import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ed25519PublicKey } from '#primitives';
import { equalPublic, fixed, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { makePrivateFolder, readPrivate, saveOver } from '../../core/node/private-files.ts';
import {
  announcedChannelJson,
  CHANNEL_FILE,
  CHANNEL_FILE_FORMAT,
  type ChannelFile,
  type ChannelTerms,
} from '../../settlement/channel-terms.ts';
import { payerChannelOf, type PayerChannel } from '../../settlement/ton/payer/payer-channel.ts';
import { moneyError } from '../ton/errors.ts';
import { CHANNEL_FILE_MAX_BYTES, CHANNELS_MAX } from '../ton/limits.ts';
import { homeOf, type PlaceOptions } from '../ton/wallet-file.ts';

export interface KeptChannel {
  readonly path: string;
  readonly file: ChannelFile;
  readonly channel: PayerChannel;
}

const FOLDER = 'channels';
const SUFFIX = '.json';
/** Evidence that a client has put beside a channel. */
const BILL = /\.bill-[0-9a-f]{32}\.json$/;
const KEY_BYTES = 32;
const NAME_CHARS = 16;
const ID_CHARS_MIN = 4;

export function channelFolder(options: PlaceOptions): string {
  return join(homeOf(options), FOLDER);
}

export interface NewChannel {
  readonly gateway: string;
  readonly url: string;
  readonly terms: ChannelTerms;
  readonly secretKey: Bytes<32>;
}

/** The key first: a file without its key would be a channel that nobody can pay from. */
export function keepChannel(folder: string, made: NewChannel): KeptChannel {
  const channel = payerChannelOf(made.terms);
  makePrivateFolder(folder);
  const name = toHex(channel.id).slice(0, NAME_CHARS);
  const keyFile = `${name}.key`;
  const path = join(folder, `${name}${SUFFIX}`);
  saveOver(join(folder, keyFile), made.secretKey);
  const json = {
    fmt: CHANNEL_FILE_FORMAT,
    gateway: made.gateway,
    url: made.url,
    ...announcedChannelJson({ channel: channel.id, terms: made.terms }),
    keyFile,
  };
  saveOver(path, `${JSON.stringify(json, null, 2)}\n`);
  return loadChannel(path);
}

/** Throws `money.channel`, `file.private`. */
export function loadChannel(path: string): KeptChannel {
  const bytes = readPrivate(path, { privacy: 'public', maxBytes: CHANNEL_FILE_MAX_BYTES });
  if (bytes === undefined) throw moneyError('money.channel', `${path} is not there`);
  try {
    const file = CHANNEL_FILE.parse(parseJson(bytes, CHANNEL_FILE_MAX_BYTES));
    const channel = payerChannelOf(file.terms);
    if (equalPublic(channel.id, file.channel)) return { path, file, channel };
  } catch (cause) {
    if (cause instanceof VeilError && cause.code === 'file.private') throw cause;
    throw moneyError('money.channel', `${path} is no channel file`, { cause });
  }
  throw moneyError('money.channel', `${path}: the address is not that of its terms`);
}

/** All that can be read; what cannot is named. */
export function listChannels(folder: string): {
  readonly channels: readonly KeptChannel[];
  readonly unreadable: readonly string[];
} {
  if (!existsSync(folder)) return { channels: [], unreadable: [] };
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX) && !BILL.test(name))
    .sort()
    .slice(0, CHANNELS_MAX);
  const channels: KeptChannel[] = [];
  const unreadable: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      channels.push(loadChannel(path));
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      unreadable.push(path);
    }
  }
  return { channels, unreadable };
}

export interface WhichChannel extends PlaceOptions {
  /** A file, or the beginning of an id. */
  readonly channel?: string;
}

/** The one that is meant; the only one when none is named. Throws `money.channel`. */
export function findChannel(options: WhichChannel): KeptChannel {
  const { channel: asked } = options;
  if (asked !== undefined && (asked.includes('/') || asked.endsWith(SUFFIX))) {
    return loadChannel(resolve(asked));
  }
  const folder = channelFolder(options);
  const { channels } = listChannels(folder);
  if (channels.length === 0) {
    throw moneyError('money.channel', `none in ${folder}; "veilgate channel open" makes one`);
  }
  const fitting = channels.filter(({ channel }) => toHex(channel.id).startsWith(asked ?? ''));
  const [first, second] = fitting;
  const isShort = asked !== undefined && asked.length < ID_CHARS_MIN;
  if (first !== undefined && second === undefined && !isShort) return first;
  throw moneyError(
    'money.channel',
    asked === undefined
      ? `there are ${channels.length}; say which with --channel ("veilgate channel list" shows them)`
      : `${fitting.length} channels here begin with that id`,
  );
}

/** Throws `money.channel`, `file.private`. */
export function channelKey({ path, file, channel }: KeptChannel): Bytes<32> {
  const keyPath = resolve(dirname(path), file.keyFile);
  const bytes = readPrivate(keyPath, { privacy: 'secret', maxBytes: KEY_BYTES });
  if (bytes === undefined) throw moneyError('money.channel', `${keyPath} is not there`);
  if (bytes.length !== KEY_BYTES) throw moneyError('money.channel', `${keyPath} is no key`);
  const secretKey = fixed(bytes, KEY_BYTES);
  if (equalPublic(ed25519PublicKey(secretKey), channel.terms.payerKey)) return secretKey;
  throw moneyError('money.channel', `${basename(keyPath)} is the key of another channel`);
}
