/** The EHBP vectors in the tree are what the code makes, and the published client reads their answers. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decryptChunk, deriveResponseKeys } from 'ehbp';
import { z } from 'zod';
import { concat, fixed, fromHex, fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { ehbpKidOf } from '../../../attestation/statement.ts';
import { openEhbpRequest } from '../../../protocol/ehbp/open.ts';
import { EhbpRecipients } from '../../../protocol/ehbp/recipients.ts';
import { hpkeKeyPairOf } from '../../../protocol/kem.ts';
import { ehbpVectorFiles } from './generate-ehbp.ts';

const hex = z.string().regex(/^([0-9a-f]{2})+$/);
const VECTORS = z.object({
  vectors: z.array(
    z.object({
      name: z.string(),
      nowMs: z.number(),
      worker: z.object({ hpkeSecret: hex, statementHash: hex, kid: hex }),
      request: z.object({ plaintext: z.string(), enc: hex, exported: hex, link: hex, th: hex }),
      response: z.object({
        nonce: hex,
        plaintext: z.string(),
        beforeSettlement: z.union([hex, z.literal('')]),
        afterSettlement: hex,
      }),
    }),
  ),
});

for (const { path, text } of ehbpVectorFiles()) {
  test(`${path} is fresh`, () => {
    assert.equal(readFileSync(path, 'utf8'), text, 'run: npm run generate');
  });

  for (const vector of VECTORS.parse(parseJson(utf8(text), 1_000_000)).vectors) {
    const { name, nowMs, worker, request, response } = vector;
    test(`${name}: the worker opens its request`, () => {
      const pair = hpkeKeyPairOf('X25519', fixed(fromHex(worker.hpkeSecret), 32));
      const statementHash = fixed(fromHex(worker.statementHash), 32);
      const kid = ehbpKidOf(statementHash, fixed(pair.publicKey, 32));
      assert.equal(toHex(kid), worker.kid);
      const recipients = new EhbpRecipients();
      recipients.add({ kid, statementHash, pair, expiresAtMs: nowMs + 1 });
      const input = { recipients, nowMs, admit: () => {} };
      const opened = openEhbpRequest(fromHex(request.link), input);
      assert.ok(opened.inner.kind === 'request');
      assert.equal(fromUtf8(opened.inner.request.body), request.plaintext);
      assert.equal(toHex(opened.th), request.th);
    });

    test(`${name}: the published client reads its answer`, async () => {
      const [exported, enc, nonce] = [request.exported, request.enc, response.nonce].map(fromHex);
      assert.ok(exported && enc && nonce);
      const keys = await deriveResponseKeys(exported, enc, nonce);
      const wire = Buffer.concat(
        [response.beforeSettlement, response.afterSettlement].map((part) => fromHex(part)),
      );
      const parts: Uint8Array[] = [];
      for (let at = 0; at < wire.length; at += 4 + wire.readUInt32BE(at)) {
        const chunk = wire.subarray(at + 4, at + 4 + wire.readUInt32BE(at));
        parts.push(await decryptChunk(keys, parts.length, Uint8Array.from(chunk)));
      }
      const read = fromUtf8(concat(...parts));
      const unpadded = read.replaceAll(/^:? *\n$/gm, '').trimEnd();
      assert.equal(unpadded.replaceAll(/\n: *\n/g, '\n'), response.plaintext.trimEnd());
    });
  }
}
