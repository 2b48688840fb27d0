/** AMD's extensions with one thing wrong. Spec: AMD 57230 §3, 58369 §3; sev-snp.md §2.1. @module */

import { derIa5, derInteger, derOctets, derValue } from '../../../../attestation/der-writer.ts';
import { TAG } from '../../../../attestation/der.ts';
import { concat, fromHex, utf8 } from '../../../../core/bytes.ts';
import {
  AMD_ARC,
  type VekEntry,
} from '../../../../enclave-worker/evidence/simulator/snp/vek-extensions.ts';
import type { SnpFaults } from '../../../support/snp/case.ts';
import { CSP_ID, PRODUCTS, type Signer } from '../../../support/snp/pki.ts';
import { twice } from '../../../support/spoil.ts';
import { NEEDS_EXTENSIONS, NO_EXTENSIONS, type SnpCheckCase } from './check-case.ts';

function leaf(
  title: string,
  faults: Pick<SnpFaults, 'product' | 'signer' | 'chain'>,
): SnpCheckCase {
  const isCloud = faults.signer === 'vlek';
  return {
    id: 'vek.extensions',
    title,
    faults,
    // Which cloud a VLEK belongs to stands in its extensions.
    skips: [...NEEDS_EXTENSIONS, ...(isCloud ? (['policy.cspId'] as const) : [])],
    why: NO_EXTENSIONS,
  };
}

function entries(
  title: string,
  change: (entries: readonly VekEntry[]) => readonly VekEntry[],
  kind: Pick<SnpFaults, 'product' | 'signer'> = {},
): SnpCheckCase {
  return leaf(title, { ...kind, chain: { entries: change } });
}

function without(arc: string): (entries: readonly VekEntry[]) => readonly VekEntry[] {
  return (all) => all.filter((entry) => entry.arc !== arc);
}

function withValue(
  arc: string,
  value: Uint8Array,
): (entries: readonly VekEntry[]) => readonly VekEntry[] {
  return (all) => [...without(arc)(all), { arc, value }];
}

const SPL_ARCS = ['3.1', '3.2', '3.3', '3.4', '3.5', '3.6', '3.7', '3.8'];
const UNUSED_ARCS = ['3.4', '3.5', '3.6', '3.7'];

const PRESENCE_CASES: readonly SnpCheckCase[] = [
  ...['1', '2', ...SPL_ARCS, '4'].map((arc) =>
    entries(`a leaf without .${arc} is refused`, without(arc)),
  ),
  ...['1', '2', '3.1', '3.2', '3.3', '3.5', '3.6', '3.7', '3.8', '3.9', '4'].map((arc) =>
    entries(`a leaf of Turin without .${arc} is refused`, without(arc), { product: 'Turin' }),
  ),
  entries('a VLEK without a cloud is refused', without('5'), { signer: 'vlek' }),
  entries('a leaf of Genoa with an FMC is refused', withValue('3.9', derInteger(0))),
  entries('a leaf of Turin with the fourth SPL is refused', withValue('3.4', derInteger(0)), {
    product: 'Turin',
  }),
  entries('a leaf with both chip and cloud is refused', withValue('5', derIa5(CSP_ID))),
  entries('a VLEK with a chip is refused', withValue('4', PRODUCTS.Genoa.hwId), { signer: 'vlek' }),
  ...['1', '2', '3.3', '3.8', '4'].map((arc) =>
    leaf(`a leaf with .${arc} twice is refused`, {
      chain: { vek: { profile: twice(`${AMD_ARC}.${arc}`) } },
    }),
  ),
  leaf('a leaf with two SPLs that disagree is refused', {
    chain: {
      entries: (all) => [...all, { arc: '3.8', value: derInteger(255) }],
    },
  }),
  leaf('a leaf without any extension of AMD is refused', { chain: { entries: () => [] } }),
];

const ODD_INTEGERS: readonly (readonly [title: string, value: Uint8Array])[] = [
  ['a negative SPL', fromHex('0201db')],
  ['a padded SPL', fromHex('02020054')],
  ['an SPL above 255', derInteger(256)],
  ['an empty SPL', fromHex('0200')],
  ['an SPL with a byte after it', fromHex('02015400')],
  ['an SPL in an OCTET STRING', derOctets(derInteger(84))],
  ['an SPL as bare bytes', Uint8Array.of(84)],
  ['an SPL as ENUMERATED', fromHex('0a0154')],
  ['an SPL with a long length', fromHex('02810154')],
  ['nothing in place of an SPL', new Uint8Array()],
];

