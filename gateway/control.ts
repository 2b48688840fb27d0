/**
 * Everything that is not a token: discovery, registration, health. Hono routes, small JSON bodies.
 * Spec: overview "Roles in one request"; openai-gateway-and-engine §2.8.
 * @module
 */

import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { toBase64Url } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { codeOf } from '../core/node/log.ts';
import type { PublicationState } from '../attestation/publication/memory.ts';
import type { GatewayDocumentJson } from '../protocol/gateway-document.ts';
import { openAiFailure } from '../protocol/openai/errors.ts';
import type { AttestedGatewayParts } from './attested/open-attested.ts';
import { attestedRoutes } from './attested/routes.ts';
import type { Counters } from './counters.ts';
import type { GatewayLog } from './events.ts';
import { assertJson, ControlBodies } from './control-body.ts';
import { CONTROL_BODY_MAX_BYTES, EVIDENCE_CANDIDATES_MAX } from './limits.ts';
import { channelRoutes } from './payments/channel-routes.ts';
import type { Payments } from './payments/open-payments.ts';
import { paymentRoutes } from './payments/routes.ts';
import { givenRequestId, newRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import { clearErrorOf, RETRY_SOON } from './respond-clear.ts';
import { revocationStaple, servedDocument, staple } from './policy/served.ts';
import type { Challenges } from './workers/challenges.ts';
import type { Registrar } from './workers/register.ts';
import type { LiveWorker, WorkerRegistry } from './workers/registry.ts';
import { verdictJson, verdictSummary } from './workers/verdict-json.ts';

export interface ControlDeps {
  readonly clock: Clock;
  readonly aud: string;
  readonly document: () => GatewayDocumentJson;
  readonly registry: WorkerRegistry;
  readonly challenges: Challenges;
  readonly registrar: Registrar;
  readonly payments: Omit<Payments, 'accounts' | 'start' | 'status'>;
  /** What was published and accepted; undefined with an unsigned policy. */
  readonly published: (() => PublicationState) | undefined;
  /** Of a gateway that is in a TEE itself. */
  readonly attested: AttestedGatewayParts | undefined;
  /** Why nobody is served although there are workers; undefined while all is well. */
  readonly staleBecause: () => string | undefined;
  /** Models the operator announces: ready means that each has a worker. Empty: any worker will do. */
  readonly models: readonly string[];
  readonly closing: AbortSignal;
  readonly log: GatewayLog;
  readonly counters: Counters;
}

type Env = { Variables: { requestId: string } };

export function createControl(deps: ControlDeps): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    const requestId = givenRequestId(context.req.header(REQUEST_ID_HEADER)) ?? newRequestId();
    context.set('requestId', requestId);
    await next();
    context.res.headers.set(REQUEST_ID_HEADER, requestId);
    context.res.headers.set('cache-control', 'no-store');
  });
  app.use(
    bodyLimit({ maxSize: CONTROL_BODY_MAX_BYTES, onError: () => answerOf('gateway.too_large') }),
  );
  addHealth(app, deps);
  addDiscovery(app, deps);
  const bodies = new ControlBodies();
  addRegistration(app, deps, bodies);
  const { settlement, ...payments } = deps.payments;
  const { feeBps } = settlement;
  app.route('/', paymentRoutes({ ...deps, ...payments, feeBps, bodies }));
  app.route('/', channelRoutes({ ...deps, ...payments, bodies }));
  const { attested, published } = deps;
  if (attested !== undefined) {
    app.route('/', attestedRoutes({ ...attested, payers: payments.payers, published }));
  }
  app.notFound((context) => unknownUrl(app, context));
  // Without this hono prints the error, and the text of a foreign error may be anything.
  app.onError((error, context) => {
    const code = codeOf(error) ?? 'internal.invariant';
    const answer = clearErrorOf(code);
    if (answer.status >= 500) {
      deps.log.event('control.failed', { code, requestId: context.get('requestId') });
    }
    if (code.startsWith('registration.')) {
      deps.log.event('worker.refused', { code, check: '' });
      deps.counters.registration('refused', code);
    }
    return reply(answer.status, answer.body, answer.headers);
  });
  return app;
}

function answerOf(code: string): Response {
  const { status, headers, body } = clearErrorOf(code);
  return reply(status, body, headers);
}

function reply(
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, 'content-type': 'application/json' },
  });
}

/** 405 where another method would do, 404 elsewhere. */
function unknownUrl(app: Hono<Env>, context: Context<Env>): Response {
  const { path } = context.req;
  const known = app.routes.some((route) => route.method !== 'ALL' && pathMatches(route.path, path));
  const failure = openAiFailure(known ? 'method_not_allowed' : 'unknown_url');
  return reply(failure.status, failure.body, Object.fromEntries(failure.headers));
}

function pathMatches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => part.startsWith(':') || part === given[at])
  );
}

