/** API keys that pay from a balance: what is reserved, settled, refused, and who may see it. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { fromUtf8, toHex } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { createApiKey, keyHashOf } from '../../../gateway/accounts.ts';
import { creditBalance } from '../../../gateway/payments/balances.ts';
import { ResponseReader } from '../../../protocol/sx/read-response.ts';
import { parsePriceBook } from '../../../settlement/prices.ts';
import { amount } from '../../../settlement/money.ts';
import { isStatementSignedBy, parseStatementUnverified } from '../../../settlement/statement.ts';
import { verifyGatewayDocument } from '../../../protocol/gateway-document.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import { exchange, openLab, post, type Lab, type RawAnswer } from '../../support/gateway-lab.ts';
import { answering, type SxWorker } from '../../support/sx-worker.ts';
import { until } from '../../support/until.ts';

const FEE_BPS = 500;
/** Of one prompt token and one of output: base 1000, and 10 units of the two together. */
const COST = 1010n;
/** At the bounds of the lab, 64 and 64: 1000 + 640. */
const NEED = 1640n;

let lab: Lab;
let worker: SxWorker;

before(async () => {
  lab = await openLab({
    config: { settlement: { feeBps: FEE_BPS, custodial: 'operator-holds-balances' } },
  });
  worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
});
after(() => lab.close());

async function funded(units: bigint) {
  const { apiKey } = createApiKey(lab.gateway.store, 'payer', lab.gateway.clock());
  const account = keyHashOf(apiKey);
  if (units > 0n) {
    await creditBalance(lab.gateway.ledger, {
      account,
      asset: 'TON',
      amount: amount(units),
      reference: `test ${apiKey}`,
      nowMs: lab.gateway.clock(),
    });
  }
  return { apiKey, account, port: lab.port };
}

const sealFor = ({ account }: { account: ReturnType<typeof keyHashOf> }, maxAmount = NEED) =>
  lab.seal(lab.keysOf(worker), '{}', { maxAmount, payer: account });

async function getJson(path: string, apiKey: string): Promise<{ status: number; body: unknown }> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const answer = await post(lab, path, new Uint8Array(), headers, 'GET');
  return { status: answer.status, body: parseJson(answer.body, 65_536) };
}

const ERROR = z.object({ error: z.object({ type: z.string(), code: z.string() }) });

function refusalOf(answer: RawAnswer): z.output<typeof ERROR>['error'] {
  return ERROR.parse(parseJson(answer.body, 65_536)).error;
}

test('a request is charged by its receipt, with a ledger line before FINAL', async () => {
  const payer = await funded(NEED);
  const sealed = sealFor(payer);
  const answer = await exchange(payer, sealed.bytes);
  assert.equal(answer.status, 200);
  const events = new ResponseReader(sealed.exchange).push(answer.body);
  const kinds = events.map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(-3), ['receipt', 'ledger-unverified', 'final']);
  const line = events.find((event) => event.kind === 'ledger-unverified');
  assert.ok(line !== undefined);
  const signed = parseStatementUnverified(line.bytes);
  const document = parseJson(
    (await post(lab, '/v1/gateway', new Uint8Array(), {}, 'GET')).body,
    65_536,
  );
  const { settlement } = verifyGatewayDocument(document, lab.gateway.clock());
  assert.equal(settlement.feeBps, FEE_BPS);
  assert.ok(settlement.ledgerKeys.some((key) => isStatementSignedBy(signed, key)));
  assert.equal(signed.statement.amount, COST);
  assert.equal(signed.statement.cum, COST);
  assert.equal(signed.statement.n, 1n);
  assert.deepEqual(signed.statement.channel, payer.account);
});

test('the worker is told what it has earned, less the fee', async () => {
  await until(() => worker.notices.length > 0);
  const notice = worker.notices.at(-1);
  assert.equal(notice?.earned, (COST * 9500n) / 10_000n);
  assert.equal(notice.workerSeq, 1n);
  assert.deepEqual(notice.statementHash, worker.epoch.statementHash);
});

test('what is left is not enough for a second one, and nobody is asked', async () => {
  const payer = await funded(NEED + COST - 1n);
  assert.equal((await exchange(payer, sealFor(payer).bytes)).status, 200);
  const before = worker.seen.count;
  const answer = await exchange(payer, sealFor(payer).bytes);
  assert.equal(answer.status, 402);
  assert.deepEqual(refusalOf(answer), { type: 'payment_required', code: 'insufficient_deposit' });
  assert.equal(answer.headers['x-should-retry'], 'false');
  assert.equal(worker.seen.count, before);
});

test('a key without a balance is asked to pay', async () => {
  const payer = await funded(0n);
  const answer = await exchange(payer, sealFor(payer).bytes);
  assert.equal(refusalOf(answer).code, 'insufficient_deposit');
});

test('of many at once no more are served than the balance covers', async () => {
  const payer = await funded(3n * NEED);
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => exchange(payer, sealFor(payer).bytes)),
  );
  const served = answers.filter(({ status }) => status === 200).length;
  // Those that ended early gave back what they did not use.
  assert.ok(served >= 3 && served < 8, `${served} served`);
  const account = await lab.gateway.ledger.findAccount(payer.account);
  assert.equal(account?.charged, BigInt(served) * COST);
  assert.equal(account.reserved, 0n);
  for (const { status } of answers) assert.ok(status === 200 || status === 402);
});

