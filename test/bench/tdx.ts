/**
 * TDX verification beside the cost of one P-256 verification in the same run: cold, and with more and more known.
 * Uses a real quote with real collateral when the corpus lies beside the project, and one of the test PKI otherwise.
 * Spec: tdx module design, "Speed".
 * @module
 */

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { p256PublicKey, randomBytes, verifyP256 } from '#primitives';
import { TdxCache } from '../../attestation/tdx/cache.ts';
import { INTEL_ROOT } from '../../attestation/tdx/roots.ts';
import { baselineTdxPolicy } from '../../attestation/tdx/td-policy.ts';
import { verifyTdx, type TdxVerifyInput } from '../../attestation/tdx/verify.ts';
import { fixed, fromBase64, fromBase64Url, concat, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { buildCase } from '../support/tdx/case.ts';
import { createTestPki } from '../support/tdx/pki.ts';
import type { Bench, BenchResult } from './bench.ts';
import { compare, microseconds, ratioText, type Comparison } from './measure.ts';
import { measurePeer } from './tdx-peer.ts';

const ITERATIONS = 1500;
const CORPUS = '../shared/vectors/tdx';
/** A real v4 quote with the collateral of its time. */
const REAL = { quote: 'quotes/real-r01.bin', collateral: 'collateral/real-r01.json' };
const REAL_NOW_MS = Date.UTC(2025, 5, 25);
const COLLATERAL_MAX_BYTES = 1024 * 1024;

/** Targets are ratios to one P-256 verification. */
const LEVELS = [
  { level: 'cold', target: 20 },
  { level: 'collateral cached', target: 7 },
  { level: 'platform known', target: 4.5 },
  { level: 'attestation key known', target: 1.5 },
] as const;
type Level = (typeof LEVELS)[number]['level'];

const COLLATERAL_FILE = z.object({
  tcbInfo: z.string(),
  qeIdentity: z.string(),
  tcbInfoIssuerChain: z.string(),
  qeIdentityIssuerChain: z.string(),
  pckCrlIssuerChain: z.string(),
  pckCrl: z.string(),
  rootCaCrl: z.string(),
});

interface Subject {
  readonly what: string;
  readonly input: TdxVerifyInput;
}

async function subject(): Promise<Subject> {
  if (!existsSync(`${CORPUS}/${REAL.quote}`)) {
    return { what: 'a quote of the test PKI', input: await buildCase(await createTestPki()) };
  }
  const file = COLLATERAL_FILE.parse(
    parseJson(readFileSync(`${CORPUS}/${REAL.collateral}`), COLLATERAL_MAX_BYTES),
  );
  const unchecked = { unchecked: 'benchmark' };
  return {
    what: 'a real quote with real collateral',
    input: {
      quote: new Uint8Array(readFileSync(`${CORPUS}/${REAL.quote}`)),
      collateral: {
        ...file,
        tcbInfo: utf8(file.tcbInfo),
        qeIdentity: utf8(file.qeIdentity),
        pckCrl: fromBase64(file.pckCrl),
        rootCaCrl: fromBase64(file.rootCaCrl),
      },
      nowMs: REAL_NOW_MS,
      policy: baselineTdxPolicy({ reportData: unchecked, measurements: unchecked }),
      roots: [INTEL_ROOT],
    },
  };
}

/** One P-256 verification over as many bytes as a quote signs. */
function rawVerification(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const key = p256PublicKey(fixed(concat(fromBase64Url(x), fromBase64Url(y)), 64));
  assert(key !== undefined, 'a generated key is a point');
  const data = randomBytes(632);
  const raw = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = fixed(Uint8Array.from(raw), 64);
  assert(verifyP256(key, signature, data), 'a fresh signature verifies');
  return () => void verifyP256(key, signature, data);
}

function compareLevel(level: Level, input: TdxVerifyInput, reference: () => void): Comparison {
  const cache = new TdxCache();
  const judged = level === 'cold' ? input : { ...input, cache };
  const prepare = (): void => {
    if (level === 'collateral cached') cache.chains.clear();
    if (level === 'collateral cached' || level === 'platform known') cache.qes.clear();
  };
  assert(verifyTdx(judged).accepted, 'the subject of the benchmark is accepted');
  return compare(() => void verifyTdx(judged), reference, { iterations: ITERATIONS, prepare });
}

async function run(): Promise<BenchResult> {
  const { what, input } = await subject();
  const reference = rawVerification();
  const rows = LEVELS.map(({ level, target }) => {
    const { subject: own, reference: p256, ratio } = compareLevel(level, input, reference);
    return { level, ...own, referenceMedianUs: p256.medianUs, ratio, target };
  });
  const peer = await measurePeer(input);
  return {
    figures: { subject: what, levels: rows, peer },
    lines: [
      `TDX verification of ${what}, ${ITERATIONS} runs each, one P-256 verification after every run`,
      ...rows.map((row) => ratioText(row, 'P-256')),
      typeof peer === 'string' ? peer : `${peer.name}: median ${microseconds(peer.medianUs)}`,
    ],
  };
}

export const bench: Bench = {
  name: 'tdx',
  summary: 'TDX quote verification: cold, collateral cached, platform known, attestation key known',
  run,
};
