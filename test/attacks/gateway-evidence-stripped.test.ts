/** Attack: the evidence of the gateway is withheld, so that the client may be content without. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { ask, openAttestedLab, refusalOf, startImpostor } from '../support/attested-lab.ts';

const SHOWN = z.looseObject({ evidence: z.looseObject({}) });

const WAYS: readonly (readonly [
  what: string,
  evidence: (honest: string) => { readonly status: number; readonly body: string },
])[] = [
  ['a path that is not there', () => ({ status: 404, body: '{}' })],
  ['an empty answer', () => ({ status: 200, body: '' })],
  ['no evidence', () => ({ status: 200, body: '{"publication":null}' })],
  ['null', () => ({ status: 200, body: '{"evidence":null}' })],
  ['a page', () => ({ status: 200, body: '<html>maintenance</html>' })],
  ...(['statement', 'quote', 'endorsements', 'fmt'] as const).map(
    (part) =>
      [
        `evidence without its ${part}`,
        (honest: string) => {
          const { evidence } = SHOWN.parse(JSON.parse(honest));
          const { [part]: _gone, ...rest } = evidence;
          return { status: 200, body: JSON.stringify({ evidence: rest }) };
        },
      ] as const,
  ),
];

test('without readable evidence nothing is sent', async () => {
  const lab = await openAttestedLab();
  try {
    for (const [what, evidence] of WAYS) {
      const impostor = await startImpostor({ evidenceOf: lab.origin, evidence });
      const response = await lab.app()(...ask(`https://localhost:${impostor.port}`));
      assert.equal(await refusalOf(response), 'client.gateway_evidence', what);
      assert.deepEqual(impostor.caught, [], what);
      await impostor.close();
    }
  } finally {
    await lab.close();
  }
});

test('clear text is not a way around it, not even on this machine', async () => {
  const lab = await openAttestedLab();
  try {
    const response = await lab.app()(...ask(`http://127.0.0.1:${lab.port}`));
    assert.equal(await refusalOf(response), 'client.insecure_url');
  } finally {
    await lab.close();
  }
});
