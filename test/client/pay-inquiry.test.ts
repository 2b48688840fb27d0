/** When the gateway is asked what became of lost requests. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { ChannelAccount } from '../../client/pay/account.ts';
import { Inquiry, type InquiryVia } from '../../client/pay/inquiry.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { TestMemory } from '../support/paying.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const TERMS = {
  network: 'tvm:-3',
  payer: `0:${'0'.repeat(64)}`,
  payee: `0:${'0'.repeat(64)}`,
  payerKey: PAYER.publicKey,
  payeeKey: PAYER.publicKey,
  withdrawDelayS: 1,
  salt: 1n,
} as const;

const NO_BOOKS: InquiryVia['books'] = {
  gatewayView: () => Promise.reject(new Error('nothing is settled here')),
  renewGatewayView: () => Promise.reject(new Error('nothing is settled here')),
  proofOf: () => ({ statement: new Uint8Array(), card: new Uint8Array() }),
};

test('who must know now is asked for all, also while others are asked about', async () => {
  const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
  const keys = { channel: CHANNEL, terms: TERMS, secretKey: PAYER.secretKey, memory };
  const clock = (): number => 0;
  const spending = { policy: 'per-request', spendMax: undefined } as const;
  const account = await ChannelAccount.open(keys, spending, clock);
  const lose = async (): Promise<string> => {
    const id = randomBytes(16);
    await account.authorise(id, 10n);
    account.stranded(id);
    return toHex(id);
  };
  const asked: string[] = [];
  let held = Promise.resolve();
  const via: InquiryVia = {
    books: NO_BOOKS,
    askSettlement: async (id) => {
      asked.push(toHex(id));
      await held;
      return { state: 'reserved' };
    },
  };
  const inquiry = new Inquiry({ account, clock, onFault: undefined });
  const first = await lose();
  await inquiry.ask(via, 'due');
  const second = await lose();
  const gate = Promise.withResolvers<void>();
  held = gate.promise;
  const due = inquiry.ask(via, 'due');
  assert.deepEqual(asked, [first, second], 'the first was asked about just now');
  const now = inquiry.ask(via, 'now');
  gate.resolve();
  await Promise.all([due, now]);
  assert.deepEqual(asked.slice(2).toSorted(), [first, second].toSorted());
});
