/** What an operator may configure, and that nothing else is ever contacted. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  COLLATERAL_CONFIG,
  configuredSources,
  serviceUrlOf,
} from '../../../attestation/collateral/config.ts';
import { loadConfig } from '../../../core/node/config.ts';

const PIN = 'ab'.repeat(32);

function parsed(input: unknown) {
  return COLLATERAL_CONFIG.safeParse(input);
}

test('by default the vendors are asked, over TLS, and nothing is kept on disk', () => {
  const config = COLLATERAL_CONFIG.parse({});
  assert.equal(config.offline, false);
  assert.equal(config.directory, null);
  const { sources, origins } = configuredSources(config);
  assert.deepEqual(
    sources.map(({ name }) => name),
    ['pcs', 'kds'],
  );
  assert.deepEqual(origins, [
    { origin: 'https://api.trustedservices.intel.com', trust: { kind: 'webpki' } },
    { origin: 'https://certificates.trustedservices.intel.com', trust: { kind: 'webpki' } },
    { origin: 'https://kdsintf.amd.com', trust: { kind: 'webpki' } },
  ]);
});

test('offline there is nobody to ask', () => {
  const { sources, origins } = configuredSources(COLLATERAL_CONFIG.parse({ offline: true }));
  assert.deepEqual([sources, origins], [[], []]);
});

test("a site's own caches stand in front, each with its own kind of trust", () => {
  const config = COLLATERAL_CONFIG.parse({
    intel: {
      sources: [
        { kind: 'pccs', url: 'https://pccs.site:8081/sgx/certification/v4/', spkiSha256: PIN },
        { kind: 'pccs', url: 'https://pccs2.site/cache', caFile: '/etc/site-ca.pem' },
        { kind: 'pcs' },
      ],
      edition: 'early',
    },
    amd: { mirror: { url: 'http://127.0.0.1:9000/kds' } },
  });
  const { sources, origins } = configuredSources(config);
  assert.deepEqual(
    sources.map(({ name }) => name),
    ['pccs', 'pccs', 'pcs', 'mirror', 'kds'],
  );
  assert.deepEqual(origins.slice(0, 2), [
    { origin: 'https://pccs.site:8081', trust: { kind: 'spki', sha256Hex: PIN } },
    { origin: 'https://pccs2.site', trust: { kind: 'ca', caFile: '/etc/site-ca.pem' } },
  ]);
  assert.deepEqual(origins[4], { origin: 'http://127.0.0.1:9000', trust: { kind: 'loopback' } });
  const request = sources[0]?.request({ kind: 'sgx-root-crl' });
  assert.deepEqual(request, {
    origin: 'https://pccs.site:8081',
    path: '/sgx/certification/v4/rootcacrl',
  });
});

test('only https, or http on this machine, and no more than an address and a folder', () => {
  for (const url of [
    'http://pccs.site',
    'http://192.168.0.1',
    'http://localhost.site',
    'ftp://pccs.site',
    'file:///etc/passwd',
    'https://user:pass@pccs.site',
    'https://pccs.site/?x=1',
    'https://pccs.site/#x',
    'https://pccs.site/a/%2e%2e%2fb',
    'https://pccs.site/a%0d%0ab',
    'https://pccs.site/.hidden',
    'https://pccs.site/a//b',
    'pccs.site',
    '',
  ]) {
    assert.equal(serviceUrlOf(url), undefined, url);
    assert.equal(parsed({ amd: { kdsUrl: url } }).success, false, url);
  }
  assert.deepEqual(serviceUrlOf('https://pccs.site/a/../b/'), {
    origin: 'https://pccs.site',
    prefix: '/b',
  });
  assert.deepEqual(serviceUrlOf('http://[::1]:81'), { origin: 'http://[::1]:81', prefix: '' });
});

test('trust that contradicts itself refuses to start', () => {
  const pccs = { kind: 'pccs', url: 'https://pccs.site' };
  for (const sources of [
    [{ ...pccs, spkiSha256: PIN, caFile: '/etc/ca.pem' }],
    [{ ...pccs, spkiSha256: PIN }, pccs],
    [
      { ...pccs, spkiSha256: PIN },
      { ...pccs, caFile: '/etc/ca.pem' },
    ],
    [{ kind: 'pccs', url: 'http://127.0.0.1:1', spkiSha256: PIN }],
    [{ ...pccs, spkiSha256: 'AB'.repeat(32) }],
    [],
  ]) {
    assert.equal(parsed({ intel: { sources } }).success, false, JSON.stringify(sources));
  }
  assert.ok(parsed({ intel: { sources: [pccs, pccs] } }).success);
});

test('unknown keys and values refuse to start', () => {
  for (const input of [
    { ofline: true },
    { intel: { sources: [{ kind: 'azure', url: 'https://x' }] } },
    { intel: { sources: [{ kind: 'pcs', verify: false }] } },
    { intel: { edition: 'latest' } },
    { intel: { edition: -1 } },
    { amd: { revocationList: 'never' } },
    { directoryMaxMib: 0 },
  ]) {
    assert.equal(parsed(input).success, false, JSON.stringify(input));
  }
});

test('the environment reaches it like any other part', () => {
  const config = loadConfig(COLLATERAL_CONFIG, {
    part: 'collateral',
    environment: {
      VEILGATE_COLLATERAL_OFFLINE: 'true',
      VEILGATE_COLLATERAL_DIRECTORY: '/var/lib/veilgate/collateral',
      VEILGATE_COLLATERAL_INTEL_EDITION: '20',
      VEILGATE_COLLATERAL_AMD_REVOCATION_LIST: 'if-available',
    },
  });
  assert.equal(config.offline, true);
  assert.equal(config.directory, '/var/lib/veilgate/collateral');
  assert.equal(config.intel.edition, 20);
  assert.equal(config.amd.revocationList, 'if-available');
});
