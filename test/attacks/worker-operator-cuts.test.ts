/**
 * Whoever owns the machine of an honest enclave can pull its cables: at the first byte, in the middle of an answer, before
 * the receipt, between receipt and end. The app gets an error, and nobody pays for what no enclave has signed.
 * Spec: ton-settlement §4.12 (worker operator, enclave intact → client: 0, DoS only).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../core/bytes.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import { DEAR_PRICES, devnetApp, onChain, withDearLab } from '../support/ton/cheat-lab.ts';
import { receiptOf, type Script, type SxWorker, type Turn } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

type Cut = 'at once' | 'after the head' | 'in the text' | 'in the receipt' | 'in a forged receipt';
const CUTS: readonly Cut[] = [
  'at once',
  'after the head',
  'in the text',
  'in the receipt',
  'in a forged receipt',
];

/** The honest enclave keeps the receipt, and will show it to whoever asks for it later. */
function cutting(cut: Cut, { receipts }: SxWorker): Script {
  if (cut === 'at once') return { kind: 'reset' };
  return {
    kind: 'answer',
    act: (turn) => {
      const { payload, receipt } = relay(turn, cut);
      receipts.set(toHex(receipt.requestId), payload);
    },
  };
}

/** What the operator lets through of an honest answer, and then the end of the connection. */
function relay({ opened, epoch, response }: Turn, cut: Cut): SignedReceipt {
  const { responder } = opened;
  response.on('error', () => undefined);
  const parts = [responder.head(200, [['content-type', 'application/json']])];
  if (cut !== 'after the head') parts.push(responder.data(utf8('{"id":"chatcmpl-1"')));
  const { bytes: receipt, signed } = receiptOf(opened, epoch);
  const forged = Uint8Array.from(receipt);
  forged[forged.length - 60] = (forged[forged.length - 60] ?? 0) ^ 1;
  if (cut === 'in the receipt') parts.push(receipt.subarray(0, -1));
  if (cut === 'in a forged receipt') parts.push(forged, responder.final());
  response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
  response.write(Buffer.concat(parts), () => response.destroy());
  return signed;
}

test('a cable that is pulled costs the client nothing, wherever', async (context) => {
  await withDearLab(async ({ lab, worker }) => {
    const payer = await lab.payer();
    const app = devnetApp(lab, payer);
    const books = () => lab.gateway.ledger.findAccount(payer.channel);
    for (const cut of CUTS) {
      worker.script = cutting(cut, worker);
      await assert.rejects(app.ask(), cut);
      await until(async () => (await books())?.reserved === 0n);
      assert.equal((await books())?.charged, 0n, cut);
    }
    await app.close();
    assert.equal(worker.receipts.size, CUTS.length - 1);
    const { claimed, deposited } = await onChain(lab, payer);
    context.diagnostic(
      `${CUTS.length} cuts at ${DEAR_PRICES.base} each, charged 0 of ${deposited}`,
    );
    assert.equal(claimed, 0n);
    assert.deepEqual(app.settled, []);
  });
});
