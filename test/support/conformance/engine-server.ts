/**
 * The worker's planning, answering and sealing over an engine, behind the HTTP surface that gateways have, in one process and
 * without a gateway: no accounts, no ledger, no choice of workers.
 * @module
 */

import { createServer } from 'node:http';
import { fixed } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import type { PriceList } from '../../../attestation/verdict.ts';
import type { Card } from '../../../attestation/card.ts';
import type { AnswerHead } from '../../../client/answer-opener.ts';
import { exchange } from '../../../client/exchange.ts';
import { requestIdOf } from '../../../client/open-session.ts';
import type { Engine } from '../../../enclave-worker/engine.ts';
import { handleExchange } from '../../../enclave-worker/handle.ts';
import type { ExchangeSink } from '../../../enclave-worker/sealed-answer.ts';
import type { PlainCaller } from '../../../gateway/openai/chat.ts';
import { respondUnknownUrl, serveOpenAi } from '../../../gateway/openai/routes.ts';
import type { Sealer } from '../../../gateway/openai/sealer.ts';
import type { SealedSink } from '../../../gateway/sealed-sink.ts';
import { endpointAt } from '../../../protocol/openai/endpoints.ts';
import { decodeEnvelope } from '../../../protocol/openai/envelope.ts';
import { exchangeFixture, type Fixture } from '../../enclave-worker/exchange-fixture.ts';
import { portOf } from '../relay.ts';

export interface EngineServer {
  readonly baseURL: string;
  readonly logLines: readonly string[];
  close(): Promise<void>;
}

export interface EngineServerInput {
  readonly engine: Engine;
  readonly modelId: string;
  readonly limits: Card['limits'];
  readonly prices: PriceList;
}

export async function startEngineServer(input: EngineServerInput): Promise<EngineServer> {
  const fixture = exchangeFixture(input);
  const { modelId: id, engine } = input;
  const deps = {
    sealer: sealerOf(fixture),
    authenticate: () => callerOf(fixture),
    clock: systemClock,
    models: () => [{ id, contextLength: engine.contextTokens }],
  };
  const server = createServer((request, response) => {
    if (!serveOpenAi(deps, request, response)) respondUnknownUrl(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseURL: `http://127.0.0.1:${portOf(server)}/v1`,
    logLines: fixture.logLines,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Everybody may ask, and nobody pays. */
function callerOf({ deps }: Fixture): PlainCaller {
  return {
    payer: new Uint8Array(32),
    pays: false,
    standing: () => ({ limit: 1, remaining: 1, fullInMs: 0, nextInMs: 0 }),
    refusal: () => undefined,
    paymentResponse: () => '',
    send: async ({ sealed, sink, signal }) =>
      handleExchange(deps, sealed, wireOf(sink), { gone: signal }),
  };
}

function wireOf(sink: SealedSink): ExchangeSink {
  return {
    refuse: (status) => sink.fail(status === 503 ? 'sx.busy' : 'sx.refused'),
    accept: (kid) => sink.head(kid),
    write: (bytes) => sink.write(bytes),
    drained: () => sink.drain(),
    end: () => sink.end(),
  };
}

function sealerOf({ worker }: Fixture): Sealer {
  const keys = (): Promise<readonly (typeof worker.key)[]> => Promise.resolve([worker.key]);
  const session = { keys, renew: keys };
  return {
    exchange: async ({ path, body, payer }, send, sink, signal) => {
      const endpoint = endpointAt(path);
      if (endpoint === undefined) throw new Error(`no endpoint at ${path}`);
      const request = {
        ...decodeEnvelope(endpoint.path, body, body.length),
        path: endpoint.path,
        headers: [['content-type', 'application/json']] as const,
        body,
        payer: fixed(payer, 32),
      };
      const opened = {
        head: (head: AnswerHead) =>
          sink.head({
            status: head.status,
            headers: head.headers,
            workerId: head.key.workerId,
            kid: head.key.kid,
            simulated: head.key.simulated,
            statementHash: head.key.statementHash,
            policyDigest: head.key.policyDigest,
            requestId: requestIdOf(head),
          }),
        data: (bytes: Uint8Array) => sink.data(bytes),
        drain: () => sink.drain(),
      };
      await exchange({ session, clock: systemClock }, request, { send, sink: opened, signal });
    },
  };
}
