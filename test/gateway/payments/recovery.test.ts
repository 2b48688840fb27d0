/** What a crash leaves reserved: settled by the worker's receipt, or let go when its time is over. @module */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fixed, toHex, type Bytes } from '../../../core/bytes.ts';
import { SX_FORM } from '../../../gateway/sealed-form.ts';
import { keyHashOf } from '../../../gateway/accounts.ts';
import { RECOVERY_UNHEARD_MS } from '../../../gateway/limits.ts';
import { Cashier } from '../../../gateway/payments/cashier.ts';
import { PaymentRecovery } from '../../../gateway/payments/recovery.ts';
import { parseClearRequest } from '../../../protocol/sx/clear.ts';
import type { SealedRequest } from '../../../protocol/sx/seal.ts';
import { amount } from '../../../settlement/money.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import { exchange, openLab, type Lab } from '../../support/gateway-lab.ts';
import { receiptOf, type Script, type SxWorker } from '../../support/sx-worker.ts';
import { until } from '../../support/until.ts';

async function opened(context: TestContext): Promise<Lab> {
  const lab = await openLab();
  context.after(() => lab.close());
  return lab;
}

/** Signs and keeps the receipt, and sends nothing of it: as if the gateway had died before it came. */
function signsOnly(worker: () => SxWorker): Script {
  return {
    kind: 'answer',
    act: ({ opened: request, epoch }) => {
      request.responder.head(200, []);
      const payload = receiptOf(request, epoch).signed.payload;
      worker().receipts.set(toHex(request.prelude.msgId), payload);
    },
  };
}

/** Another process on the same books, which knows nothing of what runs in this one. */
function afterCrash({ gateway }: Lab, clockMs: () => number = gateway.clock) {
  const { ledger, registry } = gateway;
  const log = { event: () => undefined };
  const desk = gateway.desk;
  const cashier = new Cashier({ ledger, desk, clock: clockMs, feeBps: 0, log });
  return { cashier, recovery: new PaymentRecovery({ cashier, registry, clock: clockMs, log }) };
}

async function reservedAndServed(lab: Lab, worker: SxWorker): Promise<SealedRequest> {
  const sealed = lab.seal(lab.keysOf(worker));
  void exchange(lab, sealed.bytes).catch(() => undefined);
  await until(() => worker.receipts.size > 0);
  return sealed;
}

const stateOf = async (lab: Lab, { msgId }: SealedRequest) =>
  (await lab.gateway.ledger.findRequest(msgId))?.state;

test('a receipt that the worker still keeps settles what a crash left reserved', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker();
  worker.script = signsOnly(() => worker);
  const sealed = await reservedAndServed(lab, worker);
  await afterCrash(lab).recovery.round(AbortSignal.timeout(10_000));
  assert.equal(await stateOf(lab, sealed), 'settled');
});

/** Reserves on one's own, and hands the request to the worker past the gateway's dispatch. */
async function servedBeside(lab: Lab, worker: SxWorker, payer: Bytes<32>) {
  const sealed = lab.seal(lab.keysOf(worker));
  const { cashier, recovery } = afterCrash(lab);
  const account = { keyId: 'k', payer, means: { kind: 'none' } } as const;
  const request = parseClearRequest(sealed.bytes);
  const reserved = await cashier.reserve(account, request, lab.gateway.registry.all());
  assert.equal(reserved.outcome, 'reserved');
  const [live] = lab.gateway.registry.byWorkerId(worker.workerId);
  assert.ok(live);
  const ignored = (): void => undefined;
  const handler = { onHead: ignored, onData: ignored, onEnd: ignored, onError: ignored };
  live.link.exchange(sealed.bytes, handler, { form: SX_FORM.link });
  await until(() => worker.receipts.size > 0);
  return { sealed, cashier, recovery };
}

test('what is being served in this process is left alone', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker();
  worker.script = signsOnly(() => worker);
  const payer = keyHashOf(lab.apiKey);
  const { sealed, cashier, recovery } = await servedBeside(lab, worker, payer);
  await recovery.round(AbortSignal.timeout(10_000));
  assert.equal(await stateOf(lab, sealed), 'reserved');
  cashier.leave(sealed.msgId);
  await recovery.round(AbortSignal.timeout(10_000));
  assert.equal(await stateOf(lab, sealed), 'settled');
});

test('a receipt that names another payer settles nothing', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker();
  worker.script = signsOnly(() => worker);
  // Reserved by one account, sealed for another: only a gateway that mixes them up would settle it.
  const stranger = fixed(new Uint8Array(32).fill(7), 32);
  const { sealed, cashier, recovery } = await servedBeside(lab, worker, stranger);
  cashier.leave(sealed.msgId);
  await recovery.round(AbortSignal.timeout(10_000));
  assert.equal(await stateOf(lab, sealed), 'reserved');
});

test('without a receipt it stays reserved until its time is over, and is let go then', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker({ kind: 'hang' });
  const sealed = lab.seal(lab.keysOf(worker));
  void exchange(lab, sealed.bytes).catch(() => undefined);
  await until(() => worker.seen.count > 0);
  await afterCrash(lab).recovery.round(AbortSignal.timeout(10_000));
  assert.equal(await stateOf(lab, sealed), 'reserved');
  const later = lab.gateway.clock() + 3_600_000;
  await afterCrash(lab, () => later).recovery.round(AbortSignal.timeout(10_000));
  await until(async () => (await stateOf(lab, sealed)) === 'released');
});

test('after a start nothing is let go before its worker was heard, or waited for long enough', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(undefined, { prices: TEST_PRICES });
  worker.script = signsOnly(() => worker);
  const payer = keyHashOf(lab.apiKey);
  await lab.gateway.ledger.openAccount({ kind: 'custodial', id: payer, asset: 'TON' });
  await lab.gateway.ledger.credit({
    account: payer,
    asset: 'TON',
    amount: amount(10_000n),
    reference: payer,
    nowMs: lab.gateway.clock(),
  });
  const sealed = lab.seal(lab.keysOf(worker), '{}', { maxAmount: 1640n });
  const account = { keyId: 'k', payer, means: { kind: 'custodial' } } as const;
  const { cashier } = afterCrash(lab);
  const all = lab.gateway.registry.all();
  const reserved = await cashier.reserve(account, parseClearRequest(sealed.bytes), all);
  assert.equal(reserved.outcome, 'reserved');
  const [live] = lab.gateway.registry.byWorkerId(worker.workerId);
  assert.ok(live);
  lab.gateway.registry.remove(live.kid, 'key_gone');
  const { expiresMs } = (await lab.gateway.ledger.listReservations(undefined, 1))[0] ?? {};
  assert.ok(expiresMs !== undefined);
  await afterCrash(lab, () => expiresMs + 1).recovery.round(AbortSignal.timeout(10_000));
  await lab.gateway.ledger.journalHead();
  assert.equal(await stateOf(lab, sealed), 'reserved');
  const later = expiresMs + RECOVERY_UNHEARD_MS + 1;
  await afterCrash(lab, () => later).recovery.round(AbortSignal.timeout(10_000));
  await until(async () => (await stateOf(lab, sealed)) === 'released');
});
