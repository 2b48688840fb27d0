/** What is behind on a TDX machine, in Intel's words, and what to do about it. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { behindParts, freshnessAdvice, relaunchAdvice } from '../../../attestation/tdx/behind.ts';
import { componentNames } from '../../../attestation/tdx/component-names.ts';
import { verifyTdx, type TdxResult } from '../../../attestation/tdx/verify.ts';
import { utf8 } from '../../../core/bytes.ts';
import { buildCase, filled, svn, type Faults } from '../../support/tdx/case.ts';
import {
  createTestPki,
  DAY_MS,
  NOW_MS,
  PLATFORM_COMPONENTS,
  type TestPki,
} from '../../support/tdx/pki.ts';

let pki: TestPki;
before(async () => {
  pki = await createTestPki();
});

async function tcbOf(faults: Faults): Promise<NonNullable<TdxResult['tcb']>> {
  const { tcb } = verifyTdx(await buildCase(pki, faults));
  return tcb ?? assert.fail('not authentic');
}

const NAMES = new Map([
  ['sgx[0]', { category: 'BIOS', type: 'Early Microcode Update' }],
  ['sgx[7]', { category: 'OS/VMM', type: 'SEAMLDR ACM' }],
  ['sgx[3]', { category: 'BIOS' }],
]);

test('a machine that is up to date is not behind', async () => {
  assert.deepEqual(behindParts(await tcbOf({}), NAMES), []);
});

test('a platform names each component with what it has, what it needs and who delivers it', async () => {
  const components = PLATFORM_COMPONENTS.map((value, at) => (at === 0 ? value - 1 : value));
  const [part, ...more] = behindParts(
    await tcbOf({ certificates: { facts: { components, pceSvn: 11 } } }),
    NAMES,
  );
  assert.deepEqual(more, []);
  assert.equal(part?.part, 'platform');
  assert.equal(part.judged, 'both');
  assert.equal(part.status, 'OutOfDate');
  assert.equal(part.tcbDate, '2024-11-13');
  assert.deepEqual(part.advisoryIds, ['TEST-SA-P3']);
  assert.deepEqual(part.components, [
    { component: 'sgx[0]', have: 3, need: 4, name: 'BIOS, Early Microcode Update' },
    { component: 'pcesvn', have: 11, need: 13, name: 'provisioning enclave (PCE)' },
  ]);
  assert.match(part.remedies.join(' '), /BIOS with newer microcode.*platform software.*new quote/);
});

test('components that the document does not name are said to be so', async () => {
  const components = PLATFORM_COMPONENTS.map((value, at) => (at === 5 ? value - 1 : value));
  const [part] = behindParts(await tcbOf({ certificates: { facts: { components } } }), NAMES);
  assert.equal(part?.components[0]?.name, 'component that Intel does not name');
});

test('a module and a quoting enclave are told apart from the platform', async () => {
  const parts = behindParts(
    await tcbOf({ quote: { td: { teeTcbSvn: svn(3, 1, 4) }, qe: { isvSvn: 4 } } }),
    NAMES,
  );
  assert.deepEqual(
    parts.map(({ part, components }) => [part, components[0]?.have, components[0]?.need]),
    [
      ['TDX module', 3, 5],
      ['quoting enclave', 4, 6],
    ],
  );
  assert.match(parts[0]?.remedies.join(' ') ?? '', /newer TDX module/);
  assert.match(parts[1]?.remedies.join(' ') ?? '', /tdx-qgs/);
});

test('a module that was updated under the guest asks for a relaunch', async () => {
  const tcb = await tcbOf({
    quote: {
      version: 5,
      body: 3,
      td: {
        teeTcbSvn: svn(3, 1, 4),
        v15: { teeTcbSvn2: svn(5, 1, 4), mrServiceTd: filled(48, 0) },
      },
    },
  });
  assert.equal(tcb.status, 'TDRelaunchAdvised');
  assert.match(relaunchAdvice(tcb) ?? '', /^Relaunch the guest/);
  assert.deepEqual(
    behindParts(tcb, NAMES).map(({ part, judged }) => [part, judged]),
    [['TDX module', 'launch']],
  );
});

test('a machine without that status gets no such advice', async () => {
  assert.equal(relaunchAdvice(await tcbOf({})), undefined);
});

test('names come from the signed document, and only in a plain form', () => {
  const component = (category: unknown, type: unknown) => ({ svn: 1, category, type });
  const list = [
    component('BIOS', 'Early Microcode Update'),
    component('OS/VMM', 7),
    component('\u001b[31mBIOS', 'x'),
    component('a'.repeat(80), 'x'),
    ...Array.from({ length: 12 }, () => ({ svn: 0 })),
  ];
  const body = {
    tcbInfo: { tcbLevels: [{ tcb: { sgxtcbcomponents: list, tdxtcbcomponents: list.slice(4) } }] },
    signature: '00'.repeat(64),
  };
  assert.deepEqual(
    [...componentNames(utf8(JSON.stringify(body)))],
    [
      ['sgx[0]', { category: 'BIOS', type: 'Early Microcode Update' }],
      ['sgx[1]', { category: 'OS/VMM' }],
    ],
  );
});

test('a document that cannot be read names nothing', () => {
  for (const text of ['', '{', '{}', '{"tcbInfo":{"tcbLevels":[]},"signature":""}', 'null']) {
    assert.equal(componentNames(utf8(text)).size, 0, text);
  }
});

test('advice about time says which document, how far off, and on which side', () => {
  const used = (kind: 'tcbInfo' | 'rootCrl', issuedMs: number, nextUpdateMs: number) => ({
    kind,
    sha256: filled(32, 7),
    issuedMs,
    nextUpdateMs,
  });
  const advice = freshnessAdvice(
    [
      used('tcbInfo', NOW_MS - 40 * DAY_MS, NOW_MS - 10 * DAY_MS),
      used('rootCrl', NOW_MS + 3 * DAY_MS, NOW_MS + 33 * DAY_MS),
    ],
    NOW_MS,
  );
  assert.match(advice.get('tcbInfo.freshness') ?? '', /TCB info expired on .*, 10 days before/);
  assert.match(advice.get('rootCrl.freshness') ?? '', /begins on .*, 3 days after .*clock/);
  assert.equal(freshnessAdvice([used('tcbInfo', NOW_MS - 1, NOW_MS)], NOW_MS).size, 0);
});
