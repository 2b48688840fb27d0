/**
 * The way to one worker under one statement: a pool of TLS connections that carry bytes only after the worker has shown
 * the key of its statement, and on which the gateway shows its own identity. Spec: overview "Identities".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import {
  createPinnedPool,
  fetchBytes,
  type ClientCertificate,
  type StreamHandler,
} from '../../core/node/http-client.ts';
import { METER_HEADER } from '../../protocol/meter.ts';
import { RECEIPT_BYTES } from '../../protocol/receipt.ts';
import { SETTLED_TYPE } from '../../protocol/settled.ts';
import {
  ACKNOWLEDGE_TIMEOUT_MS,
  FIRST_SEALED_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  MISSED_RECEIPTS_PAGE,
  PROBE_TIMEOUT_MS,
  RECEIPT_FETCH_TIMEOUT_MS,
  WORKER_CONNECT_TIMEOUT_MS,
  WORKER_CONNECTIONS_MAX,
  WORKER_CONTROL_CONNECTIONS_MAX,
} from '../limits.ts';
import type { LinkForm } from '../sealed-form.ts';

export interface LinkOptions {
  /** `https://host:port`. */
  readonly endpoint: string;
  /** The address that passed the rules at registration: a name that later resolves elsewhere changes nothing. */
  readonly address: string;
  readonly tlsSpkiSha256: Bytes<32>;
  readonly identity: ClientCertificate;
}

export interface WorkerLink {
  exchange(sealed: Uint8Array, handler: StreamHandler, options: ExchangeOptions): { abort(): void };
  /** The receipt payload, or undefined when the worker has none. Throws `http.*`. */
  fetchReceipt(msgId: Bytes<16>, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Payloads of receipts after this one, oldest first, one after the other. Throws `http.*`. */
  fetchReceiptsAfter(
    statementHash: Bytes<32>,
    afterSeq: bigint,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** A notice of settlement (protocol/settled.ts). Returns the worker's status. Throws `http.*`. */
  sendSettled(notice: Uint8Array, signal: AbortSignal): Promise<number>;
  /**
   * Ends an exchange that runs early, with what it has: `finish_reason` is "length", and the receipt comes as ever. False
   * when no such exchange runs. Throws `http.*`.
   */
  stop(msgId: Bytes<16>, signal: AbortSignal): Promise<boolean>;
  /** `unwell`: the pinned key answers, but the worker says it cannot serve. */
  probe(signal: AbortSignal): Promise<'well' | 'unwell' | 'gone'>;
  /** Lets running exchanges finish. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export interface ExchangeOptions {
  readonly form: LinkForm;
  /** Ask for a METER frame after every so many tokens of output. */
  readonly meterEvery?: number;
}

const NO_BODY_MAX_BYTES = 4096;

export function createLink(options: LinkOptions): WorkerLink {
  const peer = {
    origin: options.endpoint,
    address: options.address,
    trust: { kind: 'spki', sha256: [options.tlsSpkiSha256] },
    clientCertificate: options.identity,
    connectTimeoutMs: WORKER_CONNECT_TIMEOUT_MS,
  } as const;
  const pool = createPinnedPool({
    ...peer,
    connectionsMax: WORKER_CONNECTIONS_MAX,
    // Behind the deadlines of dispatch, which know the request.
    headersTimeoutMs: FIRST_SEALED_TIMEOUT_MS * 2,
    bodyTimeoutMs: IDLE_TIMEOUT_MS * 2,
  });
  // Of its own: when every connection carries an answer, one of them must still be stoppable.
  const control = createPinnedPool({ ...peer, connectionsMax: WORKER_CONTROL_CONNECTIONS_MAX });
  return {
    exchange: (sealed, handler, { form, meterEvery }) => {
      const { path, requestType, responseType } = form;
      const meter = meterEvery === undefined ? {} : { [METER_HEADER]: String(meterEvery) };
      const headers = { 'content-type': requestType, accept: responseType, ...meter };
      return pool.stream({ method: 'POST', path, headers, body: sealed }, handler);
    },
    fetchReceipt: async (msgId, signal) => {
      const answer = await fetchBytes(pool, {
        method: 'GET',
        path: `/sx/v1/receipts/${toHex(msgId)}`,
        headers: {},
        maxBytes: RECEIPT_BYTES,
        timeoutMs: RECEIPT_FETCH_TIMEOUT_MS,
        signal,
      });
      return answer.status === 200 ? answer.body : undefined;
    },
    fetchReceiptsAfter: async (statementHash, afterSeq, signal) => {
      const answer = await fetchBytes(control, {
        method: 'GET',
        path: `/sx/v1/receipts?after=${afterSeq}&statement=${toHex(statementHash)}`,
        headers: {},
        maxBytes: RECEIPT_BYTES * MISSED_RECEIPTS_PAGE,
        timeoutMs: RECEIPT_FETCH_TIMEOUT_MS,
        signal,
      });
      return answer.status === 200 ? answer.body : new Uint8Array();
    },
    sendSettled: async (notice, signal) => {
      const answer = await fetchBytes(control, {
        method: 'POST',
        path: '/sx/v1/settled',
        headers: { 'content-type': SETTLED_TYPE },
        body: notice,
        maxBytes: NO_BODY_MAX_BYTES,
        timeoutMs: ACKNOWLEDGE_TIMEOUT_MS,
        signal,
      });
      return answer.status;
    },
    stop: async (msgId, signal) => {
      const answer = await fetchBytes(control, {
        method: 'POST',
        path: `/sx/v1/exchanges/${toHex(msgId)}/stop`,
        headers: {},
        maxBytes: NO_BODY_MAX_BYTES,
        timeoutMs: RECEIPT_FETCH_TIMEOUT_MS,
        signal,
      });
      return answer.status === 204;
    },
    probe: async (signal) => {
      try {
        const answer = await fetchBytes(pool, {
          method: 'GET',
          path: '/healthz',
          headers: {},
          maxBytes: NO_BODY_MAX_BYTES,
          timeoutMs: PROBE_TIMEOUT_MS,
          signal,
        });
        return answer.status === 200 ? 'well' : 'unwell';
      } catch {
        // Unreachable, or another key: both mean not there.
        return 'gone';
      }
    },
    close: async () => {
      await Promise.all([pool.close(), control.close()]);
    },
    destroy: async () => {
      await Promise.all([pool.destroy(), control.destroy()]);
    },
  };
}
