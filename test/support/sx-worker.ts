/**
 * A worker that speaks real SX/1 over a real pinned link and answers what a test scripts, honest or not. Its evidence
 * comes from the simulator, so the gateway admits it the long way. @module
 */

import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { generateEd25519, signEd25519, randomBytes, type KeyPair } from '#primitives';
import {
  concat,
  fixed,
  fromBase64Url,
  toBase64,
  toHex,
  utf8,
  type Bytes,
} from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { createPinnedPool, fetchJson, type FetchedJson } from '../../core/node/http-client.ts';
import {
  encodeCard,
  ownerSignatureInput,
  parseCard,
  workerIdOf,
  type Card,
  type CardFields,
} from '../../attestation/card.ts';
import { encodeEvidence } from '../../attestation/evidence.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import type { SelfSigned } from '../../attestation/x509.ts';
import type { EvidenceProvider } from '../../enclave-worker/evidence/provider.ts';
import { makeEpoch, makeLinkKey, type Epoch } from '../../enclave-worker/keys.ts';
import { EHBP_LINK_PATH } from '../../protocol/ehbp/names.ts';
import { openEhbpRequest } from '../../protocol/ehbp/open.ts';
import { EhbpRecipients } from '../../protocol/ehbp/recipients.ts';
import { openRequest, type Opened, type OpenedRequest } from '../../protocol/sx/open.ts';
import { RecipientKeys } from '../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import { METER_HEADER } from '../../protocol/meter.ts';
import { parseSettled, type Settled } from '../../protocol/settled.ts';
import { FREE_PRICES } from './attested-key.ts';

export const DEMO_MODEL = 'veilgate-demo';
const DEMO_WEIGHTS = fixed(
  hex('197beee7c827ab974ec70d12a4381f779fafa9ad65ba48f7f0a42f2d168a28a3'),
  32,
);
export const DEMO_WORKLOAD = {
  image: fixed(hex('0154f175d9e080d8c8905eba27e441d4ae0d0a0e5c058a70fc12f135a0bb9291'), 32),
  config: fixed(hex('2238cd4238312b9b098786c649e704c17349ee857df7ec2df33d2006f47548d3'), 32),
};

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** What a scripted worker may do with one exchange. */
export interface Turn {
  readonly opened: OpenedRequest;
  readonly epoch: Epoch;
  readonly response: ServerResponse;
  /** What the gateway asked for on the link; 0: nothing. */
  readonly meterEvery: number;
}
export type Script =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'answer'; readonly act: (turn: Turn) => Promise<void> | void }
  /** Drops the connection before anything is answered. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' };

/** A turn with a request of an EHBP client. */
export interface EhbpTurn {
  readonly opened: Opened;
  readonly epoch: Epoch;
  readonly response: ServerResponse;
  /** As they came over the link. */
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Uint8Array;
}

export interface SxWorkerOptions {
  readonly provider: EvidenceProvider;
  readonly aud: string;
  readonly gatewayUrl: string;
  readonly script?: Script;
  readonly prices?: PriceList;
  readonly maxConcurrent?: number;
  readonly lifetimeS?: number;
  /** TON address on its card. */
  readonly payout?: string;
  /** Offers a key for EHBP, and does this with what comes for it. */
  readonly onEhbp?: (turn: EhbpTurn) => void;
  /** In place of the worker's own checks, which say 204. */
  readonly onNotice?: (notice: Settled) => number;
}

export interface SxWorker {
  readonly workerId: string;
  readonly epoch: Epoch;
  readonly port: number;
  readonly linkSpki: Bytes<32>;
  script: Script;
  /** Exchanges that reached it. */
  readonly seen: { count: number; aborted: number };
  readonly receipts: Map<string, Uint8Array>;
  /** Exchanges that the gateway asked to end early, in hex. */
  readonly stops: string[];
  /** What the gateway said it had settled. */
  readonly notices: Settled[];
  registration(): object;
  register(): Promise<FetchedJson>;
  leave(): Promise<FetchedJson>;
  close(): Promise<void>;
}

