/**
 * Asks a gateway what became of a request. Its word alone decides nothing that costs: what is signed in it does.
 * Spec: ton-settlement §4.5 "Endpoints".
 * @module
 */

import { z } from 'zod';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { base64Field } from '../../attestation/byte-fields.ts';
import { RECEIPT_BYTES } from '../../protocol/receipt.ts';
import { LEDGER_FRAME_MAX_BYTES } from '../../protocol/sx/limits.ts';
import type { Token } from '../../settlement/token.ts';
import { paymentHeaders } from '../../settlement/x402.ts';
import { fetchBounded, type Fetch } from '../fetch-bounded.ts';
import { SETTLEMENT_MAX_BYTES } from '../limits.ts';

export type SettlementWord =
  /** Unverified: signature ‖ VGR1, and VGS1 ‖ signature. */
  | { readonly state: 'settled'; readonly receipt: Uint8Array; readonly line: Uint8Array }
  | { readonly state: 'reserved' | 'released' }
  /** The gateway knows no such request, or no such channel. */
  | { readonly state: 'unknown' }
  /** Nobody answered, or not what was asked. */
  | { readonly state: 'silent' };

/** Rejects only with what is not ours. */
export type AskSettlement = (
  requestId: Bytes<16>,
  shown: Token,
  signal: AbortSignal,
) => Promise<SettlementWord>;

/** Whatever else a gateway says beside it is signed nowhere and read by nobody. */
const ANSWER = z.discriminatedUnion('state', [
  z.looseObject({
    state: z.literal('settled'),
    requestId: z.string().max(64),
    receipt: base64Field(RECEIPT_BYTES),
    statement: base64Field(LEDGER_FRAME_MAX_BYTES),
  }),
  z.looseObject({ state: z.enum(['reserved', 'released']), requestId: z.string().max(64) }),
]);

const SILENT: SettlementWord = { state: 'silent' };
const UNKNOWN_CHANNEL = 'channel_unknown';
/** Its own words: a path that somebody on the way does not let through knows nothing. */
const UNKNOWN: readonly unknown[] = ['unknown_url', UNKNOWN_CHANNEL];

export function askOver(fetch: Fetch, gatewayUrl: string): AskSettlement {
  return async (requestId, shown, signal) => {
    const name = toHex(requestId);
    const request = {
      headers: { ...paymentHeaders(shown) },
      maxBytes: SETTLEMENT_MAX_BYTES,
      alsoKept: [UNKNOWN_CHANNEL],
      signal,
    };
    try {
      return read(await fetchBounded(fetch, `${gatewayUrl}/v1/settlements/${name}`, request), name);
    } catch (error) {
      if (signal.aborted) return SILENT;
      if (!(error instanceof VeilError)) throw error;
      return UNKNOWN.includes(error.facts['refusedCode']) ? { state: 'unknown' } : SILENT;
    }
  };
}

/** Throws what strict JSON throws. */
function read(bytes: Uint8Array, name: string): SettlementWord {
  const decoded = ANSWER.safeParse(parseJson(bytes, SETTLEMENT_MAX_BYTES));
  if (!decoded.success || decoded.data.requestId !== name) return SILENT;
  const { data } = decoded;
  if (data.state !== 'settled') return { state: data.state };
  return { state: 'settled', receipt: data.receipt, line: data.statement };
}