test('a ceiling below the price is reserved as it is, and the worker refuses it', async () => {
  const payer = await funded(10n * NEED);
  worker.script = { kind: 'status', status: 402 };
  const answer = await exchange(payer, sealFor(payer, NEED - 1n).bytes);
  worker.script = answering('hello');
  assert.equal(answer.status, 402);
  assert.equal(refusalOf(answer).code, 'sx.price');
  await until(async () => (await lab.gateway.ledger.findAccount(payer.account))?.reserved === 0n);
});

test('a settlement is shown to whoever paid it, and to nobody else', async () => {
  const payer = await funded(NEED);
  const sealed = sealFor(payer);
  await exchange(payer, sealed.bytes);
  const path = `/v1/settlements/chatcmpl-${toHex(sealed.msgId)}`;
  const { status, body } = await getJson(path, payer.apiKey);
  assert.equal(status, 200);
  const shown = z
    .looseObject({ state: z.string(), amount: z.string(), cum: z.string() })
    .parse(body);
  assert.equal(shown.state, 'settled');
  assert.equal(shown.amount, COST.toString());
  const other = await funded(NEED);
  assert.equal((await getJson(path, other.apiKey)).status, 404);
  assert.equal((await getJson('/v1/settlements/nonsense', payer.apiKey)).status, 404);
  assert.equal((await getJson(path, 'vg_unknown')).status, 401);
});

test('a request that was let go is said to be so to whoever asked for it, and to nobody else', async () => {
  const payer = await funded(NEED);
  worker.script = { kind: 'status', status: 402 };
  const sealed = sealFor(payer);
  await exchange(payer, sealed.bytes);
  worker.script = answering('hello');
  const path = `/v1/settlements/${toHex(sealed.msgId)}`;
  const stateOf = async (): Promise<unknown> => (await getJson(path, payer.apiKey)).body;
  const released = { requestId: toHex(sealed.msgId), state: 'released' };
  await until(async () => JSON.stringify(await stateOf()) === JSON.stringify(released));
  const other = await funded(NEED);
  assert.equal((await getJson(path, other.apiKey)).status, 404);
});

test('an account says where it stands', async () => {
  const payer = await funded(2n * NEED);
  await exchange(payer, sealFor(payer).bytes);
  const { body } = await getJson('/v1/account', payer.apiKey);
  const account = z
    .looseObject({ kind: z.string(), charged: z.string(), available: z.string() })
    .parse(body);
  assert.equal(account.kind, 'custodial');
  assert.equal(account.charged, COST.toString());
  assert.equal(account.available, (2n * NEED - COST).toString());
});

test('prices name the card that promises them', async () => {
  const answer = await post(lab, '/v1/pricing', new Uint8Array(), {}, 'GET');
  const book = parsePriceBook(answer.body);
  assert.equal(book.feeBps, FEE_BPS);
  assert.deepEqual(
    book.entries.map(({ prices }) => prices),
    [TEST_PRICES],
  );
  const [key] = lab.keysOf(worker);
  assert.deepEqual(book.entries[0]?.card, key?.priceDigest);
});

test('the operator can follow settlements, and waits for the next one', async () => {
  const admin = { port: lab.adminPort };
  const read = async (query: string) => {
    const answer = await post(admin, `/settlements?${query}`, new Uint8Array(), {}, 'GET');
    return z
      .object({ after: z.string(), entries: z.array(z.looseObject({ kind: z.string() })) })
      .parse(parseJson(answer.body, 1_000_000));
  };
  const all = await read('after=0');
  assert.ok(all.entries.some(({ kind }) => kind === 'credit'));
  const payer = await funded(NEED);
  const { after: tail } = await read('after=tail');
  const waiting = read(`after=${tail}&wait=10000`);
  const sealed = sealFor(payer);
  await exchange(payer, sealed.bytes);
  const [entry] = (await waiting).entries;
  assert.equal(entry?.kind, 'settle');
  assert.equal(entry['requestId'], toHex(sealed.msgId));
  assert.equal(
    (await post(admin, '/settlements?after=x', new Uint8Array(), {}, 'GET')).status,
    400,
  );
});

test('a voucher is refused where no channels are taken, before any body is read', async () => {
  const answer = await exchange({ port: lab.port, apiKey: lab.apiKey }, new Uint8Array(10), {
    'x-vg-voucher': 'A'.repeat(154),
  });
  assert.equal(answer.status, 400);
  assert.match(fromUtf8(answer.body), /settlement\.artefact|channel_unknown/);
});

test('without any settlement a worker with a price serves nobody', async (context) => {
  const free = await openLab();
  context.after(() => free.close());
  const priced = await free.worker(answering('hello'), { prices: TEST_PRICES });
  const sealed = free.seal(free.keysOf(priced), '{}', { maxAmount: NEED });
  const answer = await exchange(free, sealed.bytes);
  assert.equal(answer.status, 402);
  assert.equal(refusalOf(answer).code, 'account_free');
  assert.equal(priced.seen.count, 0);
});

test('balances belong to keys: a gateway without keys does not start with them', async () => {
  await assert.rejects(
    openLab({
      config: {
        accounts: { mode: 'open' },
        settlement: { custodial: 'operator-holds-balances' },
      },
    }),
    { code: 'gateway.config' },
  );
});
