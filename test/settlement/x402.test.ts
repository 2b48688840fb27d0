/** The x402 headers: what goes in comes out, and each malformed member is refused. Spec: ton-settlement §4.5. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { fromBase64, fromUtf8, toBase64, toHex, utf8 } from '../../core/bytes.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';
import { signStatement, statementSigner } from '../../settlement/statement.ts';
import { signPass } from '../../settlement/pass.ts';
import { signVoucher } from '../../settlement/voucher.ts';
import {
  encodePaymentRequired,
  encodePaymentResponse,
  encodePaymentSignature,
  parsePaymentRequired,
  parsePaymentResponse,
  parsePaymentSignatureUnverified,
  X402_MAX_CHARS,
  type PaymentRequired,
  type PaymentResponse,
  type PaymentSignature,
} from '../../settlement/x402.ts';
import { receiptOf } from '../support/ledger-lab.ts';

const REFUSED = { code: 'settlement.artefact' };
const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const VOUCHER = signVoucher(PAYER.secretKey, {
  channel: CHANNEL,
  epoch: 3,
  ceiling: amount(AMOUNT_MAX),
});
const ADDRESS = `0:${toHex(randomBytes(32))}`;

const BARE: PaymentRequired = {
  code: 'channel_unknown',
  network: 'tvm:-239',
  amount: amount(1234n),
  asset: 'TON',
  payTo: ADDRESS,
  maxTimeoutS: 600,
  receiverAuthorizer: randomBytes(32),
  withdrawDelayS: 86_400,
  codeHash: randomBytes(32),
  feeBps: 500,
};
const FULL: PaymentRequired = {
  ...BARE,
  code: 'insufficient_ceiling',
  priceDigest: randomBytes(32),
  quoteValidUntilMs: 1_700_000_000_000,
  channelState: {
    channel: CHANNEL,
    epoch: 3,
    deposited: amount(AMOUNT_MAX),
    refunded: amount(1n),
    withdrawing: amount(2n),
    claimed: amount(3n),
    charged: amount(4n),
    reserved: amount(5n),
    n: 2n ** 64n - 1n,
  },
  voucherState: { epoch: 3, ceiling: VOUCHER.ceiling, signature: VOUCHER.signature },
};
const PAID: PaymentSignature = {
  network: 'tvm:-3',
  voucher: VOUCHER,
  pass: signPass(PAYER.secretKey, CHANNEL, [{ kind: 'expiry', notAfterMs: 5000 }]),
  terms: {
    network: 'tvm:-3',
    payer: ADDRESS,
    payee: `0:${toHex(randomBytes(32))}`,
    payerKey: PAYER.publicKey,
    payeeKey: randomBytes(32),
    withdrawDelayS: 86_400,
    salt: 2n ** 64n - 1n,
  },
};
const RECEIPT = receiptOf(randomBytes(16), 60n);
const SETTLED: PaymentResponse = {
  network: 'tvm:-3',
  receipt: RECEIPT,
  statement: signStatement(
    {
      channel: CHANNEL,
      epoch: 3,
      n: 7n,
      requestId: RECEIPT.receipt.requestId,
      receiptHash: RECEIPT.hash,
      amount: amount(60n),
      cum: amount(100n),
      atMs: 1,
      policyDigest: randomBytes(32),
    },
    statementSigner(generateEd25519().secretKey),
  ),
};

test('what each header says comes back from its text', () => {
  for (const required of [BARE, FULL, { ...BARE, asset: 'USDT' as const, assetMaster: ADDRESS }]) {
    assert.deepEqual(parsePaymentRequired(encodePaymentRequired(required)), required);
  }
  const { terms: _, ...withoutTerms } = PAID;
  for (const paid of [PAID, withoutTerms]) {
    assert.deepEqual(parsePaymentSignatureUnverified(encodePaymentSignature(paid)), paid);
  }
  const { network: __, ...withoutNetwork } = SETTLED;
  for (const settled of [SETTLED, withoutNetwork]) {
    assert.deepEqual(parsePaymentResponse(encodePaymentResponse(settled)), settled);
  }
});

test('every header fits into what servers and proxies let through', () => {
  const texts = [
    encodePaymentRequired(FULL),
    encodePaymentSignature(PAID),
    encodePaymentResponse(SETTLED),
  ];
  for (const text of texts) assert.ok(text.length < X402_MAX_CHARS / 2);
});

/** One replacement in the JSON of a header that parsed before. */
function altered(header: string, [from, to]: readonly [string | RegExp, string]): string {
  const json = fromUtf8(fromBase64(header));
  const changed = json.replace(from, to);
  assert.notEqual(changed, json, `nothing to replace: ${String(from)}`);
  return toBase64(utf8(changed));
}

