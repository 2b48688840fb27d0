/** Requests that came to nothing fill `spendMax`; once their time is over, what was signed for them is there to be used. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { ChannelAccount } from '../../client/pay/account.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { STRANDED_MS } from '../../client/limits.ts';
import { TestMemory } from '../support/paying.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);

test('a limit that lost requests have reached is no end for ever, and is never passed', async () => {
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
  let nowMs = 0;
  const keys = { channel: CHANNEL, terms, secretKey: PAYER.secretKey, memory };
  const account = await ChannelAccount.open(
    keys,
    { policy: 'per-request', spendMax: 25n },
    () => nowMs,
  );
  for (let lost = 0; lost < 2; lost++) {
    const id = randomBytes(16);
    await account.authorise(id, 10n);
    account.stranded(id);
  }
  await assert.rejects(account.authorise(randomBytes(16), 10n), { code: 'client.pay_limit' });
  nowMs += STRANDED_MS;
  assert.equal((await account.authorise(randomBytes(16), 10n)).ceiling, 25n);
  // One at a time: it finds out what became of the others.
  await assert.rejects(account.authorise(randomBytes(16), 10n), { code: 'client.pay_limit' });
});
