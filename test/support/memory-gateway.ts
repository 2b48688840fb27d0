/**
 * A gateway and its workers in memory, behind `fetch`: real evidence, real appraisal, real sealing and opening, and no
 * network or model, so that an attack can change any byte at any place. Time stands at the evidence's instant.
 * @module
 */

import { generateEd25519, signEd25519 } from '#primitives';
import { fromUtf8, toHex, utf8 } from '../../core/bytes.ts';
import { manualClock, type Clock } from '../../core/clock.ts';
import { parseJson, type Json } from '../../core/json.ts';
import { VeilError } from '../../core/errors.ts';
import { cardDigestOf, encodeCard, workerIdOf } from '../../attestation/card.ts';
import { encodeEvidence, type EvidenceJson } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { statementHash } from '../../attestation/statement.ts';
import type { KemName, PriceList } from '../../attestation/verdict.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import { audOf, NO_SETTLEMENT, signGatewayDocument } from '../../protocol/gateway-document.ts';
import { generateHpkeKeyPair } from '../../protocol/hpke.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { ReceiptSigner, type Usage } from '../../protocol/receipt.ts';
import { openRequest, type OpenedRequest } from '../../protocol/sx/open.ts';
import { METER_BYTES, parseMeterUnverified, type Meter } from '../../protocol/meter.ts';
import { FRAME, HEADER_BYTES } from '../../protocol/sx/frames.ts';
import { RecipientKeys } from '../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import { FREE_PRICES } from './attested-key.ts';
import { memoryBooks, type MemoryBooks } from './memory-books.ts';
import { MemoryPublication, type StapleJson } from './memory-publication.ts';
import { createTestPki, NOW_MS, type TestPki } from './tdx/pki.ts';
import {
  buildEvidence,
  TEST_WORKLOAD,
  testCard,
  testPolicy,
  TEST_RULE,
} from './worker-evidence.ts';

export const MODEL = 'test/model';
export const PROMPT = 'a prompt that nobody else may read';

export interface MemoryWorker {
  readonly workerId: string;
  readonly kid: string;
  readonly evidence: EvidenceJson;
  /** Bodies this worker opened. */
  readonly opened: Uint8Array[];
  /** The worker's whole side: sealed request to the pieces of its answer, or a bare refusal. Throws `sx.*`. */
  readonly serve: (sealed: Uint8Array) => readonly Uint8Array[];
}

export interface WorkerInput {
  readonly kem?: KemName;
  readonly prices?: PriceList;
  readonly answer?: Answer;
  /** What its receipts count. */
  readonly usage?: Usage;
  /** Runs an image that no policy lists. */
  readonly unlisted?: boolean;
  readonly issuedAgoS?: number;
  /** What Intel says of its platform, in the vendor's number of the evaluation; 19 unless said. */
  readonly evaluationNumber?: number;
}

/** What the model says. Status and type go into the sealed head. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  /** A number is a METER after so many tokens of output. */
  readonly pieces: readonly (string | number)[];
}

export const JSON_ANSWER: Answer = {
  status: 200,
  type: 'application/json',
  pieces: [
    JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: MODEL,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'whole answer' },
          finish_reason: 'stop',
        },
      ],
    }),
  ],
};

