/** Keys: one per item, complete, and safe as file names and in paths. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { itemKey, itemOfKey, type Item } from '../../../attestation/collateral/items.ts';
import { hasCode } from '../../../core/errors.ts';

const TCB = { bootloader: 10, tee: 0, snp: 23, microcode: 84 };
const CHIP = 'ab'.repeat(64);

const KEYS: readonly (readonly [Item, string])[] = [
  [
    { kind: 'tdx-tcb-info', fmspc: 'b0c06f000000', edition: 'standard' },
    'tdx.tcb-info.standard.b0c06f000000',
  ],
  [{ kind: 'tdx-tcb-info', fmspc: 'b0c06f000000', edition: 20 }, 'tdx.tcb-info.n20.b0c06f000000'],
  [{ kind: 'tdx-qe-identity', edition: 'early' }, 'tdx.qe-identity.early'],
  [{ kind: 'tdx-qe-identity', edition: 0 }, 'tdx.qe-identity.n0'],
  [{ kind: 'tdx-evaluation-numbers' }, 'tdx.evaluation-numbers'],
  [{ kind: 'sgx-pck-crl', ca: 'processor' }, 'sgx.pck-crl.processor'],
  [{ kind: 'sgx-root-crl' }, 'sgx.root-crl'],
  [{ kind: 'amd-chain', product: 'milan', signer: 'vlek' }, 'amd.chain.milan.vlek'],
  [{ kind: 'amd-crl', product: 'genoa', signer: 'vcek' }, 'amd.crl.genoa.vcek'],
  [
    { kind: 'amd-vcek', product: 'genoa', hwid: CHIP, tcb: TCB },
    `amd.vcek.genoa.${CHIP}.10-0-23-84`,
  ],
  [
    { kind: 'amd-vcek', product: 'turin', hwid: 'ab'.repeat(8), tcb: { ...TCB, fmc: 1 } },
    `amd.vcek.turin.${'ab'.repeat(8)}.10-0-23-84-1`,
  ],
];

for (const [item, key] of KEYS) {
  test(`${key.slice(0, 60)} stands for its item and back`, () => {
    assert.equal(itemKey(item), key);
    assert.deepEqual(itemOfKey(key), item);
    assert.match(key, /^[a-z0-9][a-z0-9._-]{0,199}$/);
  });
}

const MALFORMED: readonly Item[] = [
  { kind: 'tdx-tcb-info', fmspc: 'B0C06F000000', edition: 'standard' },
  { kind: 'tdx-tcb-info', fmspc: 'b0c06f00000', edition: 'standard' },
  { kind: 'tdx-tcb-info', fmspc: 'b0c06f000000\n', edition: 'standard' },
  { kind: 'tdx-tcb-info', fmspc: '..', edition: 'standard' },
  { kind: 'tdx-tcb-info', fmspc: 'b0c06f000000', edition: -1 },
  { kind: 'tdx-tcb-info', fmspc: 'b0c06f000000', edition: 1.5 },
  { kind: 'tdx-tcb-info', fmspc: 'b0c06f000000', edition: Number.NaN },
  { kind: 'tdx-qe-identity', edition: 4_294_967_296 },
  { kind: 'tdx-qe-identity', edition: 1e21 },
  { kind: 'amd-vcek', product: 'genoa', hwid: 'ab'.repeat(8), tcb: TCB },
  { kind: 'amd-vcek', product: 'turin', hwid: CHIP, tcb: { ...TCB, fmc: 1 } },
  { kind: 'amd-vcek', product: 'turin', hwid: 'ab'.repeat(8), tcb: TCB },
  { kind: 'amd-vcek', product: 'genoa', hwid: CHIP, tcb: { ...TCB, fmc: 1 } },
  { kind: 'amd-vcek', product: 'genoa', hwid: CHIP.toUpperCase(), tcb: TCB },
  { kind: 'amd-vcek', product: 'genoa', hwid: CHIP, tcb: { ...TCB, microcode: 256 } },
  { kind: 'amd-vcek', product: 'genoa', hwid: CHIP, tcb: { ...TCB, microcode: -1 } },
  { kind: 'amd-vcek', product: 'genoa', hwid: CHIP, tcb: { ...TCB, microcode: 0.5 } },
];

test('a value in another form makes no key', () => {
  for (const item of MALFORMED) {
    assert.throws(
      () => itemKey(item),
      (error) => hasCode(error, 'collateral.evidence'),
      JSON.stringify(item),
    );
  }
});

test('a text that no item makes stands for nothing', () => {
  for (const key of [
    '',
    'floors',
    'tdx.tcb-info.standard',
    'tdx.tcb-info.n01.b0c06f000000',
    'tdx.tcb-info.n4294967296.b0c06f000000',
    'tdx.tcb-info.latest.b0c06f000000',
    'sgx.pck-crl.root',
    'sgx.root-crl.x',
    'amd.chain.rome.vcek',
    `amd.vcek.milan.${CHIP}.10-0-23-084`,
    `amd.vcek.milan.${CHIP}.10-0-23-256`,
    `amd.vcek.turin.${'ab'.repeat(8)}.10-0-23-84`,
    '__proto__',
    'constructor',
  ]) {
    assert.equal(itemOfKey(key), undefined, key);
  }
});