/** Opens, answers `text` as one DATA frame per piece, receipt, FINAL. */
export function answering(...pieces: readonly string[]): Script {
  return {
    kind: 'answer',
    act: ({ opened, epoch, response }) => {
      const { responder } = opened;
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(200, [['content-type', 'application/json']]));
      for (const piece of pieces) response.write(responder.data(utf8(piece)));
      response.write(receiptOf(opened, epoch).bytes);
      response.end(responder.final());
    },
  };
}

export function receiptOf(opened: Opened, epoch: Epoch, completion = 1) {
  const nowMs = systemClock();
  return opened.responder.receipt({
    signer: epoch.signer,
    policyDigest: opened.inner.kind === 'request' ? opened.inner.policyDigest : randomBytes(32),
    usage: { prompt: 1, cached: 0, completion, reasoning: 0 },
    outcome: 'ok',
    startMs: nowMs,
    endMs: nowMs,
  });
}

export function demoCard(
  owner: Bytes<32>,
  { maxConcurrent = 64, prices = FREE_PRICES, payout }: Partial<SxWorkerOptions> = {},
): CardFields {
  return {
    owner,
    model: { id: DEMO_MODEL, contextLength: 192, capabilities: ['chat'], weights: DEMO_WEIGHTS },
    limits: { maxPromptTokens: 128, maxOutputTokens: 128, maxConcurrent },
    prices,
    payout: payout ?? null,
  };
}

export async function startSxWorker(options: SxWorkerOptions): Promise<SxWorker> {
  const owner = generateEd25519();
  const cardBytes = encodeCard(demoCard(owner.publicKey, options));
  const card = parseCard(cardBytes);
  const linkKey = await makeLinkKey(systemClock());
  const pool = createPinnedPool({ origin: options.gatewayUrl, trust: { kind: 'loopback' } });
  const challenge = await fetchChallenge(pool);
  const epoch = await makeEpoch(
    {
      kem: 'X-Wing',
      lifetimeS: options.lifetimeS ?? 3600,
      nowMs: systemClock(),
      aud: options.aud,
      challenge,
      workload: DEMO_WORKLOAD,
      card,
      cardBytes,
      provider: options.provider,
      linkKey,
      ehbp: options.onEhbp === undefined ? 'off' : 'offer',
    },
    AbortSignal.timeout(10_000),
  );
  return serveEpoch({ options, owner, card, linkKey, epoch, pool });
}

async function fetchChallenge(pool: ReturnType<typeof createPinnedPool>): Promise<Bytes<32>> {
  const { json } = await fetchJson(pool, {
    method: 'POST',
    path: '/v1/workers/challenge',
    json: {},
    maxBytes: 4096,
    timeoutMs: 5000,
  });
  if (typeof json === 'object' && json !== null && 'challenge' in json) {
    return fixed(fromBase64Url(String(json.challenge)), 32);
  }
  throw new Error('no challenge');
}

interface Serving {
  readonly options: SxWorkerOptions;
  readonly owner: KeyPair;
  readonly card: Card;
  readonly linkKey: SelfSigned;
  readonly epoch: Epoch;
  readonly pool: ReturnType<typeof createPinnedPool>;
}

