/** What each vendor's service is asked, and how its answers are taken apart. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Item } from '../../../attestation/collateral/items.ts';
import { kdsMirror, kdsSource } from '../../../attestation/collateral/kds.ts';
import { pccsSource, pcsSource } from '../../../attestation/collateral/pcs.ts';
import type { FetchAnswer } from '../../../attestation/collateral/ports.ts';
import type { Source } from '../../../attestation/collateral/source.ts';
import { fromHex, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';

const PCS = pcsSource({
  api: { origin: 'https://api', prefix: '' },
  certificates: { origin: 'https://certs', prefix: '' },
});
const PCCS = pccsSource({ origin: 'https://cache:8081', prefix: '/pccs' });
const KDS = kdsSource({ origin: 'https://kds', prefix: '' });
const MIRROR = kdsMirror({ origin: 'https://mirror', prefix: '/kds' });

const FMSPC = 'b0c06f000000';
const TCB = { bootloader: 4, tee: 0, snp: 23, microcode: 209 };
const SGX = '/sgx/certification/v4';
const TDX = '/tdx/certification/v4';

function urlOf(source: Source, item: Item): string | undefined {
  const request = source.request(item);
  return request === undefined ? undefined : request.origin + request.path;
}

test('PCS is asked for everything of Intel, the root list at its own host', () => {
  const asked: readonly (readonly [Item, string])[] = [
    [{ kind: 'sgx-root-crl' }, 'https://certs/IntelSGXRootCA.der'],
    [
      { kind: 'sgx-pck-crl', ca: 'processor' },
      `https://api${SGX}/pckcrl?ca=processor&encoding=der`,
    ],
    [
      { kind: 'tdx-tcb-info', fmspc: FMSPC, edition: 'standard' },
      `https://api${TDX}/tcb?fmspc=${FMSPC}`,
    ],
    [
      { kind: 'tdx-tcb-info', fmspc: FMSPC, edition: 'early' },
      `https://api${TDX}/tcb?fmspc=${FMSPC}&update=early`,
    ],
    [
      { kind: 'tdx-tcb-info', fmspc: FMSPC, edition: 19 },
      `https://api${TDX}/tcb?fmspc=${FMSPC}&tcbEvaluationDataNumber=19`,
    ],
    [{ kind: 'tdx-qe-identity', edition: 'standard' }, `https://api${TDX}/qe/identity`],
    [{ kind: 'tdx-qe-identity', edition: 'early' }, `https://api${TDX}/qe/identity?update=early`],
    [{ kind: 'tdx-evaluation-numbers' }, `https://api${TDX}/tcbevaluationdatanumbers`],
  ];
  for (const [item, url] of asked) assert.equal(urlOf(PCS, item), url);
});

test('a PCCS has its own path for the root list, and nothing by evaluation number', () => {
  assert.equal(urlOf(PCCS, { kind: 'sgx-root-crl' }), `https://cache:8081/pccs${SGX}/rootcacrl`);
  assert.equal(
    urlOf(PCCS, { kind: 'tdx-tcb-info', fmspc: FMSPC, edition: 'early' }),
    `https://cache:8081/pccs${TDX}/tcb?fmspc=${FMSPC}&update=early`,
  );
  assert.equal(urlOf(PCCS, { kind: 'tdx-tcb-info', fmspc: FMSPC, edition: 19 }), undefined);
  assert.equal(urlOf(PCCS, { kind: 'tdx-qe-identity', edition: 19 }), undefined);
  assert.equal(urlOf(PCCS, { kind: 'tdx-evaluation-numbers' }), undefined);
});

test('KDS is asked by chip and reported TCB; Turin has a shorter name and one more number', () => {
  const hwid = 'ab'.repeat(64);
  assert.equal(
    urlOf(KDS, { kind: 'amd-vcek', product: 'milan', hwid, tcb: TCB }),
    `https://kds/vcek/v1/Milan/${hwid}?blSPL=04&teeSPL=00&snpSPL=23&ucodeSPL=209`,
  );
  assert.equal(
    urlOf(KDS, {
      kind: 'amd-vcek',
      product: 'turin',
      hwid: 'ab'.repeat(8),
      tcb: { ...TCB, fmc: 1 },
    }),
    `https://kds/vcek/v1/Turin/${'ab'.repeat(8)}?fmcSPL=01&blSPL=04&teeSPL=00&snpSPL=23&ucodeSPL=209`,
  );
  assert.equal(
    urlOf(MIRROR, { kind: 'amd-chain', product: 'genoa', signer: 'vlek' }),
    'https://mirror/kds/vlek/v1/Genoa/cert_chain',
  );
  assert.equal(
    urlOf(KDS, { kind: 'amd-crl', product: 'genoa', signer: 'vcek' }),
    'https://kds/vcek/v1/Genoa/crl',
  );
});

test('nobody is asked for the other vendor, or for a value in another form', () => {
  assert.equal(urlOf(PCS, { kind: 'amd-crl', product: 'genoa', signer: 'vcek' }), undefined);
  assert.equal(urlOf(PCCS, { kind: 'amd-crl', product: 'genoa', signer: 'vcek' }), undefined);
  assert.equal(urlOf(KDS, { kind: 'sgx-root-crl' }), undefined);
  const refused = (error: unknown): boolean => hasCode(error, 'collateral.evidence');
  for (const fmspc of ['', '../..', `${FMSPC}&update=early`, `${FMSPC}#`, 'B0C06F000000']) {
    assert.throws(() => PCS.request({ kind: 'tdx-tcb-info', fmspc, edition: 'standard' }), refused);
  }
  for (const hwid of ['', '/cert_chain', `${'ab'.repeat(64)}?x`]) {
    assert.throws(
      () => KDS.request({ kind: 'amd-vcek', product: 'milan', hwid, tcb: TCB }),
      refused,
    );
  }
});

test('only KDS itself sets a pace', () => {
  assert.equal(KDS.spacingMs, 10_000);
  for (const source of [PCS, PCCS, MIRROR]) assert.equal(source.spacingMs, 0);
});

const CHAIN = 'PEM+ %';
const HEADER = encodeURIComponent(CHAIN);

function answer(headers: FetchAnswer['headers'], body = utf8('body')): FetchAnswer {
  return { status: 200, headers, body };
}

test('issuer chains are found under the names of both versions', () => {
  const tcb: Item = { kind: 'tdx-tcb-info', fmspc: FMSPC, edition: 'standard' };
  for (const [item, name] of [
    [tcb, 'tcb-info-issuer-chain'],
    [tcb, 'sgx-tcb-info-issuer-chain'],
    [{ kind: 'tdx-qe-identity', edition: 'early' }, 'sgx-enclave-identity-issuer-chain'],
    [{ kind: 'tdx-evaluation-numbers' }, 'tcb-evaluation-data-numbers-issuer-chain'],
  ] as const) {
    assert.equal(PCS.read(item, answer({ [name]: HEADER })).chain, CHAIN);
    assert.throws(
      () => PCS.read(item, answer({ 'request-id': 'x' })),
      (error) => hasCode(error, 'collateral.invalid'),
    );
  }
});

test('what a list is shows in its bytes, not in what a server calls it', () => {
  const list: Item = { kind: 'sgx-root-crl' };
  const der = fromHex('300100');
  for (const type of ['application/pkix-crl', 'text/plain', undefined]) {
    const headers = { 'content-type': type };
    assert.deepEqual(PCCS.read(list, answer(headers, utf8('300100'))).body, der);
    assert.deepEqual(PCS.read(list, answer(headers, der)).body, der);
    assert.deepEqual(
      KDS.read({ kind: 'amd-crl', product: 'milan', signer: 'vcek' }, answer(headers, der)).body,
      der,
    );
  }
});

test("AMD's chain is the body itself, and text", () => {
  const chain: Item = { kind: 'amd-chain', product: 'milan', signer: 'vcek' };
  assert.equal(KDS.read(chain, answer({}, utf8('PEM'))).chain, 'PEM');
  assert.throws(
    () => KDS.read(chain, answer({}, fromHex('ff'))),
    (error) => hasCode(error, 'collateral.invalid'),
  );
});
