/** Pay as you go: what is reserved rises with vouchers, and without them the worker is asked to end. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { ResponseReader } from '../../../protocol/sx/read-response.ts';
import { formatVoucher, type Voucher } from '../../../settlement/voucher.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import { post, type RawAnswer } from '../../support/gateway-lab.ts';
import { receiptOf, type SxWorker, type Turn } from '../../support/sx-worker.ts';
import { openPaidLab, TON, type PaidLab, type TestPayer } from '../../support/ton/paid-gateway.ts';
import { until } from '../../support/until.ts';

const CHUNK = 8;
const STEP = 4;
/** At the bounds of the lab: 64 of prompt at 2 units, and base. */
const PROMPT = 1000n + 64n * 2n;
const PER_TOKEN = 8n;
/** base, one token of prompt, and the output. */
const used = (tokens: number): bigint => 1002n + BigInt(tokens) * PER_TOKEN;
const FIRST = PROMPT + 3n * BigInt(STEP) * PER_TOKEN;
const WHOLE = PROMPT + 64n * PER_TOKEN;

let lab: PaidLab;
let worker: SxWorker;
let turn = Promise.withResolvers<Turn>();

before(async () => {
  lab = await openPaidLab();
  worker = await lab.worker(
    {
      kind: 'answer',
      act: (begun) => {
        begun.response.on('error', () => undefined);
        begun.response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
        begun.response.write(
          begun.opened.responder.head(200, [['content-type', 'text/event-stream']]),
        );
        turn.resolve(begun);
      },
    },
    { prices: TEST_PRICES },
  );
});
after(() => lab.close());

interface Running {
  readonly payer: TestPayer;
  readonly begun: Turn;
  readonly answer: Promise<RawAnswer>;
  readonly msgId: string;
  reserved(): Promise<bigint>;
  /** So many tokens in all. */
  generate(tokens: number): void;
  finish(tokens: number): Promise<RawAnswer>;
}

async function begin(ceiling: bigint, chunk: string | null = String(CHUNK)): Promise<Running> {
  turn = Promise.withResolvers<Turn>();
  const payer = await lab.payer();
  const sealed = lab.seal(lab.keysOf(worker), '{}', {
    maxAmount: WHOLE,
    payer: payer.channel,
    stream: true,
  });
  const answer = post(lab, '/sx/v1/exchange', sealed.bytes, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(sealed.bytes.length),
    ...payer.shown(payer.voucher(ceiling)),
    ...(chunk === null ? {} : { 'x-vg-chunk': chunk }),
  });
  const begun = await Promise.race([turn.promise, answer.then(() => undefined)]);
  assert.ok(begun, 'admitted');
  let seq = 0;
  return {
    payer,
    begun,
    answer,
    msgId: toHex(sealed.msgId),
    reserved: async () => (await lab.gateway.ledger.findAccount(payer.channel))?.reserved ?? 0n,
    generate: (tokens) => {
      const { responder } = begun.opened;
      begun.response.write(responder.data(utf8('x')));
      const usage = { prompt: 1, cached: 0, completion: tokens, reasoning: 0 };
      begun.response.write(responder.meter({ signer: begun.epoch.signer, usage, seq: ++seq }));
    },
    finish: (tokens) => {
      begun.response.write(receiptOf(begun.opened, begun.epoch, tokens).bytes);
      begun.response.end(begun.opened.responder.final());
      const read = answer.then((whole) => {
        assert.equal(new ResponseReader(sealed.exchange).push(whole.body).at(-1)?.kind, 'final');
        return whole;
      });
      return read;
    },
  };
}

async function raise(payer: TestPayer, ceiling: bigint): Promise<void> {
  const voucher: Voucher = payer.voucher(ceiling);
  const body = utf8(JSON.stringify({ voucher: formatVoucher(voucher) }));
  const answer = await post(lab, '/v1/payments/voucher', body, {
    'content-type': 'application/json',
    ...payer.shown(voucher),
  });
  assert.equal(answer.status, 200);
}

test('a stream begins with a chunk and a half reserved, and meters are asked for by half chunks', async () => {
  const running = await begin(FIRST);
  assert.equal(running.begun.meterEvery, STEP);
  assert.equal(await running.reserved(), FIRST);
  await running.finish(1);
});

