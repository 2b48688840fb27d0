/**
 * What a payer announces about a payment channel before paying from it, and keeps beside its key. Nobody takes an address
 * on somebody's word: whoever reads this computes the channel's address from it. Spec: ton-settlement §4.5, §4.6, §4.8.
 * @module
 */

import { z } from 'zod';
import { toBase64Url, toHex, type Bytes } from '../core/bytes.ts';
import type { JsonObject } from '../core/json.ts';
import { base64UrlField, hexField } from '../attestation/byte-fields.ts';

export interface ChannelTerms {
  /** CAIP-2, such as `tvm:-239`. */
  readonly network: string;
  /** Wallet that deposits and gets refunds, raw: `0:` and 64 lower-case hex digits. */
  readonly payer: string;
  /** Treasury of the gateway, raw. */
  readonly payee: string;
  /** Signs vouchers. */
  readonly payerKey: Bytes<32>;
  /** Signs charges. */
  readonly payeeKey: Bytes<32>;
  readonly withdrawDelayS: number;
  /** Fresh for every channel. */
  readonly salt: bigint;
}

export interface AnnouncedChannel {
  /** Account id of the contract in workchain 0. */
  readonly channel: Bytes<32>;
  readonly terms: ChannelTerms;
}

const U32_MAX = 0xffff_ffff;
const ADDRESS = z.string().regex(/^0:[0-9a-f]{64}$/, 'want 0: and 64 lower-case hex digits');
const SALT = z
  .string()
  .regex(/^(0|[1-9]\d{0,19})$/, 'want digits')
  .transform((digits) => BigInt(digits))
  .refine((salt) => salt < 1n << 64n, 'want 64 bits');

export const CHANNEL_TERMS = z.strictObject({
  network: z.string().regex(/^tvm:-?\d{1,10}$/, 'want tvm: and a network id'),
  payer: ADDRESS,
  payee: ADDRESS,
  payerKey: base64UrlField(32),
  payeeKey: base64UrlField(32),
  withdrawDelayS: z.int().min(0).max(U32_MAX),
  salt: SALT,
});

/** Body of `POST /v1/channels`, and the public half of a channel file. */
export const ANNOUNCED_CHANNEL = z.strictObject({ channel: hexField(32), terms: CHANNEL_TERMS });

export function channelTermsJson(terms: ChannelTerms): JsonObject {
  return {
    network: terms.network,
    payer: terms.payer,
    payee: terms.payee,
    payerKey: toBase64Url(terms.payerKey),
    payeeKey: toBase64Url(terms.payeeKey),
    withdrawDelayS: terms.withdrawDelayS,
    salt: terms.salt.toString(),
  };
}

export function announcedChannelJson({ channel, terms }: AnnouncedChannel): JsonObject {
  return { channel: toHex(channel), terms: channelTermsJson(terms) };
}

export const CHANNEL_FILE_FORMAT = 'veilgate.channel/1';
const PATH_MAX = 4096;
const URL_MAX = 512;

/**
 * A channel as its payer keeps it: which gateway it pays, its terms, and where the key lies that signs vouchers. Made by
 * `veilgate channel open`, read by the client. Holds no secret itself.
 */
export const CHANNEL_FILE = z.strictObject({
  fmt: z.literal(CHANNEL_FILE_FORMAT),
  /** `gw1.…`: the only gateway that this channel pays. */
  gateway: z.string().regex(/^gw1\.[A-Za-z0-9_-]{43}$/, 'want gw1. and 43 base64url characters'),
  /** Origin. */
  url: z.url({ protocol: /^https?$/ }).max(URL_MAX),
  channel: hexField(32),
  terms: CHANNEL_TERMS,
  /** 32 bytes, owner-only; relative to this file. */
  keyFile: z.string().min(1).max(PATH_MAX),
});
export type ChannelFile = z.output<typeof CHANNEL_FILE>;
