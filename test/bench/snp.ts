/**
 * SEV-SNP verification beside the cost of one P-384 verification in the same run, with a new and with a known leaf; then
 * a thousand reports a second beside an event loop whose delay is measured. Uses a real report with AMD's certificates
 * when the corpus lies beside the project, and one of the test PKI otherwise.
 * Spec: sev-snp module design, "Cost".
 * @module
 */

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { p384PublicKey, randomBytes, verifyP384 } from '#primitives';
import { decodePemBlock, splitPem } from '../../attestation/pem.ts';
import { SignatureMemo } from '../../attestation/pki/signature.ts';
import { SnpCache } from '../../attestation/snp/cache.ts';
import { baselineSnpPolicy } from '../../attestation/snp/guest-policy.ts';
import { verifySnp, verifySnpApart, type SnpVerifyInput } from '../../attestation/snp/verify.ts';
import { concat, fixed, fromBase64Url } from '../../core/bytes.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import type { Bench, BenchResult } from './bench.ts';
import { compare, ratioText, type Comparison } from './measure.ts';

const ITERATIONS = 800;
const CORPUS = '../shared/vectors/sev-snp';
/** A real Genoa report (version 3) with the certificate AMD issued for its chip and the list of that day. */
const REAL = {
  report: 'reports/real-genoa-v3-azure-coco.bin',
  vek: 'certs/amd-real-genoa-v3-azure-coco-vek.der',
  crl: 'crls/amd-genoa.crl.pem',
};
const REAL_NOW_MS = Date.UTC(2025, 5, 1);
const SIGNED_BYTES = 672;

/** Targets are ratios to one P-384 verification. */
const LEVELS = [
  { level: 'new leaf', target: 1.7 },
  { level: 'known leaf', target: 1.15 },
] as const;
type Level = (typeof LEVELS)[number]['level'];

interface Subject {
  readonly what: string;
  readonly input: SnpVerifyInput;
}

async function subject(): Promise<Subject> {
  if (!existsSync(`${CORPUS}/${REAL.report}`)) {
    return {
      what: 'a report of the test PKI',
      input: await buildSnpCase(await createSnpTestPki()),
    };
  }
  const unchecked = { unchecked: 'benchmark' };
  return {
    what: "a real report with AMD's certificates",
    input: {
      evidence: {
        form: 'report',
        bytes: new Uint8Array(readFileSync(`${CORPUS}/${REAL.report}`)),
        endorsements: {
          vek: new Uint8Array(readFileSync(`${CORPUS}/${REAL.vek}`)),
          crl: crlOf(readFileSync(`${CORPUS}/${REAL.crl}`, 'utf8')),
        },
      },
      nowMs: REAL_NOW_MS,
      policy: baselineSnpPolicy({ reportData: unchecked, measurements: unchecked }),
    },
  };
}

function crlOf(pem: string): Uint8Array {
  const [block] = splitPem(pem, 'X509 CRL');
  assert(block !== undefined, 'the corpus has a list');
  return decodePemBlock(block);
}

