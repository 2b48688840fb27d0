/** The vectors in the tree are what the code makes, and reading them back gives what they say. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { fixed, fromHex, fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { hpkeKeyPairOf } from '../../../protocol/kem.ts';
import { parseReceiptUnverified } from '../../../protocol/receipt.ts';
import { ResponseRelay } from '../../../protocol/sx/clear.ts';
import { openRequest } from '../../../protocol/sx/open.ts';
import { RecipientKeys } from '../../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../../protocol/sx/replay.ts';
import { protocolVectorFiles } from './generate.ts';

const FILES = protocolVectorFiles();

const VECTORS = z.object({
  vectors: z.array(
    z.object({
      name: z.string(),
      kem: z.enum(['X25519', 'X-Wing']),
      nowMs: z.number(),
      workers: z.array(
        z.object({ hpkeSecret: z.string(), statementHash: z.string(), kid: z.string() }),
      ),
      request: z.object({ body: z.string(), th: z.string(), sealed: z.string() }),
      response: z.object({
        answeredBy: z.number(),
        receiptHash: z.string(),
        amount: z.string(),
        sealed: z.string(),
      }),
    }),
  ),
});

for (const { path, text } of FILES) {
  test(`${path} is fresh`, () => {
    assert.equal(readFileSync(path, 'utf8'), text, 'run: npm run generate');
  });

  const file = VECTORS.parse(parseJson(utf8(text), 1_000_000));
  for (const { name, kem, nowMs, workers, request, response } of file.vectors) {
    test(`${name}: every worker opens the vector; the relay finds its receipt`, () => {
      for (const worker of workers) {
        const keys = new RecipientKeys();
        const { kid } = keys.add({
          statementHash: fixed(fromHex(worker.statementHash), 32),
          pair: hpkeKeyPairOf(kem, fixed(fromHex(worker.hpkeSecret), 32)),
          expiresAtMs: nowMs + 1,
        });
        assert.equal(toHex(kid), worker.kid);
        const input = { keys, replay: new ReplaySet(1), nowMs, admit: () => {} };
        const opened = openRequest(fromHex(request.sealed), input);
        assert.ok(opened.inner.kind === 'request');
        assert.equal(fromUtf8(opened.inner.request.body), request.body);
        assert.equal(toHex(opened.th), request.th);
      }
      const kid = fixed(fromHex(workers[response.answeredBy]?.kid ?? ''), 16);
      const step = new ResponseRelay(kid, { constantRate: false }).push(fromHex(response.sealed));
      assert.ok(step.receipt !== undefined);
      const { hash, receipt } = parseReceiptUnverified(step.receipt);
      assert.equal(toHex(hash), response.receiptHash);
      assert.equal(String(receipt.amount), response.amount);
    });
  }
}
