/**
 * A stranger announces channels that are not there, each with other terms, so that the gateway spends what its providers
 * answer on them and no longer sees who withdraws. It asks for a few, and refuses the rest unread.
 * Spec: ton-settlement §4.6, §4.8.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHAIN_QUESTIONS_AT_ONCE_MAX,
  CHAIN_QUESTIONS_PER_MINUTE_MAX,
} from '../../gateway/limits.ts';
import { ChainQuestions } from '../../gateway/payments/chain-questions.ts';
import { placeChannel } from '../../settlement/ton/channels/place.ts';
import { announced, openPaidLab } from '../support/ton/paid-gateway.ts';

const FLOOD = 5 * CHAIN_QUESTIONS_AT_ONCE_MAX;

test('of many announcements at once few are looked up, and a payer is heard after them', async (context) => {
  const lab = await openPaidLab();
  context.after(() => lab.close());
  const payer = await lab.payer({ announce: false });
  lab.devnet.inject({ kind: 'delay', ms: 2000, method: 'getAddressInformation' });
  const answers = await Promise.all(
    Array.from({ length: FLOOD }, (_, at) => {
      const terms = { ...payer.terms, salt: 1_000_000n + BigInt(at) };
      return announced(lab, { channel: placeChannel(terms).id, terms });
    }),
  );
  const refused = answers.filter(({ status }) => status === 503).length;
  assert.equal(answers.length - refused, CHAIN_QUESTIONS_AT_ONCE_MAX);
  lab.devnet.faults.clear();
  assert.equal((await payer.announce()).status, 200);
});

test('one after the other they are as many a minute, and no more', async () => {
  let nowMs = 0;
  const questions = new ChainQuestions(() => nowMs);
  const ask = () => questions.ask(() => Promise.resolve('asked'));
  for (let at = 0; at < CHAIN_QUESTIONS_PER_MINUTE_MAX; at++) await ask();
  await assert.rejects(ask(), { code: 'gateway.busy' });
  nowMs += 60_000 / CHAIN_QUESTIONS_PER_MINUTE_MAX;
  await ask();
  await assert.rejects(ask(), { code: 'gateway.busy' });
});
