/**
 * Somebody steals a token, or is given one, and tries to spend more than its caveats allow: without them, with other ones,
 * with a higher voucher of the channel that was read from the chain, or with the pass of another use.
 * Spec: ton-settlement §4.4.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { isPassSigned, signPass, type Caveat } from '../../settlement/pass.ts';
import { formatToken, parseTokenUnverified, signToken } from '../../settlement/token.ts';
import { amount } from '../../settlement/money.ts';
import { signVoucher } from '../../settlement/voucher.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { post } from '../support/gateway-lab.ts';
import { answering } from '../support/sx-worker.ts';
import { openPaidLab } from '../support/ton/paid-gateway.ts';
import { paymentHeaders } from '../../settlement/x402.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const END: Caveat = { kind: 'expiry', notAfterMs: 5000 };
/** At the bounds of the lab, 64 and 64. */
const NEED = 1640n;

test('no caveat is dropped, loosened, added or put in another order', () => {
  const cap: Caveat = { kind: 'request-cap', cap: amount(10n) };
  const voucher = signVoucher(PAYER.secretKey, { channel: CHANNEL, epoch: 0, ceiling: amount(9n) });
  const { pass } = signToken(PAYER.secretKey, voucher, [END, cap]);
  const { publicKey } = PAYER;
  assert.ok(isPassSigned(pass, CHANNEL, publicKey));
  const [end, capped, ceiling] = pass.caveats;
  assert.ok(end && capped && ceiling);
  const later: Caveat = { kind: 'expiry', notAfterMs: 5001 };
  for (const caveats of [
    [end, capped],
    [end, ceiling],
    [end],
    [capped, end, ceiling],
    [later, capped, ceiling],
    [end, capped, ceiling, later],
  ]) {
    assert.ok(!isPassSigned({ ...pass, caveats }, CHANNEL, publicKey));
  }
  assert.ok(!isPassSigned(pass, randomBytes(32), publicKey));
  assert.throws(() => signPass(PAYER.secretKey, CHANNEL, [cap]), { code: 'settlement.artefact' });
});

test('a token opens no higher voucher, wherever that was read', async (context) => {
  const lab = await openPaidLab();
  context.after(() => lab.close());
  const worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
  const payer = await lab.payer();
  const { pass } = signToken(payer.secretKey, payer.voucher(NEED), [
    { kind: 'expiry', notAfterMs: lab.gateway.clock() + 60_000 },
  ]);
  const published = payer.voucher(10n * NEED);
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: payer.channel });
  const answer = await post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(bytes.length),
    ...paymentHeaders({ voucher: published, pass }),
  });
  assert.equal(answer.status, 403);
  assert.equal(worker.seen.count, 0);
});

test('a pass that the gateway has just seen is not taken for one without its caveats', async (context) => {
  const lab = await openPaidLab();
  context.after(() => lab.close());
  const worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
  const payer = await lab.payer();
  const ask = async (token: string): Promise<number> => {
    const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: payer.channel });
    const headers = {
      'content-type': 'application/vnd.sx1.req',
      'content-length': String(bytes.length),
      authorization: `Bearer ${token}`,
    };
    return (await post(lab, '/sx/v1/exchange', bytes, headers)).status;
  };
  const cap: Caveat = { kind: 'request-cap', cap: amount(NEED - 1n) };
  const token = payer.token(payer.voucher(10n * NEED), [cap]);
  assert.equal(await ask(token), 403);
  const { voucher, pass } = parseTokenUnverified(token);
  const caveats = pass.caveats.filter(({ kind }) => kind === 'expiry');
  assert.equal(await ask(formatToken({ voucher, pass: { ...pass, caveats } })), 403);
  assert.equal(worker.seen.count, 0);
});
