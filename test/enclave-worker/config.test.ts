/** What a worker may be told, and what `--check-config` shows of it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../core/errors.ts';
import { decodeConfig, redactedConfig } from '../../core/node/config.ts';
import { WORKER_CONFIG } from '../../enclave-worker/config.ts';

function configWith(change: object): unknown {
  return {
    gateway: { url: 'https://gateway.example', aud: `gw1.${'A'.repeat(43)}` },
    owner: {
      url: 'https://owner.example:8790',
      tokenFile: 'token',
      tlsSpkiSha256: '_'.repeat(42) + '8',
    },
    workload: { image: 'ab'.repeat(32), config: 'cd'.repeat(32) },
    engine: { modelPath: 'm.gguf' },
    ...change,
  };
}

test('an address that carries a password, a query or a path is refused, and not repeated', () => {
  const aud = `gw1.${'A'.repeat(43)}`;
  for (const rest of ['user:hush@host', 'hush@host', 'host/hush', 'host/?hush', 'host/#hush']) {
    const url = `https://${rest}`;
    for (const change of [
      { gateway: { url, aud } },
      { owner: { url, tokenFile: 't' } },
      { listen: { endpoint: url } },
    ]) {
      assert.throws(
        () => decodeConfig(WORKER_CONFIG, configWith(change)),
        (error) => hasCode(error, 'config.invalid') && !error.message.includes('hush'),
        url,
      );
    }
  }
});

test('--check-config shows digests as digits, so that they can be compared', () => {
  const shown = redactedConfig(decodeConfig(WORKER_CONFIG, configWith({})));
  assert.match(shown, /"image": "(ab){32}"/);
  assert.match(shown, /"tlsSpkiSha256": "f{64}"/);
});

test('what the owner lets a gateway owe: one unit, on its word, on the main network, unless told otherwise', () => {
  const { settlement, earnings } = decodeConfig(WORKER_CONFIG, configWith({}));
  assert.deepEqual(settlement, {
    creditMax: '1',
    feeMaxBps: 3000,
    paidCounts: 'on-word',
    network: 'mainnet',
    withdrawDelayMinS: 86_400,
  });
  assert.deepEqual(earnings, {});
});

test('an amount is digits, and providers have addresses', () => {
  const provider = { name: 'a', url: 'https://toncenter.com/api/v2/jsonRPC' };
  decodeConfig(WORKER_CONFIG, configWith({ settlement: { creditMax: '0.25' } }));
  decodeConfig(WORKER_CONFIG, configWith({ settlement: { chain: { providers: [provider] } } }));
  for (const settlement of [
    { creditMax: 1 },
    { creditMax: '-1' },
    { creditMax: '1e3' },
    { creditMax: '01' },
    { feeMaxBps: 10_001 },
    { paidCounts: 'always' },
    { network: 'ethereum' },
    { chain: { providers: [] } },
    { chain: { providers: [{ ...provider, url: 'ftp://a' }] } },
  ]) {
    const config = configWith({ settlement });
    assert.throws(() => decodeConfig(WORKER_CONFIG, config), { code: 'config.invalid' });
  }
});
