/**
 * Damaged evidence ends in a complete verdict: never an exception, never "accept" where a signature covers the byte.
 * SLOW=1 adds the real and synthetic quotes of the shared corpus, every bit of every byte and more garbage.
 * Spec: tdx.md §14, §15 (2).
 * @module
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { TdxCache } from '../../../attestation/tdx/cache.ts';
import { TDX_CHECK_IDS } from '../../../attestation/tdx/check-list.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { DEFAULT_ROOTS } from '../../../attestation/tdx/roots.ts';
import { baselineTdxPolicy, type TdxPolicy } from '../../../attestation/tdx/td-policy.ts';
import { verifyTdx, type TdxResult } from '../../../attestation/tdx/verify.ts';
import { sha256 } from '#primitives';
import { fromBase64, utf8 } from '../../../core/bytes.ts';
import { parseInstant } from '../../../core/clock.ts';
import { parseJson } from '../../../core/json.ts';
import { z } from 'zod';
import { buildCase, type TdxCase } from '../../support/tdx/case.ts';
import { damage, flipBit, seededBytes } from '../../support/changes.ts';
import { createTestPki } from '../../support/tdx/pki.ts';

const SLOW = process.env['SLOW'] === '1';
const pki = await createTestPki();

/** With a cache that has seen the sound evidence: the fast paths must be as strict as the slow ones. */
async function warmed(evidence: TdxCase): Promise<(change: Partial<TdxCase>) => TdxResult> {
  const cache = new TdxCache();
  assert.equal(verifyTdx({ ...evidence, cache }).accepted, true);
  return (change) => {
    const result = verifyTdx({ ...evidence, ...change, cache });
    assert.equal(result.checks.length, TDX_CHECK_IDS.length);
    return result;
  };
}

/** End of the authentication data: what follows is padding, covered by nothing. */
function signedEnd(quote: Uint8Array): number {
  const view = new DataView(quote.buffer, quote.byteOffset, quote.byteLength);
  const body = view.getUint16(0, true) === 4 ? 48 + 584 : 54 + view.getUint32(50, true);
  return body + 4 + view.getUint32(body, true);
}

async function survivesTruncation(evidence: TdxCase): Promise<void> {
  const verify = await warmed(evidence);
  const end = signedEnd(evidence.quote);
  for (let length = 0; length < end; length++) {
    const result = verify({ quote: evidence.quote.subarray(0, length) });
    assert.equal(result.accepted, false, `cut to ${length} bytes`);
  }
}

/** White space around the certificates of the chain is the only thing that no signature covers. */
function isWhiteSpace(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d || byte === 0x20 || byte === 0x09 || byte === 0;
}

async function survivesBitFlips(evidence: TdxCase, bitsOf: (at: number) => readonly number[]) {
  const verify = await warmed(evidence);
  const { quote } = evidence;
  const end = signedEnd(quote);
  for (let at = 0; at < end; at++) {
    for (const bit of bitsOf(at)) {
      const changed = flipBit(quote, at, bit);
      if (!verify({ quote: changed }).accepted) continue;
      const harmless = isWhiteSpace(quote[at]) && isWhiteSpace(changed[at]);
      assert.ok(harmless && at > end - pemLength(quote), `byte ${at} bit ${bit} was accepted`);
    }
  }
}

function pemLength(quote: Uint8Array): number {
  const text = String.fromCharCode(...quote.subarray(0, signedEnd(quote)));
  return text.length - text.indexOf('-----BEGIN');
}

const EVERY_BIT = [0, 1, 2, 3, 4, 5, 6, 7];
function oneBit(at: number): readonly number[] {
  return [at % 8];
}

const FORMS = [
  { version: 4, body: 2 },
  { version: 5, body: 3 },
  { version: 5, body: 4 },
] as const;

describe('a damaged quote', () => {
  for (const form of FORMS) {
    const name = `version ${form.version}, body type ${form.body}`;
    test(`cut anywhere is refused (${name})`, async () => {
      await survivesTruncation(await buildCase(pki, { quote: form }));
    });
    test(`changed in any byte is refused (${name})`, async () => {
      const evidence = await buildCase(pki, { quote: form });
      await survivesBitFlips(evidence, SLOW ? () => EVERY_BIT : oneBit);
    });
  }
});

