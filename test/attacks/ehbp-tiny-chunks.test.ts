/**
 * Attack: a body in as many chunks as fit into it. Each is a call of the cipher, all of them run in one go, and the last one
 * does not open: nobody pays, and meanwhile the worker answers nobody. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import { INNER_REQUEST_MAX_BYTES } from '../../protocol/sx/limits.ts';
import { EhbpStage } from '../support/ehbp-stage.ts';

/** As clients write a body at the least. */
const WRITE_BYTES = 16_384;
/** In 84 KB. */
const TINY_CHUNKS = 4000;

test('chunks of a few bytes are refused by their number, before any is opened', async () => {
  const stage = await EhbpStage.open();
  const { enc, body } = await stage.seal('{');
  const sealed = { enc, body: concat(...Array.from({ length: TINY_CHUNKS }, () => body)) };
  assert.throws(() => stage.open(stage.envelope(sealed)), { code: 'sx.refused' });
  assert.equal(stage.admissions, 0);
});

test('the largest body in chunks of common size opens', async () => {
  const stage = await EhbpStage.open();
  const write = ' '.repeat(WRITE_BYTES);
  const sealed = await stage.seal(
    ...Array.from({ length: INNER_REQUEST_MAX_BYTES / WRITE_BYTES }, () => write),
  );
  const { inner } = stage.open(stage.envelope(sealed));
  assert.ok(inner.kind === 'request');
  assert.equal(inner.request.body.length, INNER_REQUEST_MAX_BYTES);
});
