/** Answers from the worker through the relay to the published client. Spec: docs/ehbp.md. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, toHex, utf8 } from '../../../core/bytes.ts';
import { randomBytes, sha256 } from '#primitives';
import { EhbpRelay } from '../../../protocol/ehbp/relay.ts';
import { verifyReceipt } from '../../../protocol/sx/check-receipt.ts';
import type { Opened } from '../../../protocol/sx/open.ts';
import { clearFrame, FRAME } from '../../../protocol/sx/frames.ts';
import { jsonOf } from '../../enclave-worker/exchange-fixture.ts';
import { BODY, ehbpRead, EhbpStage, type Sealed } from '../../support/ehbp-stage.ts';
import { refuses } from '../sx/stage.ts';

const EVENTS = [['content-type', 'text/event-stream; charset=utf-8']] as const;
const JSON_TYPE = [['content-type', 'application/json']] as const;

async function asked(): Promise<{ stage: EhbpStage; sealed: Sealed; opened: Opened }> {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  return { stage, sealed, opened: stage.open(stage.envelope(sealed)) };
}

/** All of a link's bytes through the gateway's relay, in pieces of this size. */
function relayed(kid: EhbpStage['kid'], wire: Uint8Array, size = wire.length) {
  const relay = new EhbpRelay(kid);
  const passed: Uint8Array[] = [];
  let nonce = new Uint8Array();
  let receipt = new Uint8Array();
  let final = false;
  for (let at = 0; at < wire.length; at += size) {
    const step = relay.push(wire.subarray(at, at + size));
    passed.push(...step.forward.map((bytes) => bytes.slice()));
    if (step.nonce !== undefined) nonce = step.nonce.slice();
    if (step.receipt !== undefined) receipt = step.receipt.slice();
    final = step.final;
  }
  return { relay, before: concat(...passed), nonce, receipt, final };
}

test('a stream goes through byte for byte, and its last chunk waits', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const wire = concat(
    responder.head(200, EVENTS),
    responder.data(utf8('data: {"a":1}\n\n')),
    responder.data(utf8('data: {"b":"é"}\n\n')),
    responder.last(utf8('data: [DONE]\n\n')),
    stage.receipt(opened).bytes,
    responder.final(),
  );
  for (const size of [1, 7, wire.length]) {
    const { relay, before, nonce, receipt, final } = relayed(stage.kid, wire, size);
    assert.equal(final, true);
    const cut = await ehbpRead(stage.identity, sealed, { nonce, chunks: before });
    assert.match(cut, /data: \{"a":1\}\n\n:? *\ndata: \{"b":"é"\}\n\n/);
    assert.ok(!cut.includes('[DONE]'));
    const respHash = relay.respHash();
    const { key } = stage.worker;
    const expected = {
      prelude: opened.prelude,
      th: opened.th,
      respHash,
      policyDigest: 'sealed',
    } as const;
    verifyReceipt(receipt, { ...expected, key: { ...key, kid: stage.kid } });
    // The receipt names the key that was used, so it is no receipt of another form.
    refuses(() => verifyReceipt(receipt, { ...expected, key }), 'sx.receipt');
    const chunks = concat(before, ...relay.release());
    const whole = await ehbpRead(stage.identity, sealed, { nonce, chunks });
    assert.ok(whole.includes('data: [DONE]\n\n'));
    assert.equal(
      whole.replaceAll(/^:? *\n/gm, '').replaceAll('\n', ''),
      'data: {"a":1}data: {"b":"é"}data: [DONE]',
    );
  }
});

test('of JSON in one piece nothing leaves before the release', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const text = '{"choices":[]}';
  const wire = concat(
    responder.head(200, JSON_TYPE),
    responder.last(utf8(text)),
    stage.receipt(opened).bytes,
    responder.final(),
  );
  const { relay, before, nonce } = relayed(stage.kid, wire);
  assert.equal(before.length, 0);
  const chunks = concat(...relay.release());
  const read = await ehbpRead(stage.identity, sealed, { nonce, chunks });
  assert.equal(read.trimEnd(), text);
});

test('JSON of several frames is cut in no string, and is no JSON without its last chunk', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const text = JSON.stringify({ text: 'x y '.repeat(50_000) });
  const wire = concat(
    responder.head(200, JSON_TYPE),
    responder.last(utf8(text)),
    stage.receipt(opened).bytes,
    responder.final(),
  );
  const { relay, before, nonce } = relayed(stage.kid, wire);
  const cut = await ehbpRead(stage.identity, sealed, { nonce, chunks: before });
  assert.throws(() => jsonOf(cut));
  const chunks = concat(before, ...relay.release());
  assert.equal((await ehbpRead(stage.identity, sealed, { nonce, chunks })).trimEnd(), text);
});