/** One P-384 verification over as many bytes as a report signs. */
function rawVerification(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const key = p384PublicKey(fixed(concat(fromBase64Url(x), fromBase64Url(y)), 96));
  assert(key !== undefined, 'a generated key is a point');
  const data = randomBytes(SIGNED_BYTES);
  const raw = sign('sha384', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = fixed(Uint8Array.from(raw), 96);
  assert(verifyP384(key, signature, data), 'a fresh signature verifies');
  return () => void verifyP384(key, signature, data);
}

function compareLevel(level: Level, input: SnpVerifyInput, reference: () => void): Comparison {
  const cache = new SnpCache();
  const prepare = (): void => {
    if (level === 'new leaf') cache.leaves.clear();
  };
  const judged = { ...input, cache };
  assert(verifySnp(judged).accepted, 'the subject of the benchmark is accepted');
  return compare(() => void verifySnp(judged), reference, { iterations: ITERATIONS, prepare });
}

const REPORTS = 400;
const PER_SECOND = 1000;
const SECONDS = 5;
const TICK_MS = 5;
const DELAY_TARGET_MS = 5;
const NS_PER_MS = 1e6;

interface Load {
  readonly verifiedPerSecond: number;
  readonly idleP99Ms: number;
  readonly apartP99Ms: number;
  readonly inlineP99Ms: number;
}

/** Reports that differ in their report data, signed by one chip of the test PKI. */
async function manyReports(): Promise<readonly SnpVerifyInput[]> {
  const pki = await createSnpTestPki();
  const { evidence, anchors } = await buildSnpCase(pki);
  const inputs: SnpVerifyInput[] = [];
  for (let i = 0; i < REPORTS; i++) {
    const reportData = randomBytes(64);
    inputs.push(
      await buildSnpCase(pki, {
        sent: () => evidence.endorsements,
        anchors,
        report: { fields: { reportData } },
        policy: { reportData: { equals: reportData } },
      }),
    );
  }
  return inputs;
}

async function measureLoad(): Promise<Load> {
  const inputs = await manyReports();
  const cache = new SnpCache();
  const idle = await delayDuring(async () => await pause(SECONDS * 200));
  const apart = await delayDuring(
    async () =>
      await drive(inputs, async (input) => {
        // A fresh memory each time: no report is recognised from the round before.
        const memo = new SignatureMemo();
        const remembered = { ...input, cache, memo };
        await verifySnpApart(remembered, memo);
        assert(verifySnp(remembered).accepted, 'a report under load is accepted');
      }),
  );
  const inline = await delayDuring(
    async () =>
      await drive(inputs, (input) => {
        assert(verifySnp({ ...input, cache }).accepted, 'a report under load is accepted');
        return Promise.resolve();
      }),
  );
  return {
    verifiedPerSecond: (PER_SECOND * SECONDS) / (apart.tookMs / 1000),
    idleP99Ms: idle.p99Ms,
    apartP99Ms: apart.p99Ms,
    inlineP99Ms: inline.p99Ms,
  };
}

/** Hands over as many reports as are due, every few milliseconds, and waits for the last. */
async function drive(
  inputs: readonly SnpVerifyInput[],
  verify: (input: SnpVerifyInput) => Promise<void>,
): Promise<void> {
  const startedMs = performance.now();
  const running: Promise<void>[] = [];
  while (running.length < PER_SECOND * SECONDS) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * PER_SECOND);
    while (running.length < Math.min(due, PER_SECOND * SECONDS)) {
      const input = inputs[running.length % inputs.length];
      if (input !== undefined) running.push(verify(input));
    }
    await pause(TICK_MS);
  }
  await Promise.all(running);
}

async function delayDuring(work: () => Promise<void>) {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const startedMs = performance.now();
  await work();
  const tookMs = performance.now() - startedMs;
  histogram.disable();
  return { tookMs, p99Ms: histogram.percentile(99) / NS_PER_MS };
}

async function run(): Promise<BenchResult> {
  const { what, input } = await subject();
  const reference = rawVerification();
  const rows = LEVELS.map(({ level, target }) => {
    const { subject: own, reference: p384, ratio } = compareLevel(level, input, reference);
    return { level, ...own, referenceMedianUs: p384.medianUs, ratio, target };
  });
  const load = await measureLoad();
  return {
    figures: { subject: what, levels: rows, load },
    lines: [
      `SEV-SNP verification of ${what}, ${ITERATIONS} runs each, one P-384 verification after every run`,
      ...rows.map((row) => ratioText(row, 'P-384')),
      `${PER_SECOND} reports a second for ${SECONDS} s, away from the event loop: ${load.verifiedPerSecond.toFixed(0)} a second done`,
      `event-loop delay p99: idle ${milliseconds(load.idleP99Ms)}, apart ${milliseconds(load.apartP99Ms)} (target ${DELAY_TARGET_MS} ms${load.apartP99Ms <= DELAY_TARGET_MS ? '' : ', missed'}), on the event loop ${milliseconds(load.inlineP99Ms)}`,
    ],
  };
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

export const bench: Bench = {
  name: 'snp',
  summary:
    'SEV-SNP report verification: new leaf, known leaf, and event-loop delay at 1,000 a second',
  run,
};
