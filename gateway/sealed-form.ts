/**
 * The forms in which sealed requests come: SX/1, and EHBP for clients that speak nothing else. Dispatch is one for all of
 * them; what differs is here. Spec: P§3, P§10; docs/ehbp.md.
 * @module
 */

import type { Bytes } from '../core/bytes.ts';
import type { ReadHeaders } from '../core/node/http-client.ts';
import type { AttestedKey } from '../attestation/verdict.ts';
import { parseEhbpEnvelope } from '../protocol/ehbp/envelope.ts';
import {
  ANSWER_HEADERS,
  EHBP_LINK_PATH,
  EHBP_LINK_REQUEST_TYPE,
  EHBP_LINK_RESPONSE_TYPE,
  STATUS_HEADER,
} from '../protocol/ehbp/names.ts';
import { EhbpRelay } from '../protocol/ehbp/relay.ts';
import type { ReceiptKey } from '../protocol/sx/check-receipt.ts';
import {
  parseClearRequest,
  ResponseRelay,
  type ClearRequest,
  type Relay,
} from '../protocol/sx/clear.ts';
import type { LiveWorker, WorkerRegistry } from './workers/registry.ts';

/** What a form leaves outside of the seal: the worker's word, unauthenticated. */
export interface OpenHead {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export interface SealedForm {
  /** Where and as what it goes to the worker, and what comes back. */
  readonly link: LinkForm;
  /** Throws `sx.refused`, `sx.unsupported`. */
  readonly parse: (bytes: Uint8Array) => ClearRequest;
  readonly find: (
    registry: WorkerRegistry,
    kid: Uint8Array,
    request: ClearRequest,
  ) => LiveWorker | undefined;
  /** Of an attested key what receipts of this form are held against; undefined for a worker without a key of this form. */
  readonly receiptKey: (key: AttestedKey) => ReceiptKey | undefined;
  readonly relay: (kid: Bytes<16>, request: ClearRequest) => Relay;
  /** Absent: nothing is outside. Undefined: not what the link may say. */
  readonly openHead?: (headers: ReadHeaders) => OpenHead | undefined;
}

export interface LinkForm {
  readonly path: string;
  readonly requestType: string;
  readonly responseType: string;
}

export const SX_FORM: SealedForm = {
  link: {
    path: '/sx/v1/exchange',
    requestType: 'application/vnd.sx1.req',
    responseType: 'application/vnd.sx1.res',
  },
  parse: parseClearRequest,
  find: (registry, kid, { prelude }) => {
    const worker = registry.byKid(kid);
    return worker?.key.kem === prelude.kem ? worker : undefined;
  },
  receiptKey: (key) => key,
  relay: (kid, { prelude }) => new ResponseRelay(kid, prelude.flags),
};

export const EHBP_FORM: SealedForm = {
  link: {
    path: EHBP_LINK_PATH,
    requestType: EHBP_LINK_REQUEST_TYPE,
    responseType: EHBP_LINK_RESPONSE_TYPE,
  },
  parse: (bytes) => {
    const { prelude, kid, th } = parseEhbpEnvelope(bytes);
    return { prelude, kids: [kid], th };
  },
  find: (registry, kid) => registry.byEhbpKid(kid),
  receiptKey: (key) => (key.ehbp === undefined ? undefined : { ...key, kid: key.ehbp.kid }),
  relay: (kid) => new EhbpRelay(kid),
  openHead: readOpenHead,
};

/** What an answer of a worker can be; a redirect, or a status that has no body, is none. */
const STATUS = /^(200|[45]\d\d)$/;
/** A closed set: what a worker writes here reaches an app in the gateway's name. */
const VALUES: Readonly<Record<(typeof ANSWER_HEADERS)[number], RegExp>> = {
  'content-type': /^(application\/json|text\/event-stream(; charset=utf-8)?)$/,
  'retry-after': /^\d{1,6}$/,
  'retry-after-ms': /^\d{1,9}$/,
};

function readOpenHead(headers: ReadHeaders): OpenHead | undefined {
  const status = headers[STATUS_HEADER];
  if (typeof status !== 'string' || !STATUS.test(status)) return undefined;
  const fields: [string, string][] = [];
  for (const name of ANSWER_HEADERS) {
    const value = headers[`ehbp-${name}`];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !VALUES[name].test(value)) return undefined;
    fields.push([name, value]);
  }
  return { status: Number(status), fields };
}