const EDIT = [/^\{/, '{"more":1,'] as const;

test('a demand with any malformed member is refused', () => {
  const header = encodePaymentRequired(FULL);
  const edits: readonly (readonly [string | RegExp, string])[] = [
    EDIT,
    [/"x402Version":2/, '"x402Version":1'],
    [/"error":"[a-z_]+"/, '"error":"No Such"'],
    [/"error":"[a-z_]+",/, ''],
    [/"accepts":\[(.*)\]/, '"accepts":[]'],
    [/"accepts":\[(.*)\]/, '"accepts":[$1,$1]'],
    [/"scheme":"[a-z-]+"/, '"scheme":"exact"'],
    [/"network":"[^"]+"/, '"network":"eip155:1"'],
    [/"amount":"1234"/, '"amount":1234'],
    [/"amount":"1234"/, '"amount":"-1"'],
    [/"amount":"1234"/, '"amount":"01"'],
    [/"amount":"1234"/, '"amount":"9223372036854775808"'],
    [/"asset":"native"/, '"asset":"TON"'],
    [/"payTo":"0:/, '"payTo":"-1:'],
    [/"maxTimeoutSeconds":600/, '"maxTimeoutSeconds":0'],
    [/"receiverAuthorizer":"[0-9a-f]{2}/, '"receiverAuthorizer":"'],
    [/"codeHash":"[0-9a-f]/, '"codeHash":"G'],
    [/"withdrawDelay":86400/, '"withdrawDelay":4294967296'],
    [/"feeBps":500/, '"feeBps":10001'],
    [/"channelState":\{/, '"channelState":{"more":1,'],
    [/"charged":"4"/, '"charged":"x"'],
    [/"n":"\d+"/, '"n":"18446744073709551616"'],
    [/"epoch":3/, '"epoch":65536'],
    [/"signature":"[0-9a-f]{2}/, '"signature":"'],
    [/"feeBps":500/, '"feeBps":500,"feeBps":500'],
  ];
  for (const edit of edits) {
    assert.throws(() => parsePaymentRequired(altered(header, edit)), REFUSED, String(edit));
  }
});

test('a payment with any malformed member is refused', () => {
  const header = encodePaymentSignature(PAID);
  const edits: readonly (readonly [string | RegExp, string])[] = [
    EDIT,
    [/"x402Version":2/, '"x402Version":3'],
    [/"accepted":\{[^}]*\},/, ''],
    [/"scheme":"[a-z-]+"/, '"scheme":"exact"'],
    [/"network":"[^"]+"/, '"network":"tvm:x"'],
    [/"token":"native"/, `"token":"${ADDRESS}"`],
    [/"payer":"0:/, '"payer":"'],
    [/"payerAuthorizer":"[0-9a-f]{2}/, '"payerAuthorizer":"'],
    [/"salt":"\d+"/, '"salt":"18446744073709551616"'],
    [/"channelId":"[0-9a-f]{2}/, '"channelId":"'],
    [/"maxClaimableAmount":"\d+"/, '"maxClaimableAmount":"9223372036854775808"'],
    [/"epoch":3/, '"epoch":-1'],
    [/"signature":"[0-9a-f]/, '"signature":"A'],
    [/"voucher":\{/, '"voucher":{"more":1,'],
  ];
  for (const edit of edits) {
    assert.throws(
      () => parsePaymentSignatureUnverified(altered(header, edit)),
      REFUSED,
      String(edit),
    );
  }
});

test('payloads that are operations of the chain are refused by their name', () => {
  const header = encodePaymentSignature(PAID);
  for (const type of ['deposit', 'refund']) {
    const other = altered(header, [/"type":"voucher"/, `"type":"${type}"`]);
    assert.throws(() => parsePaymentSignatureUnverified(other), {
      ...REFUSED,
      message: new RegExp(`payload ${type}`),
    });
  }
  const unknown = altered(header, [/"type":"voucher"/, '"type":"gift"']);
  assert.throws(
    () => parsePaymentSignatureUnverified(unknown),
    (error: Error) => !error.message.includes('gift'),
  );
});

test('what general x402 clients add beside the payload is bounded and not read', () => {
  const header = encodePaymentSignature(PAID);
  const more = altered(header, [/"scheme"/, '"payTo":"x","resource":{"url":"u"},"scheme"']);
  assert.deepEqual(parsePaymentSignatureUnverified(more), PAID);
  const deep = altered(header, [/^\{/, `{"extensions":${'['.repeat(40)}${']'.repeat(40)},`]);
  assert.throws(() => parsePaymentSignatureUnverified(deep), REFUSED);
});

test('a settlement whose clear members differ from its signed bytes is refused', () => {
  const header = encodePaymentResponse(SETTLED);
  const other = receiptOf(RECEIPT.receipt.requestId, 61n);
  const edits: readonly (readonly [string | RegExp, string])[] = [
    EDIT,
    [/"success":true/, '"success":false'],
    [/"transaction":""/, '"transaction":"x"'],
    [/"amount":"60"/, '"amount":"61"'],
    [/"cum":"100"/, '"cum":"101"'],
    [/"n":"7"/, '"n":"8"'],
    [/"requestId":"[0-9a-f]{32}"/, `"requestId":"${toHex(randomBytes(16))}"`],
    [/"receipt":"[^"]+"/, `"receipt":"${toBase64(other.payload)}"`],
    [/"receipt":"[^"]+"/, '"receipt":"AAAA"'],
    [/"statement":"[^"]+"/, '"statement":"AAAA"'],
  ];
  for (const edit of edits) {
    assert.throws(() => parsePaymentResponse(altered(header, edit)), REFUSED, String(edit));
  }
});

test('what is no base64 of one JSON object is refused', () => {
  const parsers = [parsePaymentRequired, parsePaymentSignatureUnverified, parsePaymentResponse];
  const texts = ['', '=', 'e30', 'e30=e30=', toBase64(utf8('{')), toBase64(utf8('[]')), 'é'];
  for (const parse of parsers) {
    for (const text of [...texts, 'A'.repeat(X402_MAX_CHARS + 4)]) {
      assert.throws(() => parse(text), REFUSED);
    }
  }
});
