/** Requests that are paid from a channel on a devnet, from the announcement to the close. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { fixed, toBase64Url, toHex, utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { signEd25519 } from '#primitives';
import {
  formatPass,
  parsePassUnverified,
  signPass,
  type Caveat,
} from '../../../settlement/pass.ts';
import { amount, NOTHING } from '../../../settlement/money.ts';
import {
  encodePaymentSignature,
  parsePaymentRequired,
  PASS_HEADER,
  PAYMENT_REQUIRED_HEADER,
  paymentHeaders,
} from '../../../settlement/x402.ts';
import { formatVoucher, type Voucher } from '../../../settlement/voucher.ts';
import { encodeWithdraw } from '../../../settlement/withdraw.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import { post, type RawAnswer } from '../../support/gateway-lab.ts';
import { answering, type SxWorker } from '../../support/sx-worker.ts';
import {
  announced,
  openPaidLab,
  TON,
  type PaidLab,
  type TestPayer,
} from '../../support/ton/paid-gateway.ts';
import { until } from '../../support/until.ts';

const COST = 1010n;
const NEED = 1640n;
const MODEL_CAP = amount(NEED);

let lab: PaidLab;
let worker: SxWorker;

before(async () => {
  lab = await openPaidLab();
  worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
});
after(() => lab.close());

const ERROR = z.object({ error: z.object({ code: z.string() }) });

function codeOf({ body }: RawAnswer): string {
  return ERROR.parse(parseJson(body, 65_536)).error.code;
}

function ask(payer: TestPayer, headers: Readonly<Record<string, string>>): Promise<RawAnswer> {
  const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: NEED, payer: payer.channel });
  return post(lab, '/sx/v1/exchange', bytes, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(bytes.length),
    ...headers,
  });
}

test('a voucher pays for a request, and the same one for as many as fit under it', async () => {
  const payer = await lab.payer();
  const voucher = payer.voucher(NEED + COST);
  for (const status of [200, 200, 402]) {
    assert.equal((await ask(payer, payer.shown(voucher))).status, status);
  }
  const account = await lab.gateway.ledger.findAccount(payer.channel);
  assert.deepEqual([account?.charged, account?.reserved], [2n * COST, 0n]);
});

test('a refusal says where the channel stands and which voucher is held, so that the next one fits', async () => {
  const payer = await lab.payer();
  const low = payer.voucher(NEED - 1n);
  const answer = await ask(payer, payer.shown(low));
  assert.equal(answer.status, 402);
  assert.equal(codeOf(answer), 'insufficient_ceiling');
  const required = parsePaymentRequired(String(answer.headers[PAYMENT_REQUIRED_HEADER]));
  assert.equal(required.amount, NEED);
  assert.equal(required.network, lab.payee.network);
  assert.equal(required.payTo, lab.payee.address);
  assert.equal(required.channelState?.charged, 0n);
  assert.equal(required.channelState.deposited, TON);
  assert.deepEqual(required.voucherState?.signature, low.signature);
  assert.equal((await ask(payer, payer.shown(payer.voucher(required.amount)))).status, 200);
});

test('the standard header pays as the compact one does', async () => {
  const payer = await lab.payer();
  const { network } = lab.payee;
  const value = encodePaymentSignature({
    network,
    voucher: payer.voucher(NEED),
    pass: parsePassUnverified(payer.shown(payer.voucher(NEED))[PASS_HEADER] ?? ''),
  });
  assert.equal((await ask(payer, { 'payment-signature': value })).status, 200);
});

test('a token pays until it is spent, and only for what it allows', async () => {
  const payer = await lab.payer();
  const voucher = payer.voucher(2n * NEED);
  const asKey = (...caveats: readonly Caveat[]) => ({
    authorization: `Bearer ${payer.token(voucher, caveats)}`,
  });
  assert.equal((await ask(payer, asKey())).status, 200);
  assert.equal((await ask(payer, asKey({ kind: 'request-cap', cap: MODEL_CAP }))).status, 200);
  const tight = asKey({ kind: 'request-cap', cap: amount(NEED - 1n) });
  const refused = await ask(payer, tight);
  assert.deepEqual([refused.status, codeOf(refused)], [403, 'bearer_forbids']);
  const elsewhere = asKey({ kind: 'models', models: ['other/model'] });
  assert.equal(codeOf(await ask(payer, elsewhere)), 'bearer_forbids');
  const late = asKey({ kind: 'expiry', notAfterMs: lab.gateway.clock() - 1 });
  assert.equal(codeOf(await ask(payer, late)), 'pass_invalid');
  const endless = lab.gateway.clock() + 40 * 86_400_000;
  const { secretKey, channel } = payer;
  const pass = signPass(secretKey, channel, [{ kind: 'expiry', notAfterMs: endless }]);
  assert.equal(codeOf(await ask(payer, paymentHeaders({ voucher, pass }))), 'pass_invalid');
});

test('a token ends with the next voucher of its channel', async () => {
  const payer = await lab.payer();
  const token = { authorization: `Bearer ${payer.token(payer.voucher(2n * NEED))}` };
  assert.equal((await ask(payer, token)).status, 200);
  assert.equal((await ask(payer, payer.shown(payer.voucher(3n * NEED)))).status, 200);
  const refused = await ask(payer, token);
  assert.deepEqual([refused.status, codeOf(refused)], [402, 'voucher_stale']);
});

test('a pass is of its channel, of its key, and whole', async () => {
  const payer = await lab.payer();
  const other = await lab.payer();
  const voucher = payer.voucher(NEED);
  const { [PASS_HEADER]: good = '', ...alone } = payer.shown(voucher);
  const { [PASS_HEADER]: others = '' } = other.shown(other.voucher(NEED));
  const [caveats = '', signature = ''] = good.split('.');
  const notAfterMs = lab.gateway.clock() + 120_000;
  const later = signPass(payer.secretKey, payer.channel, [{ kind: 'expiry', notAfterMs }]);
  const [longer = ''] = formatPass(later).split('.');
  for (const [pass, code] of [
    [undefined, 'pass_invalid'],
    [others, 'pass_invalid'],
    [`${longer}.${signature}`, 'pass_invalid'],
    [`${caveats}.${'A'.repeat(86)}`, 'pass_invalid'],
    [caveats, 'settlement.artefact'],
  ] as const) {
    const headers = pass === undefined ? alone : { ...alone, [PASS_HEADER]: pass };
    assert.equal(codeOf(await ask(payer, headers)), code, pass);
  }
  assert.equal((await ask(payer, payer.shown(voucher))).status, 200);
});

test('vouchers are refused each for its own reason', async () => {
  const payer = await lab.payer();
  const other = await lab.payer();
  const good = payer.voucher(NEED);
  const forged = { ...good, signature: other.voucher(NEED).signature };
  const unknown = { ...good, channel: fixed(new Uint8Array(32).fill(1), 32) };
  for (const [voucher, code] of [
    [forged, 'voucher_bad_signature'],
    [unknown, 'channel_unknown'],
    [payer.voucher(NEED, 1), 'epoch_mismatch'],
    [payer.voucher(2n * TON), undefined],
  ] as const) {
    const answer = await ask(payer, payer.shown(voucher));
    assert.equal(answer.status === 200 ? undefined : codeOf(answer), code);
  }
});

test('a request sealed for another payer is refused with a good voucher', async () => {
  const payer = await lab.payer();
  const other = await lab.payer();
  const answer = await ask(other, payer.shown(payer.voucher(NEED)));
  assert.deepEqual([answer.status, codeOf(answer)], [403, 'gateway.payer']);
});

test('no more is served than was deposited, whatever the voucher promises', async () => {
  const payer = await lab.payer({ deposit: 500_000_000n });
  await lab.gateway.ledger.adoptCharge({
    account: payer.channel,
    cum: amount(500_000_000n - NEED + 1n),
    reference: fixed(new Uint8Array(32), 32),
    nowMs: lab.gateway.clock(),
  });
  const answer = await ask(payer, payer.shown(payer.voucher(TON)));
  assert.equal(codeOf(answer), 'insufficient_deposit');
});

test('until a claim is seen on chain a channel owes no more than the ramp', async () => {
  const payer = await lab.payer();
  const RAMP = 200_000_000n;
  await lab.gateway.ledger.adoptCharge({
    account: payer.channel,
    cum: amount(RAMP - NEED + 1n),
    reference: fixed(new Uint8Array(32), 32),
    nowMs: lab.gateway.clock(),
  });
  const answer = await ask(payer, payer.shown(payer.voucher(TON)));
  assert.equal(codeOf(answer), 'ramp_cap');
});

test('what is announced is computed and read, not believed', async () => {
  const payer = await lab.payer({ announce: false });
  const { channel, terms } = payer;
  for (const [change, code] of [
    [{ terms: { ...terms, network: 'tvm:-239' } }, 'wrong_network'],
    [{ terms: { ...terms, payee: terms.payer } }, 'wrong_payee'],
    [{ terms: { ...terms, payeeKey: terms.payerKey } }, 'wrong_payee_key'],
    [{ terms: { ...terms, withdrawDelayS: 1 } }, 'delay_too_short'],
    [{ terms: { ...terms, salt: terms.salt + 1_000_000n } }, 'code_hash_unknown'],
    [{ channel: fixed(new Uint8Array(32).fill(3), 32) }, 'code_hash_unknown'],
  ] as const) {
    const answer = await announced(lab, { channel, terms, ...change });
    assert.equal(codeOf(answer), code);
  }
  const small = await lab.payer({ announce: false, deposit: 20_000_000n });
  assert.equal(codeOf(await small.announce()), 'deposit_too_small');
  assert.equal((await payer.announce()).status, 200);
  assert.equal((await payer.announce()).status, 200, 'again is the same');
  const junk = await post(lab, '/v1/channels', utf8('{"channel":1}'), {
    'content-type': 'application/json',
  });
  assert.deepEqual([junk.status, codeOf(junk)], [400, 'gateway.body']);
});

test('strangers see of a channel what the chain shows, its payer where it stands', async () => {
  const payer = await lab.payer();
  await ask(payer, payer.shown(payer.voucher(NEED)));
  const path = `/v1/channels/${toHex(payer.channel)}`;
  const shown = async (headers: Readonly<Record<string, string>>) =>
    z
      .looseObject({ deposited: z.string() })
      .parse(parseJson((await post(lab, path, new Uint8Array(), headers, 'GET')).body, 65_536));
  assert.equal((await shown({}))['charged'], undefined);
  const own = await shown(payer.shown(payer.voucher(0n)));
  assert.deepEqual([own['charged'], own['ceiling']], [COST.toString(), NEED.toString()]);
  const nosy = await lab.payer();
  assert.equal((await shown(nosy.shown(nosy.voucher(0n))))['charged'], undefined);
});

test('a higher voucher can be brought without a request', async () => {
  const payer = await lab.payer();
  const bring = (voucher: Voucher) =>
    post(lab, '/v1/payments/voucher', utf8(JSON.stringify({ voucher: formatVoucher(voucher) })), {
      'content-type': 'application/json',
      ...payer.shown(voucher),
    });
  assert.equal((await bring(payer.voucher(NEED))).status, 200);
  const stale = await bring(payer.voucher(NEED - 1n));
  assert.deepEqual([stale.status, codeOf(stale)], [402, 'voucher_stale']);
});

test('only its payer closes a channel: what was charged is paid, and the rest goes back', async () => {
  const payer = await lab.payer();
  await ask(payer, payer.shown(payer.voucher(NEED)));
  const validUntil = lab.devnet.nowS() + 600;
  const terms = { channel: payer.channel, epoch: 0, amount: NOTHING, validUntilS: validUntil };
  const wish = (secretKey: typeof payer.secretKey) => ({
    withdraw: {
      epoch: 0,
      amount: '0',
      validUntil,
      signature: toBase64Url(signEd25519(secretKey, encodeWithdraw(terms))),
    },
  });
  const close = (body: object) =>
    post(lab, `/v1/channels/${toHex(payer.channel)}/close`, utf8(JSON.stringify(body)), {
      'content-type': 'application/json',
    });
  const thief = await lab.payer();
  assert.equal(codeOf(await close(wish(thief.secretKey))), 'voucher_bad_signature');
  assert.equal((await close(wish(payer.secretKey))).status, 200);
  await until(
    async () => (await lab.gateway.ledger.findAccount(payer.channel))?.isClosing === true,
  );
  const later = await ask(payer, payer.shown(payer.voucher(NEED)));
  assert.ok(['channel_closing', 'epoch_mismatch'].includes(codeOf(later)));
});