const BYTE_MEMBERS = ['tcbInfo', 'qeIdentity', 'pckCrl', 'rootCaCrl'] as const;
const TEXT_MEMBERS = ['tcbInfoIssuerChain', 'qeIdentityIssuerChain'] as const;

function collateralBytes(collateral: TdxCollateral, member: Member): Uint8Array {
  const value = collateral[member];
  return typeof value === 'string' ? utf8(value) : value;
}
type Member = (typeof BYTE_MEMBERS)[number] | (typeof TEXT_MEMBERS)[number];

function withMember(evidence: TdxCase, member: Member, bytes: Uint8Array): Partial<TdxCase> {
  const isText = TEXT_MEMBERS.some((text) => text === member);
  const value = isText ? new TextDecoder().decode(bytes) : bytes;
  return { collateral: { ...evidence.collateral, [member]: value } };
}

/** The same document for every reader: white space around PEM blocks, hex digits of a signature in the other case. */
function meansTheSame(before: Uint8Array, after: Uint8Array, at: number): boolean {
  if (isWhiteSpace(before[at]) && isWhiteSpace(after[at])) return true;
  const text = new TextDecoder();
  const signatureAt = text.decode(before).lastIndexOf('"signature":"');
  const [a, b] = [before, after].map((bytes) => text.decode(bytes).toLowerCase());
  return signatureAt >= 0 && at > signatureAt && a === b;
}

/** Collateral is not remembered until it is authentic, so each change costs nine signatures: a sample by default. */
const FLIP_STEP = SLOW ? 1 : 11;
const CUT_STEP = SLOW ? 1 : 23;

describe('damaged collateral', () => {
  for (const member of [...BYTE_MEMBERS, ...TEXT_MEMBERS]) {
    test(`${member} changed in a byte is refused`, async () => {
      const evidence = await buildCase(pki);
      const verify = await warmed(evidence);
      const bytes = collateralBytes(evidence.collateral, member);
      for (let at = 0; at < bytes.length; at += FLIP_STEP) {
        for (const bit of SLOW ? EVERY_BIT : oneBit(at)) {
          const changed = flipBit(bytes, at, bit);
          if (!verify(withMember(evidence, member, changed)).accepted) continue;
          assert.ok(meansTheSame(bytes, changed, at), `byte ${at} bit ${bit} was accepted`);
        }
      }
    });

    test(`${member} cut short is refused`, async () => {
      const evidence = await buildCase(pki);
      const verify = await warmed(evidence);
      const bytes = collateralBytes(evidence.collateral, member);
      // The line feed after the last PEM block is no part of it.
      const end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length;
      for (let length = 0; length < end; length += CUT_STEP) {
        const result = verify(withMember(evidence, member, bytes.subarray(0, length)));
        assert.equal(result.accepted, false, `cut to ${length} bytes`);
      }
    });

    test(`${member} replaced by garbage or cut up is refused`, async () => {
      const evidence = await buildCase(pki);
      const verify = await warmed(evidence);
      const bytes = collateralBytes(evidence.collateral, member);
      for (let round = 0; round < (SLOW ? 2000 : 60); round++) {
        const seed = `${member}/${round}`;
        const garbage = seededBytes(seed, round * 3);
        assert.equal(verify(withMember(evidence, member, garbage)).accepted, false, seed);
        const damaged = damage(bytes, seed);
        const result = verify(withMember(evidence, member, damaged));
        assert.ok(!result.accepted || sameText(bytes, damaged), seed);
      }
    });
  }

  test('every kind of document in every place is refused', async () => {
    const evidence = await buildCase(pki);
    const verify = await warmed(evidence);
    const all = [...BYTE_MEMBERS, ...TEXT_MEMBERS];
    for (const place of all) {
      for (const other of all.filter((member) => member !== place)) {
        const bytes = collateralBytes(evidence.collateral, other);
        const result = verify(withMember(evidence, place, bytes));
        const sameChain = place.endsWith('IssuerChain') && other.endsWith('IssuerChain');
        assert.equal(result.accepted, sameChain, `${other} as ${place}`);
      }
    }
  });
});

