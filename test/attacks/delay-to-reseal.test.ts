/**
 * C12. Attack: the gateway delays or refuses so that a client seals the same request again, and holds the two against each
 * other: what repeats tells it something. It gets one more at most, and they share nothing but what stands in clear.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../core/bytes.ts';
import { sealedFetch } from '../../client/index.ts';
import { memoryGateway, MODEL, PROMPT, type MemoryGateway } from '../support/memory-gateway.ts';

const CHAT = 'https://gateway.test/v1/chat/completions';
const PRELUDE_BYTES = 112;

function ask(gateway: MemoryGateway, deadlineMs?: number): Promise<Response> {
  const { fetch, policy, clock } = gateway;
  const sealed = sealedFetch({
    fetch,
    policy,
    clock,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] });
  return sealed(CHAT, { method: 'POST', body });
}

/** So long that a kid, which stands in clear and repeats, does not fill it, and that nothing repeats in it by chance. */
const WINDOW_BYTES = 24;

/** Windows that both have, in the parts behind the prelude. */
function shared(one: Uint8Array, other: Uint8Array): readonly string[] {
  const windows = (bytes: Uint8Array): ReadonlySet<string> => {
    const found = new Set<string>();
    for (let at = PRELUDE_BYTES; at + WINDOW_BYTES <= bytes.length; at++) {
      found.add(toHex(bytes.subarray(at, at + WINDOW_BYTES)));
    }
    return found;
  };
  const seen = windows(other);
  return [...windows(one)].filter((window) => seen.has(window));
}

test('C12: a request that is sealed again shares no byte string with the first, and there is no third', async () => {
  const gateway = await memoryGateway();
  const sent: Uint8Array[] = [];
  const late = await gateway.addWorker();
  gateway.workers.pop();
  gateway.mischief.respond = (sealed) => {
    sent.push(sealed);
    // A worker that it had hidden, so that there is somebody new to seal to.
    if (!gateway.workers.includes(late)) gateway.workers.push(late);
    return Response.json({ error: { message: '', code: 'sx.key_unknown' } }, { status: 421 });
  };
  const answer = await ask(gateway);
  assert.ok(answer.status >= 400);
  const [one, other, ...more] = sent;
  assert.ok(one && other);
  assert.equal(more.length, 0);
  assert.notEqual(toHex(one.subarray(8, 24)), toHex(other.subarray(8, 24)), 'msg_id');
  assert.notEqual(toHex(one.subarray(80, 112)), toHex(other.subarray(80, 112)), 'payerRef');
  assert.deepEqual(shared(one, other), []);
});

test('C12: with nobody new to seal to it is not sealed again at all', async () => {
  const gateway = await memoryGateway([{}, {}]);
  let sent = 0;
  gateway.mischief.respond = () => {
    sent++;
    return Response.json({ error: { message: '', code: 'sx.no_recipient' } }, { status: 503 });
  };
  assert.ok((await ask(gateway)).status >= 400);
  assert.equal(sent, 1);
});

test('C12: an exchange that is held up ends at its deadline and is not sent again', async () => {
  const gateway = await memoryGateway();
  let sent = 0;
  const { policy, clock } = gateway;
  const held = sealedFetch({
    policy,
    clock,
    deadlineMs: 200,
    fetch: (url, init) => {
      if (!url.endsWith('/sx/v1/exchange')) return gateway.fetch(url, init);
      sent++;
      return new Promise((_resolve, reject) => {
        init.signal.addEventListener('abort', () => reject(init.signal.reason));
      });
    },
  });
  // Keys are looked up before, so that only the exchange is late.
  assert.equal((await held('https://gateway.test/v1/models')).status, 200);
  const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] });
  const answer = await held(CHAT, { method: 'POST', body });
  assert.equal(answer.headers.get('sx-error'), 'client.deadline');
  assert.equal(sent, 1);
});

test('C12: prompts of one size class are of one length each time, so that length does not link them', async () => {
  const gateway = await memoryGateway();
  const lengths = new Set<number>();
  gateway.mischief.request = (sealed) => {
    lengths.add(sealed.length);
    return sealed;
  };
  const { fetch, policy, clock } = gateway;
  const sealed = sealedFetch({ fetch, policy, clock });
  for (const content of ['a', 'ab', 'abc', 'abcdefgh', 'a longer one, but not by much']) {
    const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content }] });
    assert.equal((await sealed(CHAT, { method: 'POST', body })).status, 200);
  }
  assert.equal(lengths.size, 1);
});
