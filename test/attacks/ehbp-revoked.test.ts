/** Attack: a worker that was revoked, or that the policy no longer admits, is still asked through its EHBP address. @module */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fromUtf8, toHex, utf8 } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { beginStream, EHBP_CONFIG, ehbpCaller, endStream } from '../support/ehbp-lab.ts';
import { openSignedLab, type Lab } from '../support/gateway-lab.ts';
import type { EhbpTurn } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

/** Answers of which something was passed on. */
async function relayedSoFar({ adminPort }: Pick<Lab, 'adminPort'>): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(/^veilgate_ttft_seconds_count (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

async function opened(context: TestContext) {
  const lab = await openSignedLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const turns: EhbpTurn[] = [];
  const onEhbp = (turn: EhbpTurn): void => {
    beginStream(turn);
    turns.push(turn);
  };
  const worker = await lab.worker(undefined, { onEhbp });
  return { lab, worker, turns, caller: await ehbpCaller(lab, worker) };
}

for (const kind of ['key', 'kid'] as const) {
  test(`once its ${kind} is revoked nothing new is sent to it, and what runs is cut`, async (context) => {
    const { lab, worker, turns, caller } = await opened(context);
    const sealed = await caller.seal();
    const running = caller.send(sealed);
    await until(() => turns.length === 1);
    await until(async () => (await relayedSoFar(lab)) === 1);
    const { ehbp } = worker.epoch;
    const value = kind === 'key' ? worker.workerId : toHex(ehbp?.kid ?? new Uint8Array());
    lab.publisher.revoke({ kind, value });
    await until(() => lab.gateway.registry.all().length === 0);
    const cut = await running;
    assert.equal(cut.complete, false);
    assert.ok(!(await caller.read(sealed, cut)).includes('[DONE]'));
    const refused = await caller.send(await caller.seal());
    assert.equal(refused.status, 422);
    assert.match(fromUtf8(refused.body), /key-config/);
    assert.equal(worker.seen.count, 1);
  });
}

/** No image has what the simulator measures. */
function measuresOther(policy: Record<string, Json>): void {
  const { images } = policy;
  assert.ok(Array.isArray(images));
  const [image] = structuredClone(images);
  assert.ok(typeof image === 'object' && image !== null && 'tdx' in image);
  const { tdx } = image;
  assert.ok(Array.isArray(tdx) && typeof tdx[0] === 'object' && tdx[0] !== null);
  policy['images'] = [{ ...image, tdx: [{ ...tdx[0], mrtd: 'ab'.repeat(48) }] }];
}

test('off the policy it gets nothing new, and what runs may finish', async (context) => {
  const { lab, worker, turns, caller } = await opened(context);
  const sealed = await caller.seal();
  const running = caller.send(sealed);
  await until(() => turns.length === 1);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.registry.all().length === 0);
  assert.equal((await caller.send(await caller.seal())).status, 422);
  const [turn] = turns;
  assert.ok(turn !== undefined);
  turn.response.write(turn.opened.responder.data(utf8('data: {"choices":[]}\n\n')));
  endStream(turn);
  const answer = await running;
  assert.equal(answer.complete, true);
  assert.match(await caller.read(sealed, answer), /\[DONE\]/);
  assert.equal(worker.seen.count, 1);
});
