/**
 * What an EHBP request may use and cost. The gateway cannot read what it asks for, so the bounds are the worker's own, or
 * lower ones that the app says in headers; the worker enforces them. Spec: docs/ehbp.md "What it costs".
 * @module
 */

import type { IncomingHttpHeaders } from 'node:http';
import { fixed, type Bytes } from '../../core/bytes.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { ehbpMessageId } from '../../protocol/ehbp/envelope.ts';
import { EMBEDDINGS_PATH, type EndpointPath } from '../../protocol/openai/endpoints.ts';
import { CHOICES_MAX } from '../../protocol/openai/envelope.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import { payerRefOf, routeTag, type Prelude } from '../../protocol/sx/prelude.ts';
import { ceilingOf } from '../../settlement/price.ts';
import type { Account } from '../accounts.ts';
import { gatewayError } from '../errors.ts';
import {
  EHBP_AMOUNT_DEFAULT_MAX,
  EHBP_DEADLINE_MS,
  EHBP_TEMPLATE_TOKENS,
  EHBP_TTL_S,
} from './limits.ts';

/** Tokens of all prompts, and of all choices together. */
export const MAX_PROMPT_HEADER = 'x-vg-max-prompt';
export const MAX_OUTPUT_HEADER = 'x-vg-max-output';
/** In the asset's atomic unit. */
export const MAX_AMOUNT_HEADER = 'x-vg-max-amount';

const U32_MAX = 0xffff_ffffn;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const NOBODY = fixed(new Uint8Array(32), 32);

export interface AskedBounds {
  readonly maxPrompt: bigint | undefined;
  readonly maxOutput: bigint | undefined;
  readonly maxAmount: bigint | undefined;
}

/** Throws `gateway.body` for what is there and no number: whoever asked for a bound must not get a wider one. */
export function askedBounds(headers: IncomingHttpHeaders): AskedBounds {
  return {
    maxPrompt: numberOf(headers, MAX_PROMPT_HEADER, U32_MAX),
    maxOutput: numberOf(headers, MAX_OUTPUT_HEADER, U32_MAX),
    maxAmount: numberOf(headers, MAX_AMOUNT_HEADER, U64_MAX),
  };
}

function numberOf(headers: IncomingHttpHeaders, name: string, max: bigint): bigint | undefined {
  const text = headers[name];
  if (text === undefined) return undefined;
  const value = typeof text === 'string' && /^[1-9]\d{0,19}$/.test(text) ? BigInt(text) : 0n;
  if (value < 1n || value > max) throw gatewayError('gateway.body', name);
  return value;
}

export interface EhbpFacts {
  readonly key: AttestedKey;
  readonly kid: Bytes<16>;
  readonly enc: Bytes<32>;
  readonly path: EndpointPath;
  readonly bodyBytes: number;
  readonly account: Account;
  readonly asked: AskedBounds;
  readonly nowMs: number;
}

/** What a client of SX/1 says itself. Throws `sx.price` where the worker at these bounds is dearer than allowed. */
export function ehbpPrelude(facts: EhbpFacts): Prelude {
  const { key, kid, enc, path, bodyBytes, account, asked, nowMs } = facts;
  const { prices, limits, model } = key;
  const maxPrompt = least(
    asked.maxPrompt,
    Math.min(bodyBytes + EHBP_TEMPLATE_TOKENS, limits.maxPromptTokens),
  );
  const maxOutput = path === EMBEDDINGS_PATH ? 1 : outputBound(asked, limits.maxOutputTokens);
  const maxAmount = ceilingOf(prices, maxPrompt, maxOutput);
  const allowed = asked.maxAmount ?? EHBP_AMOUNT_DEFAULT_MAX[prices.asset];
  if (maxAmount > allowed || maxAmount > U64_MAX) throw sxError('sx.price');
  const msgId = ehbpMessageId(kid, enc);
  return {
    recipientCount: 1,
    // Whether it streams is inside. Not said, nobody paces a payment by it.
    flags: { stream: false, constantRate: false, singleRecipient: true, receiptRequired: true },
    msgId,
    issuedAtMs: nowMs,
    ttlS: EHBP_TTL_S,
    deadlineMs: EHBP_DEADLINE_MS,
    kem: 'X25519',
    routeTag: routeTag(model.id),
    maxAmount,
    maxPrompt,
    maxOutput,
    asset: prices.asset === 'TON' ? 0 : 1,
    payerRef: payerRefOf(account.payer ?? NOBODY, msgId),
  };
}

/** Unless the app says how many choices' worth, there is room for one. */
function outputBound({ maxOutput }: AskedBounds, perChoice: number): number {
  if (maxOutput === undefined) return perChoice;
  return least(maxOutput, Math.min(perChoice * CHOICES_MAX, Number(U32_MAX)));
}

function least(asked: bigint | undefined, most: number): number {
  return asked === undefined || asked > BigInt(most) ? most : Number(asked);
}
