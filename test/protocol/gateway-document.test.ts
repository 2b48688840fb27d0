/** What a gateway's document says about money, and what it must not say. Spec: overview "Identities". @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519PublicKey, generateEd25519, signEd25519 } from '#primitives';
import { ascii, concat, fixed, fromBase64, fromUtf8, toBase64, utf8 } from '../../core/bytes.ts';
import { canonicalJson, type JsonObject } from '../../core/json.ts';
import {
  GATEWAY_DOCUMENT_FORMAT,
  signGatewayDocument,
  verifyGatewayDocument,
  type GatewayDocumentJson,
  type GatewaySettlement,
} from '../../protocol/gateway-document.ts';

const NOW_MS = 1_790_000_000_000;
const { secretKey } = generateEd25519();
const filled = (value: number) => fixed(new Uint8Array(32).fill(value), 32);
const SETTLEMENT: GatewaySettlement = {
  payee: {
    network: 'tvm:-217',
    address: `0:${'ab'.repeat(32)}`,
    key: filled(1),
    codeHash: filled(2),
    withdrawDelayMinS: 86_400,
    depositMin: 9_007_199_254_740_993n,
  },
  feeBps: 1500,
  ledgerKeys: [filled(3), filled(4)],
};

const sign = (bytes: Uint8Array) => signEd25519(secretKey, bytes);

function signed(settlement: GatewaySettlement): GatewayDocumentJson {
  return signGatewayDocument(
    {
      identity: ed25519PublicKey(secretKey),
      tlsSpkiSha256: [],
      baseUrls: [],
      settlement,
      issuedMs: NOW_MS,
      expiresMs: NOW_MS + 1000,
    },
    sign,
  );
}

const MEMBERS: Readonly<Record<string, RegExp>> = {
  feeBps: /"feeBps":\d+/,
  ledgerKeys: /"ledgerKeys":\[[^\]]*\]/,
  payee: /"payee":\{[^}]*\}/,
};

/** The document with one member of it replaced, and signed again by its owner. */
function altered(members: JsonObject): GatewayDocumentJson {
  // Members come sorted, so each is replaced where it stands.
  let text = fromUtf8(fromBase64(signed(SETTLEMENT).document));
  for (const [name, value] of Object.entries(members)) {
    const before = text;
    text = text.replace(MEMBERS[name] ?? /never/, () => `"${name}":${canonicalJson(value)}`);
    assert.notEqual(text, before, name);
  }
  const bytes = utf8(text);
  const input = concat(ascii(GATEWAY_DOCUMENT_FORMAT), Uint8Array.of(0), bytes);
  return { document: toBase64(bytes), signature: toBase64(sign(input)) };
}

test('how a gateway settles comes out as it went in', () => {
  assert.deepEqual(verifyGatewayDocument(signed(SETTLEMENT), NOW_MS).settlement, SETTLEMENT);
  const without = { ...SETTLEMENT, payee: null };
  assert.deepEqual(verifyGatewayDocument(signed(without), NOW_MS).settlement, without);
});

for (const [what, members] of Object.entries({
  'a fee above everything': { feeBps: 10_001 },
  'a fee below nothing': { feeBps: -1 },
  'a ledger key of another size': { ledgerKeys: ['AAAA'] },
  'a payee without its key': { payee: { network: 'tvm:-217', address: `0:${'ab'.repeat(32)}` } },
})) {
  test(`${what} is not a gateway's document`, () => {
    assert.throws(() => verifyGatewayDocument(altered(members), NOW_MS), {
      code: 'gatewayDocument.format',
    });
  });
}