function addHealth(app: Hono<Env>, deps: ControlDeps): void {
  app.get('/healthz', (context) => context.json({ status: 'ok' }));
  app.get('/readyz', (context) => {
    const missing = missingModels(deps);
    const stale = deps.staleBecause() ?? null;
    const ready = missing.length === 0 && stale === null && !deps.closing.aborted;
    const status = ready ? 'ready' : 'not_ready';
    return context.json({ status, missing, stale }, ready ? 200 : 503, ready ? {} : RETRY_SOON);
  });
}

function missingModels({ registry, models, clock }: ControlDeps): readonly string[] {
  const nowMs = clock();
  if (models.length > 0) {
    return models.filter((model) => registry.published(model, nowMs).length === 0);
  }
  return registry.all().some((worker) => nowMs < worker.publishUntilMs) ? [] : ['any'];
}

function addDiscovery(app: Hono<Env>, deps: ControlDeps): void {
  app.get('/v1/gateway', (context) => context.json(deps.document()));
  app.get('/v1/workers', (context) =>
    context.json({ workers: deps.registry.all().map((worker) => workerSummary(worker, deps)) }),
  );
  app.get('/v1/evidence', (context) => {
    const model = context.req.query('model');
    if (model === undefined) {
      const { status, body } = openAiFailure('invalid_value', { param: 'model' });
      return reply(status, body);
    }
    const found = deps.registry.published(model, deps.clock());
    // A model nobody serves and a model nobody serves now are the same to a stranger.
    const candidates = rotated(found).slice(0, EVIDENCE_CANDIDATES_MAX).map(candidateOf);
    const publication = deps.published === undefined ? null : staple(deps.published());
    return context.json({ candidates, publication });
  });
  addPublication(app, deps);
}

const PUBLICATION_PATH = '/v1/publication/';

function addPublication(app: Hono<Env>, { published }: ControlDeps): void {
  app.get('/v1/revocations', (context) =>
    published === undefined
      ? unknownUrl(app, context)
      : context.json(revocationStaple(published())),
  );
  app.get(`${PUBLICATION_PATH}*`, (context) => {
    const name = context.req.path.slice(PUBLICATION_PATH.length);
    const document = published === undefined ? undefined : servedDocument(published(), name);
    if (document === undefined) return unknownUrl(app, context);
    const { bytes, etag } = document;
    const headers = { etag, 'cache-control': 'no-cache', 'content-type': 'application/json' };
    if (context.req.header('if-none-match') === etag) {
      return new Response(null, { status: 304, headers });
    }
    return new Response(Uint8Array.from(bytes), { headers });
  });
}

let rotation = 0;

/** Nobody is first for everybody. */
function rotated(workers: readonly LiveWorker[]): readonly LiveWorker[] {
  if (workers.length === 0) return [];
  const start = rotation++ % workers.length;
  return [...workers.slice(start), ...workers.slice(0, start)];
}

function candidateOf(worker: LiveWorker): object {
  return {
    workerId: worker.workerId,
    evidence: worker.evidence,
    verdict: verdictJson(worker.verdict),
    publishUntilMs: worker.publishUntilMs,
  };
}

function workerSummary(worker: LiveWorker, { clock }: ControlDeps): object {
  const { key, verdict, load } = worker;
  return {
    workerId: worker.workerId,
    kid: worker.kid,
    model: key.model.id,
    tee: key.tee,
    simulated: key.simulated,
    published: clock() < worker.publishUntilMs,
    publishUntilMs: worker.publishUntilMs,
    expiresAtMs: key.expiresAtMs,
    inFlight: load.inFlight,
    healthy: load.failures === 0,
    // Every check stands beside the evidence, at /v1/evidence: here it would be a megabyte for every hundred workers.
    verdict: verdictSummary(verdict),
  };
}

function addRegistration(app: Hono<Env>, deps: ControlDeps, bodies: ControlBodies): void {
  const { registrar, challenges, clock, aud } = deps;
  app.post('/v1/workers/challenge', (context) => {
    assertJson(context.req.raw);
    const { challenge, expiresAtMs } = challenges.issue(clock());
    return context.json({ challenge: toBase64Url(challenge), aud, expiresAtMs });
  });
  app.post('/v1/workers', async (context) => {
    const result = await registrar.register(
      await bodies.json(context.req.raw),
      context.req.raw.signal,
    );
    const verdict = verdictJson(result.verdict);
    if (result.outcome === 'admitted') {
      const { workerId, publishUntilMs } = result;
      return context.json({ workerId, verdict, publishUntilMs });
    }
    const { status, body } = clearErrorOf('registration.denied');
    return reply(status, { ...body, verdict });
  });
  app.delete('/v1/workers/:id', async (context) => {
    registrar.leave(context.req.param('id'), await bodies.json(context.req.raw));
    return context.json({ left: true });
  });
}
