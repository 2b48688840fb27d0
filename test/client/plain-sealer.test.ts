/** The gateway's own sealing follows what is in force now, not what was when it started. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../core/errors.ts';
import { utf8 } from '../../core/bytes.ts';
import { fetchDirectory } from '../../client/directory.ts';
import { fetchCarrier } from '../../client/fetch-carrier.ts';
import { plainSealer } from '../../client/plain-sealer.ts';
import type { Trust } from '../../client/trust.ts';
import { RevocationSet } from '../../attestation/publication/revocation-set.ts';
import { REVOCATIONS, type RevocationList } from '../../attestation/publication/revocations.ts';
import { hold } from '../../attestation/publication/memory.ts';
import { memoryGateway, MODEL, PROMPT } from '../support/memory-gateway.ts';
import { blankReader, entry, makeRevocations } from '../support/publication.ts';

function listOf(entries: RevocationList['entries']): RevocationSet {
  const { document } = hold(makeRevocations({ entries }), blankReader().root, REVOCATIONS);
  return RevocationSet.of(document);
}

async function lab() {
  const gateway = await memoryGateway([{}, {}]);
  const { fetch, clock, aud } = gateway;
  const freshness = { judged: 'each-request', by: 'the gateway' } as const;
  const know = (list: RevocationSet): Trust['revocations'] => ({ list, freshness });
  let trust: Trust = { policy: gateway.policy, revocations: know(listOf([])) };
  const reach = { fetch, gatewayUrl: 'https://gateway.test', authorization: undefined };
  const sealer = plainSealer({
    directory: fetchDirectory({ ...reach, clock }),
    trust: () => trust,
    gateway: aud,
    clock,
  });
  const ask = async (): Promise<string> => {
    const body = utf8(
      JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] }),
    );
    const workers: string[] = [];
    await sealer.exchange(
      { path: '/v1/chat/completions', body, payer: new Uint8Array(32) },
      fetchCarrier(reach),
      {
        head: ({ kid }) => void workers.push(Buffer.from(kid).toString('hex')),
        data: () => true,
        drain: () => Promise.resolve(),
      },
      new AbortController().signal,
    );
    return workers.join();
  };
  return {
    gateway,
    ask,
    revoke: (kid: string) => {
      trust = { ...trust, revocations: know(listOf([entry('kid', kid)])) };
    },
    publish: (policy: Trust['policy']) => {
      trust = { ...trust, policy };
    },
  };
}

test('a revocation holds for the next request, although the keys are held', async () => {
  const { gateway, ask, revoke } = await lab();
  const [first, second] = gateway.workers;
  assert.ok(first && second);
  await ask();
  revoke(first.kid);
  for (let turn = 0; turn < 4; turn++) assert.equal(await ask(), second.kid);
});

test('a policy change holds for the next request', async () => {
  const { gateway, ask, publish } = await lab();
  await ask();
  publish(gateway.variant({ serial: 2, rules: [] }));
  await assert.rejects(ask(), (error) => hasCode(error, 'client.none_admitted'));
});
