/** C1. Attack: the gateway hands out evidence in which one part comes from somebody else. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, WHOLE } from '../support/hostile.ts';
import { memoryGateway, type MemoryGateway } from '../support/memory-gateway.ts';

const PARTS = ['statement', 'quote', 'card'] as const;

/** Evidence of the first worker with a part of the second: both genuine. */
function swap(gateway: MemoryGateway, part: (typeof PARTS)[number]): void {
  const [honest, other] = gateway.workers;
  assert.ok(honest !== undefined && other !== undefined);
  const mixed = { ...honest.evidence, [part]: other.evidence[part] };
  gateway.mischief.evidence = () => ({
    candidates: [{ workerId: honest.workerId, evidence: mixed }],
  });
}

for (const part of PARTS) {
  test(`a foreign ${part} admits nobody, and nothing is sealed to it`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    swap(gateway, part);
    assertError(await appOf(gateway)('unary'), ['attestation_failed']);
    assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
  });
}

test('evidence of another gateway is refused: the statement names its audience', async () => {
  const here = await memoryGateway();
  const elsewhere = await memoryGateway();
  const [foreign] = elsewhere.workers;
  here.mischief.evidence = () => ({
    candidates: [{ workerId: foreign?.workerId, evidence: foreign?.evidence }],
  });
  assertError(await appOf(here)('unary'), ['attestation_failed']);
});

test('one spoiled bundle among good ones does not stop the good ones', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.evidence = ({ candidates }) => ({
    candidates: [{ workerId: 'x', evidence: { tee: 'tdx' } }, ...candidates],
  });
  assert.deepEqual(await appOf(gateway)('unary'), WHOLE);
});

test('C1: genuine evidence under the name of another worker admits nobody', async () => {
  const gateway = await memoryGateway([{}, {}]);
  const [first, second] = gateway.workers;
  gateway.mischief.evidence = () => ({
    candidates: [{ workerId: second?.workerId, evidence: first?.evidence }],
    publication: null,
  });
  assertError(await appOf(gateway)('unary'), ['attestation_failed']);
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});