const VALUE_CASES: readonly SnpCheckCase[] = [
  ...ODD_INTEGERS.map(([title, value]) => entries(`${title} is refused`, withValue('3.8', value))),
  ...UNUSED_ARCS.map((arc) =>
    entries(`an SPL .${arc} that is not zero is refused`, withValue(arc, derInteger(1))),
  ),
  ...UNUSED_ARCS.slice(1).map((arc) =>
    entries(`an SPL .${arc} of Turin that is not zero is refused`, withValue(arc, derInteger(1)), {
      product: 'Turin',
    }),
  ),
  leaf("a leaf of Genoa with everything that Turin's has is refused", {
    chain: { facts: { tcb: { fmc: 0, ...PRODUCTS.Genoa.tcb } } },
  }),
  leaf("a leaf of Turin with everything that Genoa's has is refused", {
    product: 'Turin',
    chain: { facts: { tcb: PRODUCTS.Genoa.tcb } },
  }),
  entries('structure version 1 for Genoa is refused', withValue('1', derInteger(1))),
  entries('structure version 0 for Turin is refused', withValue('1', derInteger(0)), {
    product: 'Turin',
  }),
  entries('structure version 2 is refused', withValue('1', derInteger(2))),
];

const NAME_CASES: readonly SnpCheckCase[] = [
  ...['Venice', 'genoa', 'GENOA', '', 'Genoa ', '-Genoa'].map((name) =>
    entries(`the product "${name}" is refused`, withValue('2', derIa5(name))),
  ),
  entries('a product in UTF-8 is refused', withValue('2', derValue(TAG.utf8String, utf8('Genoa')))),
  entries(
    'a product with a byte after it is refused',
    withValue('2', concat(derIa5('Genoa'), Uint8Array.of(0))),
  ),
  entries(
    'a product of 65 characters is refused',
    withValue('2', derIa5(`Genoa-${'B'.repeat(59)}`)),
  ),
  entries('a product with a line feed is refused', withValue('2', derIa5('Genoa-\n'))),
  ...['', 'x'.repeat(257), 'CN=\u0007', 'CN=ü'].map((name) =>
    entries(`a cloud of ${name.length} odd characters is refused`, withValue('5', derIa5(name)), {
      signer: 'vlek',
    }),
  ),
  entries('a cloud in UTF-8 is refused', withValue('5', derValue(TAG.utf8String, utf8(CSP_ID))), {
    signer: 'vlek',
  }),
];

function chip(title: string, hwId: Uint8Array, signer: Signer = 'vcek'): SnpCheckCase {
  return entries(title, withValue('4', hwId), { signer });
}

const CHIP = PRODUCTS.Genoa.hwId;

const CHIP_CASES: readonly SnpCheckCase[] = [
  chip('a chip of 63 bytes is refused', CHIP.subarray(0, 63)),
  chip('a chip of 65 bytes is refused', concat(CHIP, Uint8Array.of(0))),
  chip('a chip of 8 bytes is refused for Genoa', CHIP.subarray(0, 8)),
  chip('no bytes for a chip are refused', new Uint8Array()),
  chip('a chip in an OCTET STRING of another length is refused', concat(fromHex('043f'), CHIP)),
  chip('a chip in another string is refused', concat(fromHex('0340'), CHIP)),
  chip('a chip in two OCTET STRINGs is refused', derOctets(derOctets(CHIP))),
  entries('a chip of 64 bytes is refused for Turin', withValue('4', CHIP), { product: 'Turin' }),
  entries('a chip of 9 bytes is refused for Turin', withValue('4', CHIP.subarray(0, 9)), {
    product: 'Turin',
  }),
];

export const LEAF_CASES: readonly SnpCheckCase[] = [
  ...PRESENCE_CASES,
  ...VALUE_CASES,
  ...NAME_CASES,
  ...CHIP_CASES,
];
