/**
 * From the option `pay` to somebody who pays: a channel file where there is a file system, or its parts anywhere.
 * @module
 */

import { ed25519PublicKey } from '#primitives';
import { equalPublic } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { AMOUNT_MAX } from '../../settlement/money.ts';
import { clientError } from '../errors.ts';
import { CHUNK_TOKENS_MAX } from '../limits.ts';
import { ChannelAccount, type CeilingPolicy, type ChannelKeys } from './account.ts';
import { Payer, type HeldBack, type PayFault } from './payer.ts';
import type { CountTokens } from './recount.ts';

/** A channel without files: for browsers, and for apps that keep keys elsewhere. */
export interface ChannelParts extends ChannelKeys {
  /** `aud` of the only gateway that this channel pays. */
  readonly gateway: string;
}

export interface PayTerms {
  /**
   * How far signatures run ahead of what is served, which is what a broken gateway can keep: the most that a request can
   * cost (default: `per-request`), a budget, or as an answer arrives one chunk and a half of it.
   */
  readonly policy?: CeilingPolicy;
  /** In nanoTON, over the whole life of the channel: no ceiling above it is ever signed. */
  readonly spendMax?: bigint;
  /** The model's own tokenizer: with it bills are recounted closely, else by bytes. */
  readonly countTokens?: CountTokens;
  /** Once a bill does not hold. Nothing is paid after it until somebody resumes deliberately. */
  readonly onFault?: (fault: PayFault) => void;
  /** Pay as you go: once per answer for which no more is signed although it goes on; the gateway ends it early. */
  readonly onHeldBack?: (heldBack: HeldBack) => void;
}

/** Made by `veilgate channel open`, as a path; or its parts. */
export type PayOption = PayTerms & ({ readonly channelFile: string } | ChannelParts);

export interface OpenedPayer {
  readonly payer: Payer;
  readonly gateway: string;
  /** Gives the channel file back. */
  close(): Promise<void>;
}

/** Throws `client.option`, `client.channel_file`. */
export async function openPayer(option: PayOption, clock: Clock): Promise<OpenedPayer> {
  const { policy = 'per-request', spendMax, countTokens, onFault, onHeldBack } = option;
  assertAmount(spendMax, 'pay.spendMax');
  assertPolicy(policy);
  const { parts, release } = await partsOf(option);
  try {
    if (!equalPublic(ed25519PublicKey(parts.secretKey), parts.terms.payerKey)) {
      throw clientError('client.channel_file', 'the key is not the one of the terms');
    }
    const account = await ChannelAccount.open(parts, { policy, spendMax }, clock);
    const payer = new Payer({ account, clock, countTokens, onFault, onHeldBack });
    const close = async (): Promise<void> => {
      await payer.close();
      release();
    };
    return { payer, gateway: parts.gateway, close };
  } catch (error) {
    release();
    throw error;
  }
}

function assertPolicy(policy: CeilingPolicy): void {
  if (policy === 'per-request') return;
  if ('session' in policy) {
    assertAmount(policy.session, 'pay.policy.session');
    return;
  }
  const { chunkTokens } = policy;
  const isSound =
    Number.isSafeInteger(chunkTokens) && chunkTokens >= 1 && chunkTokens <= CHUNK_TOKENS_MAX;
  if (isSound) return;
  throw clientError('client.option', `pay.policy.chunkTokens: want 1 to ${CHUNK_TOKENS_MAX}`);
}

/** Checked here too: most apps are not type-checked. */
function assertAmount(value: unknown, name: string): void {
  if (value === undefined && name === 'pay.spendMax') return;
  if (typeof value === 'bigint' && value >= 0n && value <= AMOUNT_MAX) return;
  throw clientError('client.option', `${name}: want a bigint of nanoTON`);
}

interface Parts {
  readonly parts: ChannelParts;
  readonly release: () => void;
}

async function partsOf(option: PayOption): Promise<Parts> {
  if (!('channelFile' in option)) return { parts: option, release: () => undefined };
  const { openChannelFile } = await import('../node/channel-file.ts');
  return openChannelFile(option.channelFile);
}
