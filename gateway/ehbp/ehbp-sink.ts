/**
 * An answer to an EHBP client. The status line waits for the first chunk, so that a failure before it is a status; after
 * it the connection breaks, because EHBP has no frame that could say so. What the gateway says in its own name is a
 * status and headers with an *empty* encrypted body: published clients pass that on as an HTTP error, where one in clear
 * would be a protocol error to them. Spec: EHBP §5.1, §5.3, §5.4.2; docs/ehbp.md "Errors".
 * @module
 */

import type { ServerResponse } from 'node:http';
import { randomBytes } from '#primitives';
import { toHex, type Bytes } from '../../core/bytes.ts';
import {
  KEY_CONFIG_PROBLEM,
  PROBLEM_STATUS,
  PROBLEM_TYPE,
  RESPONSE_NONCE_HEADER,
} from '../../protocol/ehbp/names.ts';
import { PAYMENT_RESPONSE_HEADER } from '../../settlement/x402.ts';
import { drained } from '../drained.ts';
import type { PaymentRefusal } from '../payments/cashier.ts';
import { paymentResponse, type Headers, type Settled } from '../payments/edge.ts';
import { clearErrorOf, edgeCode } from '../respond-clear.ts';
import type { SealedSink } from '../sealed-sink.ts';

/** The code of a refusal in the gateway's own name; its body has no room for it. */
export const ERROR_HEADER = 'sx-error';

export interface EhbpSinkOptions {
  readonly demand: (refusal: PaymentRefusal) => Headers;
  readonly network: string | undefined;
  /** Whether the payer is told what it cost. */
  readonly pays: boolean;
  readonly msgId: Bytes<16>;
}

export class EhbpSink implements SealedSink {
  readonly #response: ServerResponse;
  readonly #options: EhbpSinkOptions;
  #settled: Settled | undefined;
  #begin: (() => void) | undefined;

  constructor(response: ServerResponse, options: EhbpSinkOptions) {
    this.#response = response;
    this.#options = options;
  }

  head(kid: Uint8Array, open?: Parameters<SealedSink['head']>[1]): void {
    if (open === undefined) return;
    this.#begin = () => {
      this.#begin = undefined;
      this.#response.writeHead(open.status, {
        ...Object.fromEntries(open.fields),
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        [RESPONSE_NONCE_HEADER]: toHex(open.nonce),
        'sx-kid': toHex(kid),
        'x-request-id': `req_${toHex(this.#options.msgId)}`,
        ...this.#bill(),
      });
    };
  }

  write(bytes: Uint8Array): boolean {
    if (this.#response.destroyed) return true;
    this.#begin?.();
    return this.#response.write(bytes);
  }

  drain(): Promise<void> {
    return drained(this.#response);
  }

  settled(settled: Settled): void {
    this.#settled = settled;
  }

  end(): void {
    // An end without an answer is one that nobody waits for any more.
    if (this.#response.headersSent) this.#response.end();
    else this.#response.destroy();
  }

  cut(code: string): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.fail(code);
  }

  fail(code: string, refusal?: PaymentRefusal): void {
    const more = refusal === undefined ? {} : this.#options.demand(refusal);
    respondEhbpError(this.#response, code, more);
  }

  /** Where the answer is one piece, it is settled before its head leaves. */
  #bill(): Headers {
    const { pays, network } = this.#options;
    if (this.#settled === undefined || !pays) return {};
    return { [PAYMENT_RESPONSE_HEADER]: paymentResponse(this.#settled, network) };
  }
}

const NONCE_BYTES = 32;

/** Does nothing once an answer has begun or the client has left. */
export function respondEhbpError(response: ServerResponse, code: string, more: Headers = {}): void {
  if (response.headersSent || response.destroyed) return;
  if (code === 'sx.key_unknown') {
    response.writeHead(PROBLEM_STATUS, {
      'content-type': PROBLEM_TYPE,
      'cache-control': 'no-store',
      'x-should-retry': 'false',
      [ERROR_HEADER]: code,
    });
    response.end(JSON.stringify(KEY_CONFIG_PROBLEM));
    return;
  }
  const { status, headers } = clearErrorOf(code);
  response.writeHead(status, {
    ...headers,
    ...more,
    [RESPONSE_NONCE_HEADER]: toHex(randomBytes(NONCE_BYTES)),
    [ERROR_HEADER]: edgeCode(code),
  });
  response.end();
}