function chunk(delta: object, finish: string | null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: MODEL,
    choices,
  })}\n\n`;
}

export const STREAM_ANSWER: Answer = {
  status: 200,
  type: 'text/event-stream; charset=utf-8',
  pieces: [
    chunk({ role: 'assistant', content: '' }, null),
    chunk({ content: 'whole ' }, null),
    chunk({ content: 'answer' }, null),
    chunk({}, 'stop'),
    'data: [DONE]\n\n',
  ],
};

const WORD = 'word ';

/** A stream of so many tokens, a METER behind each `step` of them. */
export function meteredAnswer(tokens: number, step: number): Answer {
  const pieces: (string | number)[] = [chunk({ role: 'assistant', content: '' }, null)];
  for (let made = 0; made < tokens; made += step) {
    const now = Math.min(step, tokens - made);
    pieces.push(chunk({ content: WORD.repeat(now) }, null));
    if (now === step) pieces.push(made + step);
  }
  return {
    status: 200,
    type: STREAM_ANSWER.type,
    pieces: [...pieces, chunk({}, 'stop'), 'data: [DONE]\n\n'],
  };
}

/** What the network may do to an exchange. Absent means: nothing. */
export interface Mischief {
  gateway?: (json: unknown) => unknown;
  evidence?: (list: { candidates: object[]; publication: StapleJson | null }) => unknown;
  /** A published document on its way, by its name. */
  document?: (name: string, bytes: Uint8Array | undefined) => Uint8Array | undefined;
  /** The sealed request on its way to the workers. */
  request?: (sealed: Uint8Array) => Uint8Array;
  /** The answer on its way back, piece by piece as the worker wrote it. */
  answer?: (pieces: readonly Uint8Array[]) => readonly Uint8Array[];
  /** In place of everything: the gateway's own answer. */
  respond?: (sealed: Uint8Array) => Response;
  /** Which worker gets the request; default: the first that can open it. */
  route?: (workers: readonly MemoryWorker[]) => readonly MemoryWorker[];
  /** Of an answer that is paid as it goes, after each METER that was sent on. Absent: until the payer has followed. */
  pace?: (meter: Meter, honest: () => Promise<void>) => Promise<void>;
  /** Waited for between the admission of a paid request and its worker. */
  hold?: () => Promise<void>;
}

export interface MemoryGateway {
  readonly fetch: Fetch;
  readonly policy: CompiledPolicy;
  readonly aud: string;
  readonly clock: Clock;
  readonly advance: (ms: number) => void;
  readonly workers: MemoryWorker[];
  readonly mischief: Mischief;
  /** Paths asked for, in order. */
  readonly asked: string[];
  /** Everything that left the client, as text: bodies and headers. */
  readonly sent: Uint8Array[];
  /** Where it was asked for: a ledger, and one channel. */
  readonly books?: MemoryBooks;
  /** Undefined until `publish` was called: an unsigned policy, which every client brings itself. */
  readonly publication?: MemoryPublication;
  /** The gateway's policy, signed, under root 1 of test/support/publication.ts. */
  readonly publish: () => MemoryPublication;
  /** The same policy but for whole members; its serial is 1 unless named. */
  readonly variant: (overrides: Readonly<Record<string, Json>>) => CompiledPolicy;
  readonly addWorker: (input?: WorkerInput) => Promise<MemoryWorker>;
}

let sharedPki: Promise<TestPki> | undefined;

export async function memoryGateway(
  inputs: readonly WorkerInput[] = [{}],
  paid?: 'funded' | 'fresh',
): Promise<MemoryGateway> {
  const pki = await (sharedPki ??= createTestPki());
  const identity = generateEd25519();
  const aud = audOf(identity.publicKey);
  const { now: clock, advance } = manualClock(NOW_MS);
  const workers: MemoryWorker[] = [];
  const mischief: Mischief = {};
  const asked: string[] = [];
  const sent: Uint8Array[] = [];
  const addWorker = async (input: WorkerInput = {}): Promise<MemoryWorker> => {
    const worker = await memoryWorker(pki, { aud, clock, ...input });
    workers.push(worker);
    return worker;
  };
  for (const input of inputs) await addWorker(input);
  const books = paid === undefined ? undefined : await memoryBooks(clock, paid);
  const documentOf = () =>
    signGatewayDocument(
      {
        identity: identity.publicKey,
        tlsSpkiSha256: [],
        baseUrls: [],
        settlement: books?.settlement() ?? NO_SETTLEMENT,
        issuedMs: clock(),
        expiresMs: clock() + 3_600_000,
      },
      (bytes) => signEd25519(identity.secretKey, bytes),
    );
  const fetch: Fetch = async (url, init) => {
    init.signal.throwIfAborted();
    const { pathname, searchParams } = new URL(url);
    asked.push(pathname);
    sent.push(utf8(JSON.stringify([url, init.headers])));
    if (init.body !== undefined) sent.push(init.body);
    switch (pathname) {
      case '/v1/gateway': {
        const document = documentOf();
        return Response.json(mischief.gateway?.(document) ?? document);
      }
      case '/v1/models':
        return Response.json({ object: 'list', data: [{ id: MODEL }, { id: 'other/model' }] });
      case '/v1/evidence': {
        const served = searchParams.get('model') === MODEL ? workers : [];
        const list = {
          candidates: served.map(({ workerId, evidence }) => ({ workerId, evidence })),
          publication: gateway.publication?.staple() ?? null,
        };
        return Response.json(mischief.evidence?.(list) ?? list);
      }
      case '/sx/v1/exchange':
        return books === undefined
          ? relay(init.body ?? new Uint8Array(), workers, mischief)
          : paidRelay(init, { workers, mischief, books });
      case '/v1/payments/voucher':
        return (
          (await books?.raise(init.body ?? new Uint8Array(), init.headers)) ??
          failure(404, 'unknown_url')
        );
      case '/v1/channels':
        return (
          books?.announce(parseJson(init.body ?? new Uint8Array(), 4096)) ??
          failure(404, 'unknown_url')
        );
      default:
        if (books !== undefined && pathname.startsWith(FATE_PATH)) {
          return books.fate(pathname.slice(FATE_PATH.length), init.headers);
        }
        return documentAt(pathname, gateway.publication, mischief);
    }
  };
  const first = await buildEvidence(pki);
  const limits = {
    evidence_age: '1h',
    reattest_every: '1h',
    revocation_age: { gateway: '60s', client: '5m' },
    collateral_grace: '0s',
    challenge: 'gateway',
  };
  const variant = (overrides: Readonly<Record<string, Json>>): CompiledPolicy =>
    testPolicy(first.rootSha256, { limits, rules: [TEST_RULE], ...overrides });
  const policy = variant({});
  const gateway: Omit<MemoryGateway, 'publication'> & { publication?: MemoryPublication } = {
    fetch,
    policy,
    aud,
    clock,
    advance,
    workers,
    mischief,
    asked,
    sent,
    publish: () => (gateway.publication ??= new MemoryPublication(clock, policy)),
    variant,
    addWorker,
    ...(books && { books }),
  };
  return gateway;
}

const FATE_PATH = '/v1/settlements/';
const PUBLICATION_PATH = '/v1/publication/';

function documentAt(
  pathname: string,
  publication: MemoryPublication | undefined,
  mischief: Mischief,
): Response {
  if (publication === undefined || !pathname.startsWith(PUBLICATION_PATH)) {
    return failure(404, 'unknown_url');
  }
  const name = pathname.slice(PUBLICATION_PATH.length);
  const bytes = publication.document(name);
  const shown = mischief.document === undefined ? bytes : mischief.document(name, bytes);
  return shown === undefined ? failure(404, 'unknown_url') : new Response(Uint8Array.from(shown));
}

function failure(status: number, code: string): Response {
  return Response.json({ error: { message: 'x', type: 'x', param: null, code } }, { status });
}

interface PaidRelay {
  readonly workers: readonly MemoryWorker[];
  readonly mischief: Mischief;
  readonly books: MemoryBooks;
}

/** The same with a ledger: admitted before any worker is asked, settled before the end of the answer leaves. */
async function paidRelay(
  { headers, body = new Uint8Array() }: Parameters<Fetch>[1],
  { workers, mischief, books }: PaidRelay,
): Promise<Response> {
  const ids = workers.map(({ workerId }) => workerId);
  const refused = await books.admit(body, headers, ids);
  if (refused !== undefined) return refused;
  await mischief.hold?.();
  const served = firstServed(body, workers);
  if (served instanceof Response) return served;
  const chunk = headers['x-vg-chunk'];
  if (chunk !== undefined) return sealedResponse(asItGoes(served, { mischief, books }));
  const pieces = await books.settle(served);
  return sealedResponse(mischief.answer?.(pieces) ?? pieces);
}

/** Settled behind the last piece of text: what is reserved rises until then. */
async function* asItGoes(
  served: readonly Uint8Array[],
  { mischief, books }: Pick<PaidRelay, 'mischief' | 'books'>,
): AsyncGenerator<Uint8Array> {
  const shown = mischief.answer?.(served) ?? served;
  for (const piece of shown.slice(0, -2)) {
    yield piece;
    if (piece.length !== HEADER_BYTES + METER_BYTES || piece[0] !== FRAME.meter) continue;
    const { meter } = parseMeterUnverified(piece.subarray(HEADER_BYTES));
    const honest = (): Promise<void> => books.follow(meter);
    await (mischief.pace === undefined ? honest() : mischief.pace(meter, honest));
  }
  yield* (await books.settle(served)).slice(served.length - 2);
}

/** An honest relay without a ledger, but for what the mischief does. */
function relay(body: Uint8Array, workers: readonly MemoryWorker[], mischief: Mischief): Response {
  const sealed = mischief.request?.(body) ?? body;
  const own = mischief.respond?.(sealed);
  if (own !== undefined) return own;
  const served = firstServed(sealed, mischief.route?.(workers) ?? workers);
  if (served instanceof Response) return served;
  return sealedResponse(mischief.answer?.(served) ?? served);
}

function firstServed(
  sealed: Uint8Array,
  workers: readonly MemoryWorker[],
): readonly Uint8Array[] | Response {
  let last = failure(503, 'sx.no_recipient');
  for (const worker of workers) {
    try {
      return worker.serve(sealed);
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      last = failure(error.spec.status, error.code);
      if (error.code !== 'sx.key_unknown' && error.code !== 'sx.price') return last;
    }
  }
  return last;
}

export function sealedResponse(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Response {
  const queue = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : values(pieces);
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      // As on a network: what came before has been read when the next piece, or the end, arrives.
      await new Promise((resolve) => setImmediate(resolve));
      const next = await queue.next();
      if (next.done === true) controller.close();
      else if (next.value.length > 0) controller.enqueue(next.value);
      else controller.enqueue(Uint8Array.of());
    },
  });
  return new Response(body, { headers: { 'content-type': 'application/vnd.sx1.res' } });
}

async function* values(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

async function memoryWorker(
  pki: TestPki,
  input: WorkerInput & { readonly aud: string; readonly clock: Clock },
): Promise<MemoryWorker> {
  const { aud, clock, kem = 'X-Wing', prices = FREE_PRICES, issuedAgoS = 30 } = input;
  const pair = generateHpkeKeyPair(kem);
  const signing = generateEd25519();
  const ownerKey = generateEd25519();
  const card = testCard({ owner: ownerKey.publicKey, prices });
  const cardBytes = encodeCard(card);
  const iat = Math.floor(clock() / 1000) - issuedAgoS;
  const { evaluationNumber = 19 } = input;
  const built = await buildEvidence(pki, {
    cardBytes,
    collateral: { tcbInfoInput: { evaluationNumber }, qeIdentityInput: { evaluationNumber } },
    statement: {
      aud,
      iat,
      exp: iat + 600,
      card: cardDigestOf(cardBytes),
      keys: {
        hpke: { kem, pk: pair.publicKey },
        sig: { alg: 'Ed25519', pk: signing.publicKey },
        tls: { spkiSha256: card.owner },
      },
      ...(input.unlisted === true ? { workload: { ...TEST_WORKLOAD, image: card.owner } } : {}),
    },
  });
  const hash = statementHash(built.evidence.statement);
  const workerId = workerIdOf(card.owner);
  const keys = new RecipientKeys();
  const recipient = keys.add({ statementHash: hash, pair, expiresAtMs: (iat + 600) * 1000 });
  const replay = new ReplaySet();
  const signer = new ReceiptSigner({
    secretKey: signing.secretKey,
    workerId,
    statementHash: hash,
    modelDigest: card.model.weights,
    priceDigest: cardDigestOf(cardBytes),
    prices,
    simulated: true,
  });
  const opened: Uint8Array[] = [];
  const serve = (sealed: Uint8Array): readonly Uint8Array[] => {
    const request = openRequest(sealed, { keys, replay, nowMs: clock(), admit: () => undefined });
    if (request.inner.kind === 'request') opened.push(request.inner.request.body);
    return answerPieces(request, signer, input);
  };
  return {
    workerId: toHex(workerId),
    kid: toHex(recipient.kid),
    evidence: encodeEvidence(built.evidence),
    opened,
    serve,
  };
}

function answerPieces(
  { inner, prelude, responder }: OpenedRequest,
  signer: ReceiptSigner,
  {
    clock,
    answer,
    usage = { prompt: 5, cached: 0, completion: 2, reasoning: 0 },
  }: { readonly clock: Clock; readonly answer?: Answer; readonly usage?: Usage },
): readonly Uint8Array[] {
  if (inner.kind === 'refused') {
    const body = openAiFailure('invalid_value').body;
    return [
      responder.head(400, [['content-type', 'application/json']]),
      responder.data(utf8(JSON.stringify(body))),
      responder.final(),
    ];
  }
  let seq = 0;
  const said = answer ?? (prelude.flags.stream ? STREAM_ANSWER : JSON_ANSWER);
  const pieces = [
    responder.head(said.status, [['content-type', said.type]]),
    ...said.pieces.map((piece) =>
      typeof piece === 'string'
        ? responder.data(utf8(piece))
        : responder.meter({ signer, usage: { ...usage, completion: piece }, seq: ++seq }),
    ),
  ];
  const { bytes } = responder.receipt({
    signer,
    policyDigest: inner.policyDigest,
    usage,
    outcome: 'ok',
    startMs: clock(),
    endMs: clock(),
  });
  return [...pieces, bytes, responder.final()];
}

/** True when none of the bytes contains the text. */
export function isAbsent(text: string, from: readonly Uint8Array[]): boolean {
  return from.every((bytes) => !fromLatin(bytes).includes(text));
}

function fromLatin(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    // Binary: latin1 keeps every ASCII run searchable.
    return Buffer.from(bytes).toString('latin1');
  }
}