async function serveEpoch(serving: Serving): Promise<SxWorker> {
  const { options, owner, card, linkKey, epoch, pool } = serving;
  const keys = new RecipientKeys();
  keys.add({
    statementHash: epoch.statementHash,
    pair: epoch.recipient,
    expiresAtMs: epoch.expiresAtMs,
  });
  const replay = new ReplaySet();
  const seen = { count: 0, aborted: 0 };
  const receipts = new Map<string, Uint8Array>();
  const notices: Settled[] = [];
  const stops: string[] = [];
  const { onNotice = () => 204 } = options;
  let script: Script = options.script ?? answering('{"ok":true}');
  const recipients = new EhbpRecipients();
  const { statementHash, expiresAtMs } = epoch;
  if (epoch.ehbp !== undefined) recipients.add({ statementHash, expiresAtMs, ...epoch.ehbp });
  const onEhbp: Routed['onEhbp'] = (bytes, request, response) => {
    seen.count++;
    response.once('close', () => {
      if (!response.writableFinished) seen.aborted++;
    });
    let opened: Opened;
    try {
      opened = openEhbpRequest(bytes, { recipients, nowMs: systemClock(), admit: () => {} });
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      response.writeHead(error.spec.status, { 'content-length': 0 }).end();
      return;
    }
    options.onEhbp?.({ opened, epoch, response, headers: request.headers, bytes });
  };
  const onExchange: Routed['onExchange'] = (bytes, response, meterEvery) => {
    seen.count++;
    response.once('close', () => {
      if (!response.writableFinished) seen.aborted++;
    });
    if (script.kind === 'status') response.writeHead(script.status, { 'content-length': 0 }).end();
    if (script.kind === 'reset') response.destroy();
    if (script.kind !== 'answer') return;
    const opened = openRequest(bytes, { keys, replay, nowMs: systemClock(), admit: () => {} });
    void script.act({ opened, epoch, response, meterEvery });
  };
  const server = createServer(
    {
      cert: linkKey.certificatePem,
      key: linkKey.privateKeyPem,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    },
    (request, response) =>
      route(request, response, { receipts, notices, stops, onExchange, onEhbp, onNotice }),
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const port = portOf(server);
  const registration = () => ({
    evidence: encodeEvidence(epoch.evidence),
    endpoint: `https://127.0.0.1:${port}`,
    ownerSignature: toBase64(
      signEd25519(owner.secretKey, ownerSignatureInput(epoch.statementHash)),
    ),
  });
  const workerId = toHex(workerIdOf(card.owner));
  const call = (method: 'POST' | 'DELETE', path: string, json: object) =>
    fetchJson(pool, { method, path, json, maxBytes: 1_000_000, timeoutMs: 10_000 });
  return {
    workerId,
    epoch,
    port,
    linkSpki: linkKey.spkiSha256,
    seen,
    receipts,
    notices,
    stops,
    get script() {
      return script;
    },
    set script(next: Script) {
      script = next;
    },
    registration,
    register: () => call('POST', '/v1/workers', registration()),
    leave: () =>
      call('DELETE', `/v1/workers/${workerId}`, {
        statementHash: toHex(epoch.statementHash),
        signature: toBase64(epoch.signLeave()),
      }),
    close: async () => {
      await pool.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return address.port;
}

interface Routed {
  readonly receipts: ReadonlyMap<string, Uint8Array>;
  readonly notices: Settled[];
  readonly stops: string[];
  readonly onExchange: (bytes: Uint8Array, response: ServerResponse, meterEvery: number) => void;
  readonly onEhbp: (bytes: Uint8Array, request: IncomingMessage, response: ServerResponse) => void;
  readonly onNotice: (notice: Settled) => number;
}

function route(request: IncomingMessage, response: ServerResponse, routed: Routed): void {
  const { receipts, notices, stops, onExchange } = routed;
  const { url = '' } = request;
  if (url === '/healthz') {
    response.writeHead(200, { 'content-length': 0 }).end();
    return;
  }
  if (request.method === 'GET') {
    const isPage = url.startsWith('/sx/v1/receipts?');
    const after = new URL(url, 'https://worker.invalid').searchParams.get('after');
    const page = concat(...(after === '0' ? receipts.values() : []));
    const receipt = isPage ? page : receipts.get(url.slice('/sx/v1/receipts/'.length));
    response.writeHead(receipt === undefined ? 404 : 200).end(receipt);
    return;
  }
  const chunks: Uint8Array[] = [];
  request.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  request.on('end', () => {
    const stop = /^\/sx\/v1\/exchanges\/([0-9a-f]{32})\/stop$/.exec(url)?.[1];
    if (stop !== undefined) {
      stops.push(stop);
      response.writeHead(204).end();
      return;
    }
    if (url === EHBP_LINK_PATH) {
      routed.onEhbp(concat(...chunks), request, response);
      return;
    }
    if (url !== '/sx/v1/settled') {
      onExchange(concat(...chunks), response, Number(request.headers[METER_HEADER] ?? 0));
      return;
    }
    const notice = parseSettled(concat(...chunks));
    notices.push(notice);
    response.writeHead(routed.onNotice(notice)).end();
  });
}
