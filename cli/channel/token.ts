/**
 * `veilgate channel token`: a voucher as API key, for programs that know nothing of channels. It is narrowed here, so whoever
 * holds it can neither widen it nor outlive it. Spec: ton-settlement §4.4 (session); docs/paying.md "By token".
 * @module
 */

import { paint } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { openChannelFile } from '../../client/node/channel-file.ts';
import { STRANDED_MS } from '../../client/limits.ts';
import { ChannelAccount } from '../../client/pay/account.ts';
import { checkCaveats, type Caveat } from '../../settlement/pass.ts';
import { formatToken, signToken, type Token } from '../../settlement/token.ts';
import { parseAmount } from '../../settlement/money.ts';
import type { Voucher } from '../../settlement/voucher.ts';
import { cliError } from '../errors.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { ton } from '../ton/money-text.ts';
import type { PlaceOptions } from '../ton/wallet-file.ts';
import { channelKey, findChannel, type KeptChannel, type WhichChannel } from './channel-files.ts';
import { openGateway } from './gateway.ts';
import { announce } from './open-channel.ts';

export interface ChannelTokenOptions extends WhichChannel, PlaceOptions {
  /** TON. */
  readonly limit: string;
  /** Such as `24h`. */
  readonly expires: string;
  readonly model?: readonly string[];
  /** TON; no single request may reserve more. */
  readonly requestMax?: string;
  readonly cacert?: string;
}

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const LIFETIME_MAX_MS = 30 * UNITS.d;

/** Throws `cli.option`, `client.channel_file`, `client.pay_*`, `money.*`, `http.*`. */
export async function runChannelToken(options: ChannelTokenOptions, io: MoneyIo): Promise<Answer> {
  const limit = parseAmount(options.limit, 'TON');
  if (limit === 0n) throw cliError('cli.option', '--limit: an amount above zero');
  const notAfterMs = io.now() + lifetimeMs(options.expires);
  const caveats = caveatsOf(options, notAfterMs);
  checkCaveats(caveats);
  const kept = findChannel(options);
  const secretKey = channelKey(kept);
  const voucher = await endowed(kept, { limit, notAfterMs, io });
  const made = signToken(secretKey, voucher, caveats);
  await handIn(kept, made, { options, io });
  const token = formatToken(made);
  const until = formatInstant(notAfterMs);
  return {
    json: { token, channel: toHex(kept.channel.id), limit: limit.toString(), until },
    lines: [
      token,
      '',
      paint('bold', `In place of an API key, at ${kept.file.url}/v1, until ${until}.`),
      `It spends up to ${ton(limit)}, and what an earlier token of this channel has left.`,
      'The next voucher of this channel ends it: another token, or an app that pays from its file.',
    ],
  };
}

function lifetimeMs(text: string): number {
  const [, digits = '', unit = 'm'] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (unit === 'd' ? UNITS.d : unit === 'h' ? UNITS.h : UNITS.m);
  if (ms > 0 && ms <= LIFETIME_MAX_MS) return ms;
  throw cliError('cli.option', '--expires takes minutes, hours or days up to 30d, such as 24h');
}

function caveatsOf(options: ChannelTokenOptions, notAfterMs: number): readonly Caveat[] {
  const { model: models, requestMax } = options;
  return [
    { kind: 'expiry', notAfterMs },
    ...(models === undefined ? [] : [{ kind: 'models', models } as const]),
    ...(requestMax === undefined
      ? []
      : [{ kind: 'request-cap', cap: parseAmount(requestMax, 'TON') } as const]),
  ];
}

interface Endowment {
  readonly limit: bigint;
  readonly notAfterMs: number;
  readonly io: MoneyIo;
}

/** Counted as spent before it exists, until the last request that it was let in for must be over. */
async function endowed(kept: KeptChannel, { limit, notAfterMs, io }: Endowment): Promise<Voucher> {
  const { parts, release } = openChannelFile(kept.path);
  try {
    const spending = { policy: 'per-request', spendMax: undefined } as const;
    const account = await ChannelAccount.open(parts, spending, io.now);
    try {
      return await account.endow(limit, notAfterMs + STRANDED_MS);
    } finally {
      await account.close();
    }
  } finally {
    release();
  }
}

/** Now and not with its first request: what the gateway does not take is no key. */
async function handIn(
  kept: KeptChannel,
  token: Token,
  { options, io }: { readonly options: ChannelTokenOptions; readonly io: MoneyIo },
): Promise<void> {
  const gateway = openGateway(kept.file.url, options, io);
  try {
    await announce({ gateway, io }, kept);
    await gateway.raise(token);
  } finally {
    await gateway.end();
  }
}
