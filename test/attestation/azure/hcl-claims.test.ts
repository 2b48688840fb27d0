/**
 * Runtime data is JSON that a host may have written: whatever stands in it ends in claims or in a reason why there are
 * none, never in an exception. Spec: Microsoft, "Confidential VM guest attestation design", runtime claims.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHcl } from '../../../attestation/azure/hcl.ts';
import { toBase64Url, utf8 } from '../../../core/bytes.ts';
import { writeHcl } from '../../support/snp/hcl.ts';

const REPORT = new Uint8Array(1184);
const AK = { kid: 'HCLAkPub', kty: 'RSA', e: 'AQAB', n: toBase64Url(new Uint8Array(256).fill(7)) };
const USER_DATA = '00'.repeat(64);

function claimsOf(text: string): ReturnType<typeof parseHcl>['claims'] {
  return parseHcl(writeHcl({ report: REPORT, runtimeData: utf8(text) })).claims;
}

function claimsWith(change: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ keys: [AK], 'user-data': USER_DATA, ...change });
}

function keyWith(change: Readonly<Record<string, unknown>>): string {
  return claimsWith({ keys: [{ ...AK, ...change }] });
}

test('exponents of one to four bytes are read', () => {
  for (const [e, exponent] of [
    ['Aw', 3],
    ['AQAB', 65_537],
    ['_____w', 0xffff_ffff],
  ] as const) {
    const claims = claimsOf(keyWith({ e }));
    assert.ok(claims.outcome === 'read');
    assert.equal(claims.value.attestationKey.exponent, exponent);
  }
});

const BROKEN = [
  '',
  '{',
  'null',
  'true',
  '0',
  '"x"',
  '[]',
  '[null]',
  '{}',
  '{"keys":{}}',
  '\ufeff{}',
  ...[null, 0, 'x', {}, [], [null], [0], ['x'], [[]], [{}], [AK, null], [AK, AK]].map((keys) =>
    claimsWith({ keys }),
  ),
  ...[null, 0, '', 'x', '00'.repeat(63), '00'.repeat(65), [], {}].map((userData) =>
    claimsWith({ 'user-data': userData }),
  ),
  ...[null, 0, [], {}, 'EC'].map((kty) => keyWith({ kty })),
  ...[null, 0, [], {}, '=', 'A'].map((n) => keyWith({ n })),
  ...[null, 0, [], {}, '=', 'AQAAAAA'].map((e) => keyWith({ e })),
];

test('whatever else stands there is a reason, not an exception', () => {
  for (const text of BROKEN) assert.equal(claimsOf(text).outcome, 'malformed', text);
});
