/**
 * Payment at an SDK's edge: a refusal as the OpenAI error that a 402 carries, a settlement as JSON and as a header.
 * Spec: ton-settlement §4.5; openai-gateway-and-engine §2.5.
 * @module
 */

import { toBase64, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { openAiError, type OpenAiFailure } from '../../protocol/openai/errors.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { Asset } from '../../settlement/money.ts';
import { parseStatementUnverified } from '../../settlement/statement.ts';
import { encodePaymentResponse } from '../../settlement/x402.ts';
import { edgeCode, RETRY_SOON, specOf } from '../respond-clear.ts';

/** What one request came to. */
export interface Settled {
  readonly receipt: SignedReceipt;
  /** VGS1 ‖ signature. */
  readonly line: Bytes<230>;
  readonly asset: Asset;
}

export type Headers = Readonly<Record<string, string>>;

/** The error of `payment.*` in OpenAI's shape, with the ledger's own word as code. */
export function paymentFailure(code: string, headers: Headers = {}): OpenAiFailure {
  const { status, public: message, recovery } = specOf(code);
  const type = status === 402 ? 'payment_required' : 'permission_error';
  const retry: OpenAiFailure['headers'] =
    recovery === 'retry_later' ? Object.entries(RETRY_SOON) : [['x-should-retry', 'false']];
  return {
    ...openAiError(status, type, edgeCode(code), message),
    headers: [...retry, ...Object.entries(headers)],
  };
}

/** Undefined for an error that has nothing to do with payment. */
export function paymentFailureOf(error: unknown): OpenAiFailure | undefined {
  if (!(error instanceof VeilError) || !error.code.startsWith('payment.')) return undefined;
  return paymentFailure(error.code);
}

/** `x_settlement` of the last event, and what `/v1/settlements` says of a settled request. */
export function settledJson({ receipt, line, asset }: Settled): JsonObject {
  const { statement } = parseStatementUnverified(line);
  return {
    requestId: toHex(statement.requestId),
    state: 'settled',
    account: toHex(statement.channel),
    asset,
    amount: statement.amount.toString(),
    cum: statement.cum.toString(),
    n: statement.n.toString(),
    epoch: statement.epoch,
    atMs: statement.atMs,
    receipt: toBase64(receipt.payload),
    statement: toBase64(line),
  };
}

/** Value of PAYMENT-RESPONSE. `network`: of a gateway that takes channels. */
export function paymentResponse({ receipt, line }: Settled, network: string | undefined): string {
  const statement = parseStatementUnverified(line);
  return encodePaymentResponse({
    statement,
    receipt,
    ...(network === undefined ? {} : { network }),
  });
}
