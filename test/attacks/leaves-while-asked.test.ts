/**
 * Attack: a payer announces a large body and is gone before its voucher has been looked up. What was taken for the body
 * must be given back: else a few such requests shut everybody out until the gateway is started anew. @module
 */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fixed, utf8 } from '../../core/bytes.ts';
import { EHBP_CONFIG, ehbpCaller, wholeStream } from '../support/ehbp-lab.ts';
import { openPaidLab, TON, type PaidLab } from '../support/ton/paid-gateway.ts';
import { until } from '../support/until.ts';

/** Each takes half of what an account may have. */
const LEFT = 6;
const ANNOUNCED_BYTES = 8_000_000;
const LOOKED_UP_BEFORE = 2000;
const NOBODY = fixed(new Uint8Array(32), 32);

const FORMS = {
  ehbp: { type: 'application/json', more: { 'ehbp-encapsulated-key': 'ab'.repeat(32) } },
  sealed: { type: 'application/vnd.sx1.req', more: {} },
  plain: { type: 'application/json', more: {} },
} as const;

for (const name of ['ehbp', 'sealed', 'plain'] as const) {
  const { type, more } = FORMS[name];
  test(`who leaves while asked for its voucher takes no room with it: ${name}`, async (context) => {
    const lab = await openPaidLab({
      config: { ...EHBP_CONFIG, plaintext: 'operator-can-read' },
      deps: { sealer: () => ({ exchange: () => assert.fail('read') }) },
    });
    context.after(() => lab.close());
    const worker = await lab.worker(undefined, { onEhbp: wholeStream });
    const caller = await ehbpCaller(lab, worker);
    const payer = await lab.payer({ deposit: 3n * TON });
    const paths = { ehbp: caller.path, sealed: '/sx/v1/exchange', plain: '/v1/chat/completions' };
    for (let left = 0; left < LEFT; left++) {
      // Another ceiling each time, so that it is looked up each time.
      const shown = payer.shown(payer.voucher(TON + BigInt(left)));
      await leave(lab, paths[name], { ...shown, ...more, 'content-type': type });
    }
    const shown = payer.shown(payer.voucher(TON + BigInt(LEFT)));
    // Announces as much as they did.
    const body = new Uint8Array(ANNOUNCED_BYTES);
    const { enc } = await caller.seal();
    await until(async () => {
      const answer = await caller.send({ ...(await caller.seal()), enc, body }, shown);
      assert.ok([400, 503].includes(answer.status), String(answer.status));
      return answer.status === 400;
    });
  });
}

/** Resolves when the gateway has seen the connection end. */
async function leave(
  { port, gateway }: PaidLab,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const lines = Object.entries({ host: 'gateway', ...headers }).map((entry) => entry.join(': '));
  const head = [`POST ${path} HTTP/1.1`, ...lines, `content-length: ${ANNOUNCED_BYTES}`, '', 'x'];
  // In front of it, so that it waits.
  const busy = Array.from({ length: LOOKED_UP_BEFORE }, () => gateway.ledger.findAccount(NOBODY));
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => resolve());
    socket.write(utf8(head.join('\r\n')), () => socket.resetAndDestroy());
  });
  await Promise.all(busy);
}