test('events of all lengths come in sizes that are multiples of 128', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const nonce = responder.head(200, EVENTS).slice(16);
  const parts: Uint8Array[] = [];
  for (let length = 0; length < 260; length++) {
    const part = responder.data(utf8(`data: ${'x'.repeat(length)}\n\n`));
    assert.equal((part.length - 4 - 16) % 128, 0);
    parts.push(part);
  }
  const text = await ehbpRead(stage.identity, sealed, { nonce, chunks: concat(...parts) });
  const events = text.split('\n').filter((line) => line.startsWith('data: '));
  assert.deepEqual(
    events.map((line) => line.length - 6),
    Array.from({ length: 260 }, (_, at) => at),
  );
  const others = text.split('\n').filter((line) => !line.startsWith('data: '));
  assert.ok(others.every((line) => /^(: *)?$/.test(line)));
});

test('an event that is larger than a frame is padded behind it and not within', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const nonce = responder.head(200, EVENTS).slice(16);
  const event = `data: ${'x'.repeat(70_000)}\n\n`;
  const chunks = concat(responder.data(utf8(event)), responder.data(utf8('data: 2\n\n')));
  const text = await ehbpRead(stage.identity, sealed, { nonce, chunks });
  assert.ok(text.startsWith(event));
  assert.match(text.slice(event.length), /^:? *\ndata: 2\n\n/);
});

test('an answer that broke off still has a last chunk, a receipt and an end', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const wire = concat(
    responder.head(499, []),
    stage.receipt(opened, 'cancelled').bytes,
    responder.final(),
  );
  const { relay, nonce } = relayed(stage.kid, wire);
  const chunks = concat(...relay.release());
  const read = await ehbpRead(stage.identity, sealed, { nonce, chunks });
  assert.equal(read.trim(), '');
});

test('what only SX/1 has is refused from a worker', async () => {
  const { stage, opened } = await asked();
  const { responder } = opened;
  const head = responder.head(200, EVENTS);
  const data = responder.data(utf8('data: 1\n\n'));
  const last = responder.last(utf8('data: [DONE]\n\n'));
  const receipt = stage.receipt(opened).bytes;
  const final = responder.final();
  const sealed = new Uint8Array(128 + 16);
  const wrong = [
    concat(head, data, clearFrame(FRAME.pad, sealed)),
    concat(head, data, clearFrame(FRAME.meter, new Uint8Array(144))),
    concat(head, clearFrame(FRAME.keepalive, new Uint8Array())),
    concat(head, data, clearFrame(FRAME.ledger, sealed)),
    // Nothing held back.
    concat(head, data, receipt),
    concat(head, data, last, last),
    concat(head, data, last, receipt, clearFrame(FRAME.final, sealed)),
    concat(head, data, last, final),
    concat(randomBytes(16), head.subarray(16), data),
    concat(head, clearFrame(FRAME.data, new Uint8Array(100))),
  ];
  for (const wire of wrong) refuses(() => relayed(stage.kid, wire), 'sx.response');
  refuses(() => relayed(stage.kid, concat(head, last, receipt, final, data)), 'sx.trailing');
  refuses(
    () => responder.meter({ signer: stage.signer, usage: NOTHING, seq: 1 }),
    'sx.unsupported',
  );
});
const NOTHING = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };

test('chunks that are swapped, repeated, changed or of another answer are errors of the client', async () => {
  const { stage, sealed, opened } = await asked();
  const { responder } = opened;
  const nonce = responder.head(200, EVENTS).slice(16);
  const [one, two] = [responder.data(utf8('data: 1\n\n')), responder.data(utf8('data: 2\n\n'))];
  const changed = one.slice();
  changed[9] = (changed[9] ?? 0) ^ 1;
  for (const chunks of [concat(two, one), concat(one, one), changed, two]) {
    await assert.rejects(ehbpRead(stage.identity, sealed, { nonce, chunks }), /Decryption failed/);
  }
  const foreign = { nonce: randomBytes(32), chunks: one };
  await assert.rejects(ehbpRead(stage.identity, sealed, foreign), /Decryption failed/);
  const other = await stage.seal(BODY);
  await assert.rejects(
    ehbpRead(stage.identity, other, { nonce, chunks: one }),
    /Decryption failed/,
  );
});

test('the receipt is bound to the whole request and to every chunk of the answer', async () => {
  const { stage, sealed, opened } = await asked();
  assert.equal(toHex(opened.th), toHex(sha256(utf8('sx1 ehbp th'), stage.envelope(sealed))));
  const { responder } = opened;
  const head = responder.head(200, EVENTS);
  const last = responder.last(utf8('data: [DONE]\n\n'));
  const { signed } = stage.receipt(opened);
  const respHash = sha256(utf8('sx1 rh'), head.subarray(16), last);
  assert.equal(toHex(signed.receipt.respHash), toHex(respHash));
  assert.equal(toHex(signed.receipt.reqHash), toHex(opened.th));
});
