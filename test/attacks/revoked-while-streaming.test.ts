/**
 * Attack: a worker that was revoked, or that the policy no longer admits, goes on with what it had begun, or gets what
 * another one left. Spec: gateways-and-e2ee §8.2 B6, E8; gpu-and-policy §5.4.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import type { DatedRevocation } from '../../attestation/publication/revocations.ts';
import { ResponseReader, type ResponseEvent } from '../../protocol/sx/read-response.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import {
  exchange,
  openSignedLab,
  type LabOptions,
  type RawAnswer,
} from '../support/gateway-lab.ts';
import {
  answering,
  receiptOf,
  type Script,
  type SxWorker,
  type Turn,
} from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

type SignedLab = Awaited<ReturnType<typeof openSignedLab>>;

async function opened(context: TestContext, options: LabOptions = {}): Promise<SignedLab> {
  const lab = await openSignedLab(options);
  context.after(() => lab.close());
  return lab;
}

/** Sends a head and `began`, and then waits to be told what comes next. */
function streaming(began = 'began'): { readonly script: Script; readonly turns: Turn[] } {
  const turns: Turn[] = [];
  const act = (turn: Turn): void => {
    const { opened: request, response } = turn;
    response.on('error', () => undefined);
    response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
    response.write(request.responder.head(200, [['content-type', 'text/event-stream']]));
    response.write(request.responder.data(utf8(began)));
    turns.push(turn);
  };
  return { script: { kind: 'answer', act }, turns };
}

function goOn({ opened: request, response }: Turn, text: string): void {
  response.write(request.responder.data(utf8(text)));
}

function finish({ opened: request, epoch, response }: Turn): void {
  response.write(receiptOf(request, epoch).bytes);
  response.end(request.responder.final());
}

/** Answers whose first sealed frame went out. */
async function relayedSoFar({ adminPort }: SignedLab): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(/^veilgate_ttft_seconds_count (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

/** Streams through one worker until it has said how it begins. */
async function stream(lab: SignedLab, worker: SxWorker, turns: readonly Turn[]) {
  const sealed = lab.seal(lab.keysOf(worker));
  const count = turns.length;
  const relayed = await relayedSoFar(lab);
  const answer = exchange(lab, sealed.bytes);
  await until(() => turns.length > count);
  await until(async () => (await relayedSoFar(lab)) > relayed);
  const turn = turns[count];
  assert.ok(turn !== undefined);
  return { sealed, answer, turn };
}

function read(sealed: SealedRequest, answer: RawAnswer): readonly ResponseEvent[] {
  return new ResponseReader(sealed.exchange).push(answer.body);
}

function textOf(events: readonly ResponseEvent[]): string {
  return events.map((event) => (event.kind === 'data' ? fromUtf8(event.bytes) : '')).join('');
}

function assertCut(sealed: SealedRequest, answer: RawAnswer): void {
  const events = read(sealed, answer);
  assert.deepEqual(events.at(-1), { kind: 'gateway-error', code: 'gateway.worker_revoked' });
  assert.equal(textOf(events), 'began');
}

type Fact = Pick<DatedRevocation, 'kind' | 'value'>;

function factOf(lab: SignedLab, worker: SxWorker, kind: Fact['kind']): Fact {
  const [live] = lab.gateway.registry.byWorkerId(worker.workerId);
  const fact = live?.verdict.revocable.find((one) => one.kind === kind);
  assert.ok(fact !== undefined, `a verdict names its ${kind}`);
  return fact;
}

/** No image has what the simulator measures. */
function measuresOther(policy: Record<string, Json>): void {
  const { images } = policy;
  assert.ok(Array.isArray(images));
  const [image] = structuredClone(images);
  assert.ok(typeof image === 'object' && image !== null && 'tdx' in image);
  const { tdx } = image;
  assert.ok(Array.isArray(tdx));
  policy['images'] = [{ ...image, tdx: [{ ...tdx[0], mrtd: 'ab'.repeat(48) }] }];
}

test('B6: a stream of a revoked worker ends with the error frame, and no further byte of it passes', async (context) => {
  const lab = await opened(context);
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  lab.publisher.revoke(factOf(lab, worker, 'key'));
  await until(() => lab.gateway.registry.all().length === 0);
  goOn(turn, 'of a revoked worker');
  finish(turn);
  assertCut(sealed, await answer);
});

test('B6: streams of other workers go on to their ends', async (context) => {
  const lab = await opened(context);
  const [bad, good] = [streaming(), streaming()];
  const revoked = await lab.worker(bad.script);
  const other = await lab.worker(good.script);
  const cut = await stream(lab, revoked, bad.turns);
  const whole = await stream(lab, other, good.turns);
  lab.publisher.revoke(factOf(lab, revoked, 'key'));
  assertCut(cut.sealed, await cut.answer);
  goOn(whole.turn, ' and ended');
  finish(whole.turn);
  const events = read(whole.sealed, await whole.answer);
  assert.equal(textOf(events), 'began and ended');
  assert.equal(events.at(-1)?.kind, 'final');
});

test('B6: a revoked worker gets no new request, and its verdict is not shown any more', async (context) => {
  const lab = await opened(context);
  const worker = await lab.worker(answering('{}'));
  const sealed = lab.seal(lab.keysOf(worker));
  lab.publisher.revoke(factOf(lab, worker, 'measurement'));
  await until(() => lab.gateway.registry.all().length === 0);
  assert.notEqual((await exchange(lab, sealed.bytes)).status, 200);
  assert.equal(worker.seen.count, 0);
  const shown = await (await fetch(`${lab.url}/v1/evidence?model=veilgate-demo`)).text();
  assert.match(shown, /"candidates":\[\]/);
});

test('B6: a request that a revocation drives away from one worker does not go to another that it names too', async (context) => {
  const lab = await opened(context);
  const first = await lab.worker({ kind: 'hang' });
  const second = await lab.worker({ kind: 'hang' });
  const answer = exchange(lab, lab.seal(lab.keysOf(first, second)).bytes);
  await until(() => first.seen.count + second.seen.count === 1);
  lab.publisher.revoke(factOf(lab, first, 'measurement'));
  assert.notEqual((await answer).status, 200);
  assert.equal(first.seen.count + second.seen.count, 1);
});

test('B6: a worker that was revoked while another one failed is not the next to be asked', async (context) => {
  const lab = await opened(context);
  const waiting: Turn[] = [];
  const failing: Script = { kind: 'answer', act: (turn) => void waiting.push(turn) };
  const first = await lab.worker(failing);
  const second = await lab.worker(failing);
  const answer = exchange(lab, lab.seal(lab.keysOf(first, second)).bytes);
  await until(() => waiting.length === 1);
  const [asked, next] = first.seen.count === 1 ? [first, second] : [second, first];
  lab.publisher.revoke(factOf(lab, next, 'key'));
  await until(() => lab.gateway.registry.all().length === 1);
  waiting[0]?.response.destroy();
  assert.notEqual((await answer).status, 200);
  assert.deepEqual([asked.seen.count, next.seen.count], [1, 0]);
});

test('B6: a worker that left the policy while another one failed is not the next to be asked', async (context) => {
  const lab = await opened(context);
  const waiting: Turn[] = [];
  const failing: Script = { kind: 'answer', act: (turn) => void waiting.push(turn) };
  const first = await lab.worker(failing);
  const second = await lab.worker(failing);
  const answer = exchange(lab, lab.seal(lab.keysOf(first, second)).bytes);
  await until(() => waiting.length === 1);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.registry.all().length === 0);
  waiting[0]?.response.destroy();
  assert.notEqual((await answer).status, 200);
  assert.equal(first.seen.count + second.seen.count, 1);
});

test('B6: a stream of a worker that the policy no longer admits may finish, and a new request is refused', async (context) => {
  const lab = await opened(context);
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const another = lab.seal(lab.keysOf(worker));
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.registry.all().length === 0);
  assert.notEqual((await exchange(lab, another.bytes)).status, 200);
  goOn(turn, ' and ended');
  finish(turn);
  const events = read(sealed, await answer);
  assert.equal(textOf(events), 'began and ended');
  assert.equal(events.at(-1)?.kind, 'final');
});