/** Damage that only touched white space or overwrote bytes with themselves. */
function sameText(before: Uint8Array, after: Uint8Array): boolean {
  const strip = (bytes: Uint8Array): string =>
    new TextDecoder('latin1').decode(bytes).replaceAll(/[\r\n\t ]/g, '');
  return strip(before) === strip(after);
}

test('garbage as a quote is refused, whatever its size', async () => {
  const verify = await warmed(await buildCase(pki));
  for (let size = 0; size < (SLOW ? 20_000 : 2000); size += 7) {
    assert.equal(verify({ quote: seededBytes(`quote/${size}`, size) }).accepted, false);
  }
  assert.equal(verify({ quote: new Uint8Array(200_000) }).accepted, false);
});

test('a quote cut up and put together again is refused', async () => {
  const evidence = await buildCase(pki, { quote: { version: 5, body: 4 } });
  const verify = await warmed(evidence);
  const end = signedEnd(evidence.quote);
  for (let round = 0; round < (SLOW ? 20_000 : 1000); round++) {
    const quote = damage(evidence.quote.subarray(0, end), `quote/${round}`);
    const harmless = sameText(evidence.quote, quote);
    assert.ok(harmless || !verify({ quote }).accepted, `round ${round}`);
  }
});

const CORPUS = '../shared/vectors/tdx';
const MANIFEST = z.object({
  cases: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      policy: z.unknown().optional(),
      expect: z.object({ verdict: z.string() }),
      quote: z.string(),
      collateral: z.string(),
      root: z.string(),
      time: z.string(),
    }),
  ),
});
const COLLATERAL = z.object({
  tcbInfo: z.string(),
  qeIdentity: z.string(),
  tcbInfoIssuerChain: z.string(),
  qeIdentityIssuerChain: z.string(),
  pckCrlIssuerChain: z.string(),
  pckCrl: z.string(),
  rootCaCrl: z.string(),
});
const FILE_MAX_BYTES = 16 * 1024 * 1024;
const UNCHECKED = { unchecked: 'the corpus fixes no value' };
const CORPUS_POLICY: TdxPolicy = baselineTdxPolicy({
  reportData: UNCHECKED,
  measurements: UNCHECKED,
});

function corpusJson(path: string): unknown {
  return parseJson(new Uint8Array(readFileSync(`${CORPUS}/${path}`)), FILE_MAX_BYTES);
}

function corpusCases(): readonly (readonly [string, TdxCase])[] {
  const { cases } = MANIFEST.parse(corpusJson('manifest.json'));
  return cases
    .filter(({ expect, policy }) => expect.verdict === 'accept' && policy === undefined)
    .map((known) => {
      const files = COLLATERAL.parse(corpusJson(known.collateral));
      const root = new Uint8Array(readFileSync(`${CORPUS}/${known.root}`));
      return [
        known.id,
        {
          quote: new Uint8Array(readFileSync(`${CORPUS}/${known.quote}`)),
          collateral: {
            ...files,
            tcbInfo: utf8(files.tcbInfo),
            qeIdentity: utf8(files.qeIdentity),
            pckCrl: fromBase64(files.pckCrl),
            rootCaCrl: fromBase64(files.rootCaCrl),
          },
          nowMs: parseInstant(known.time) ?? 0,
          policy: CORPUS_POLICY,
          roots:
            known.kind === 'real' ? DEFAULT_ROOTS : [{ sha256: sha256(root), simulated: true }],
        },
      ];
    });
}

describe('quotes of the shared corpus', { skip: !SLOW || !existsSync(CORPUS) }, () => {
  for (const [id, evidence] of SLOW && existsSync(CORPUS) ? corpusCases() : []) {
    test(`${id} cut or changed anywhere is refused`, async () => {
      await survivesTruncation(evidence);
      await survivesBitFlips(evidence, oneBit);
    });
  }
});
