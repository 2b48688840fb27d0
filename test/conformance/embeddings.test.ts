/** C14: the same vectors whichever form a client asks for, in the order of the inputs. @module */

import assert from 'node:assert/strict';
import { embedMany } from 'ai';
import { demoEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, langChainEmbeddings, openAi, type Way } from '../support/conformance/way.ts';

const lab = labOf({ engine: demoEngine });
const INPUT = ['remote attestation', 'a fox', 'remote attestation', 'a machine'];

/** What the API itself says in numbers. */
async function floats(way: Way): Promise<readonly (readonly number[])[]> {
  const { data } = await openAi(way).embeddings.create({
    model: way.model,
    input: INPUT,
    encoding_format: 'float',
  });
  const vectors = data.map(({ embedding }) => embedding);
  assert.equal(vectors.length, INPUT.length);
  assert.deepEqual(
    data.map(({ index }) => index),
    [0, 1, 2, 3],
  );
  assert.deepEqual(vectors[0], vectors[2]);
  assert.notDeepEqual(vectors[0], vectors[1]);
  return vectors;
}

row('C14', waysOf(lab), {
  // Asks for base64 and decodes it, unless told otherwise.
  O: async (way) => {
    const { data } = await openAi(way).embeddings.create({ model: way.model, input: INPUT });
    const decoded = data.map(({ embedding }) => [...embedding]);
    assert.deepEqual(decoded, await floats(way));
  },
  // Asks for numbers.
  A: async (way) => {
    const model = aiSdk(way).embeddingModel(way.model);
    const { embeddings, usage } = await embedMany({ model, values: INPUT, maxRetries: 0 });
    assert.deepEqual(embeddings, await floats(way));
    assert.ok(usage.tokens > 0);
  },
  // Asks for base64.
  L: async (way) => {
    const vectors = await langChainEmbeddings(way).embedDocuments(INPUT);
    assert.deepEqual(
      vectors.map((vector) => [...vector]),
      await floats(way),
    );
    assert.deepEqual([...(await langChainEmbeddings(way).embedQuery('a fox'))], vectors[1]);
  },
});
