/** A bill that turns out bad while a voucher waits for the disk. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { ChannelAccount } from '../../client/pay/account.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { TestMemory } from '../support/paying.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);

test('after a fault nothing is signed, not even what waits for the disk', async () => {
  const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
  const terms = {
    network: 'tvm:-3',
    payer: `0:${'0'.repeat(64)}`,
    payee: `0:${'0'.repeat(64)}`,
    payerKey: PAYER.publicKey,
    payeeKey: PAYER.publicKey,
    withdrawDelayS: 1,
    salt: 1n,
  };
  const keys = { channel: CHANNEL, terms, secretKey: PAYER.secretKey, memory };
  const spending = { policy: 'per-request', spendMax: undefined } as const;
  const account = await ChannelAccount.open(keys, spending, () => 0);
  const first = randomBytes(16);
  await account.authorise(first, 10n);
  const disk = Promise.withResolvers<void>();
  memory.before = () => disk.promise;
  const second = account.authorise(randomBytes(16), 10n);
  await new Promise(setImmediate);
  const halted = account.halt(first, ['missing']);
  disk.resolve();
  await assert.rejects(second, { code: 'client.pay_halted' });
  await halted;
});