test('B6: a worker that the policy had let finish is cut when it is revoked', async (context) => {
  const lab = await opened(context);
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const revoked = factOf(lab, worker, 'key');
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.registry.benched().length === 1);
  lab.publisher.revoke(revoked);
  await until(() => lab.logLines.some((line) => line.includes('"policy.revoked"')));
  goOn(turn, 'of a revoked worker');
  finish(turn);
  assertCut(sealed, await answer);
});

test('B6: what is streamed is cut for what it was admitted on, though no policy names that any more', async (context) => {
  const lab = await opened(context);
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const image = factOf(lab, worker, 'image');
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  const withoutRules = lab.publisher.policy((policy) => {
    policy['rules'] = [];
    policy['images'] = [];
    policy['advisories'] = [];
  });
  lab.publisher.publish(withoutRules);
  await until(() => lab.gateway.registry.benched().length === 1);
  lab.publisher.revoke(image);
  await until(() => lab.logLines.some((line) => line.includes('"policy.revoked"')));
  goOn(turn, 'of a revoked worker');
  finish(turn);
  assertCut(sealed, await answer);
});

test('B6: a worker whom only the next round finds to be revoked is cut like the others', async (context) => {
  const lab = await opened(context, { deps: { sweepIntervalMs: 50 } });
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const { kind, value } = factOf(lab, worker, 'key');
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  // Behind the back of what cuts by the verdicts there are.
  const entry = { kind, value, reason: 'for a test', by: 'carol' };
  lab.gateway.desk.know({
    list: { find: (ofKind, named) => (ofKind === kind && named === value ? entry : undefined) },
    isRetired: () => false,
    staleBecause: () => undefined,
  });
  await until(() => lab.gateway.registry.all().length === 0);
  assert.equal(lab.gateway.registry.benched().length, 1);
  goOn(turn, 'of a revoked worker');
  finish(turn);
  assertCut(sealed, await answer);
});

test('B6: a worker cannot keep its streams by leaving before it is revoked', async (context) => {
  const lab = await opened(context);
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const revoked = factOf(lab, worker, 'key');
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  assert.equal((await worker.leave()).status, 200);
  lab.publisher.revoke(revoked);
  await until(() => lab.logLines.some((line) => line.includes('"policy.revoked"')));
  goOn(turn, 'of a revoked worker');
  finish(turn);
  assertCut(sealed, await answer);
});

test('B6: a worker that came back under the same policy still loses its streams when it is revoked', async (context) => {
  const lab = await opened(context);
  const { script, turns } = streaming();
  const worker = await lab.worker(script);
  const { sealed, answer, turn } = await stream(lab, worker, turns);
  lab.publisher.publish(lab.publisher.policy(measuresOther));
  await until(() => lab.gateway.registry.benched().length === 1);
  lab.publisher.publish(lab.publisher.policy());
  await until(() => lab.gateway.registry.all().length === 1);
  lab.publisher.revoke(factOf(lab, worker, 'key'));
  await until(() => lab.gateway.registry.all().length === 0);
  goOn(turn, 'of a revoked worker');
  finish(turn);
  assertCut(sealed, await answer);
});