test('what is reserved follows the vouchers, and whoever follows is never stopped', async () => {
  const running = await begin(FIRST);
  for (let tokens = STEP; tokens <= 6 * STEP; tokens += STEP) {
    const need = used(tokens) + 3n * BigInt(STEP) * PER_TOKEN;
    await raise(running.payer, need > FIRST ? need : FIRST);
    running.generate(tokens);
    await until(async () => (await running.reserved()) >= (need > FIRST ? need : FIRST));
  }
  await running.finish(6 * STEP);
  assert.ok(!worker.stops.includes(running.msgId));
  const account = await lab.gateway.ledger.findAccount(running.payer.channel);
  assert.deepEqual([account?.charged, account?.reserved], [used(6 * STEP), 0n]);
});

test('whoever does not follow loses no more than was signed, and the worker nothing', async () => {
  const running = await begin(FIRST);
  let tokens = 0;
  while (!worker.stops.includes(running.msgId)) {
    tokens += STEP;
    assert.ok(tokens <= 64, 'stopped in time');
    running.generate(tokens);
    // The word travels while the next step is generated.
    for (let waited = 0; waited < 20 && !worker.stops.includes(running.msgId); waited++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  // One more step at most fits between the word and the end.
  const whole = used(tokens + STEP);
  assert.ok(whole <= FIRST, `${whole} of ${FIRST}`);
  await running.finish(tokens + STEP);
  const account = await lab.gateway.ledger.findAccount(running.payer.channel);
  assert.equal(account?.charged, whole);
});

test('a voucher that comes late, but in time, is enough', async () => {
  const running = await begin(FIRST);
  await raise(running.payer, TON);
  running.generate(STEP);
  await until(async () => (await running.reserved()) >= used(STEP) + 3n * BigInt(STEP) * PER_TOKEN);
  await running.finish(STEP);
  assert.ok(!worker.stops.includes(running.msgId));
});

test('a voucher that arrives while the ledger says no to the last one counts without another meter', async () => {
  const running = await begin(FIRST);
  const { ledger } = lab.gateway;
  const extend = ledger.extend.bind(ledger);
  let asked = 0;
  ledger.extend = async (asking) => {
    const said = await extend(asking);
    if (++asked === 1) {
      assert.equal(said.outcome, 'refused');
      await raise(running.payer, TON);
    }
    return said;
  };
  try {
    // Three steps more than this are beyond the first voucher, two are not.
    running.generate(4 * STEP);
    const need = used(4 * STEP) + 3n * BigInt(STEP) * PER_TOKEN;
    await until(async () => (await running.reserved()) >= need);
  } finally {
    ledger.extend = extend;
  }
  assert.ok(asked > 1);
  await running.finish(4 * STEP);
  assert.ok(!worker.stops.includes(running.msgId));
});

test('a false meter ends the answer, and the worker is at fault', async () => {
  const running = await begin(FIRST);
  const { responder } = running.begun.opened;
  running.begun.response.write(responder.data(utf8('x')));
  const usage = { prompt: 1, cached: 0, completion: STEP, reasoning: 0 };
  // Out of turn.
  running.begun.response.write(
    responder.meter({ signer: running.begun.epoch.signer, usage, seq: 7 }),
  );
  const answer = await running.answer;
  assert.match(String.fromCharCode(...answer.body.subarray(-40)), /sx\.meter/);
  await until(async () => (await running.reserved()) === 0n);
});

test('without a chunk everything is reserved first, and no meter is asked for', async () => {
  const running = await begin(WHOLE, null);
  assert.equal(running.begun.meterEvery, 0);
  assert.equal(await running.reserved(), WHOLE);
  await running.finish(1);
});

for (const chunk of ['0', '-1', '1e3', 'all', '99999999']) {
  test(`a chunk of ${chunk} is refused`, async () => {
    const payer = await lab.payer();
    const answer = await post(lab, '/sx/v1/exchange', new Uint8Array(8), {
      'content-type': 'application/vnd.sx1.req',
      'content-length': '8',
      ...payer.shown(payer.voucher(WHOLE)),
      'x-vg-chunk': chunk,
    });
    assert.equal(answer.status, 400);
  });
}
