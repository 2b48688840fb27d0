/** A worker opens what the published client seals, and nothing else. Spec: docs/ehbp.md. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fixed, fromUtf8, u32be } from '../../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { ehbpMessageId } from '../../../protocol/ehbp/envelope.ts';
import { EHBP_CHUNKS_MAX } from '../../../protocol/ehbp/limits.ts';
import type { Prelude } from '../../../protocol/sx/prelude.ts';
import { BODY, EhbpStage, NOW_MS } from '../../support/ehbp-stage.ts';
import { refuses } from '../sx/stage.ts';

function textOf(opened: ReturnType<EhbpStage['open']>): string {
  assert.ok(opened.inner.kind === 'request');
  return fromUtf8(opened.inner.request.body);
}

test('a request of the published client opens', async () => {
  const stage = await EhbpStage.open();
  const opened = stage.open(stage.envelope(await stage.seal(BODY)));
  assert.equal(textOf(opened), BODY);
  assert.deepEqual(opened.kid, stage.kid);
  assert.ok(opened.inner.kind === 'request');
  assert.equal(opened.inner.request.path, '/v1/chat/completions');
  assert.deepEqual(opened.inner.request.headers, []);
  assert.equal(stage.admissions, 1);
});

test('a body in several chunks, some of them empty, is one body', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal('{"model":', '"m",', '"n":1}');
  const body = concat(u32be(0), sealed.body, u32be(0));
  assert.equal(textOf(stage.open(stage.envelope({ ...sealed, body }))), '{"model":"m","n":1}');
});

test('what was opened once is a replay for as long as the key lives, whatever is written around it', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  stage.open(stage.envelope(sealed));
  refuses(() => stage.open(stage.envelope(sealed)), 'sx.replay');
  const later = NOW_MS + 3_599_000;
  const dated = { issuedAtMs: later, maxOutput: 1, deadlineMs: 1, payerRef: randomBytes(32) };
  refuses(() => stage.open(stage.envelope(sealed, { prelude: dated }), later), 'sx.replay');
  const elsewhere = { path: '/v1/completions' };
  refuses(() => stage.open(stage.envelope(sealed, elsewhere)), 'sx.replay');
});

test('a request that did not open may come again: nobody can use it up for its sender', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  const body = sealed.body.slice();
  body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
  refuses(() => stage.open(stage.envelope({ ...sealed, body })), 'sx.refused', { reason: 'frame' });
  assert.equal(textOf(stage.open(stage.envelope(sealed))), BODY);
});

test('a full replay set refuses new work', async () => {
  const stage = await EhbpStage.open(1);
  stage.open(stage.envelope(await stage.seal(BODY)));
  const more = await stage.seal(BODY);
  refuses(() => stage.open(stage.envelope(more)), 'sx.busy');
});

test('another kid, and a key past its life, are unknown; nothing was admitted for them', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  const kid = randomBytes(16);
  const msgId = ehbpMessageId(kid, sealed.enc);
  const foreign = stage.envelope(sealed, { kid, prelude: { msgId } });
  refuses(() => stage.open(foreign), 'sx.key_unknown');
  const late = NOW_MS + 3_600_000;
  const dated = stage.envelope(sealed, { prelude: { issuedAtMs: late } });
  refuses(() => stage.open(dated, late), 'sx.key_unknown');
  assert.equal(stage.admissions, 0);
});

test('sealed to another key, it does not open', async () => {
  const [stage, other] = [await EhbpStage.open(), await EhbpStage.open()];
  const sealed = await other.seal(BODY);
  refuses(() => stage.open(stage.envelope(sealed)), 'sx.refused', { reason: 'frame' });
});

test('every changed byte of key or body is refused', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  for (let at = 0; at < sealed.body.length; at++) {
    const body = sealed.body.slice();
    body[at] = (body[at] ?? 0) ^ 0x80;
    refuses(() => stage.open(stage.envelope({ ...sealed, body })), 'sx.refused', {
      reason: 'frame',
    });
  }
  for (let at = 0; at < 32; at++) {
    // Also the one bit that X25519 ignores: HPKE takes the bytes into its keys.
    const enc = fixed(sealed.enc.slice(), 32);
    enc[at] = (enc[at] ?? 0) ^ 0x80;
    refuses(() => stage.open(stage.envelope({ ...sealed, enc })), 'sx.refused', {
      reason: 'frame',
    });
  }
});

test('a point of small order is refused like any other that does not open', async () => {
  const stage = await EhbpStage.open();
  const { body } = await stage.seal(BODY);
  const enc = fixed(new Uint8Array(32), 32);
  refuses(() => stage.open(stage.envelope({ enc, body })), 'sx.refused', { reason: 'unwrap' });
});

test('chunks that are cut, swapped, repeated or too many are refused', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal('{"a":', '1}');
  const { body } = sealed;
  const split = 4 + 5 + 16;
  const [first, second] = [body.subarray(0, split), body.subarray(split)];
  const bad = [
    body.subarray(0, -1),
    body.subarray(0, split + 3),
    concat(second, first),
    concat(first, first, second),
    second,
    concat(body, u32be(0xffff_ffff)),
    new Uint8Array(),
    u32be(0),
    new Uint8Array(4 * (EHBP_CHUNKS_MAX + 1)),
  ];
  for (const wrong of bad) {
    refuses(() => stage.open(stage.envelope({ ...sealed, body: wrong })), 'sx.refused');
  }
});

test('a request cut between two chunks opens short: EHBP has no end mark', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal('{"a":1}', ' ');
  const body = sealed.body.subarray(0, 4 + 7 + 16);
  assert.equal(textOf(stage.open(stage.envelope({ ...sealed, body }))), '{"a":1}');
});

test('a prelude of another form of request is refused', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  const flags = {
    stream: false,
    constantRate: false,
    singleRecipient: true,
    receiptRequired: true,
  };
  const wrong: readonly Partial<Prelude>[] = [
    { recipientCount: 2 },
    { kem: 'X-Wing' },
    { flags: { ...flags, stream: true } },
    { flags: { ...flags, constantRate: true } },
    { flags: { ...flags, singleRecipient: false } },
    { flags: { ...flags, receiptRequired: false } },
    { msgId: randomBytes(16) },
  ];
  for (const prelude of wrong) {
    refuses(() => stage.open(stage.envelope(sealed, { prelude })), 'sx.refused', {
      reason: 'prelude',
    });
  }
  const early = { issuedAtMs: NOW_MS + 61_000 };
  refuses(() => stage.open(stage.envelope(sealed, { prelude: early })), 'sx.refused', {
    reason: 'clock',
  });
  const late = { issuedAtMs: NOW_MS - 61_000 };
  refuses(() => stage.open(stage.envelope(sealed, { prelude: late })), 'sx.refused', {
    reason: 'clock',
  });
  refuses(() => stage.open(stage.envelope(sealed).subarray(0, 150)), 'sx.refused', {
    reason: 'size',
  });
  assert.equal(stage.admissions, 0);
});

test('admission comes before anything is consumed', async () => {
  const stage = await EhbpStage.open();
  const sealed = await stage.seal(BODY);
  stage.open(stage.envelope(sealed));
  assert.equal(stage.admissions, 1);
  refuses(() => stage.open(stage.envelope(sealed)), 'sx.replay');
  assert.equal(stage.admissions, 2);
});

test('a path outside the list is refused inside the encryption', async () => {
  const stage = await EhbpStage.open();
  const opened = stage.open(stage.envelope(await stage.seal(BODY), { path: '/v1/files' }));
  assert.ok(opened.inner.kind === 'refused');
  assert.equal(opened.inner.error.code, 'sx.inner');
});
