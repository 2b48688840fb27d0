/**
 * What the client costs in a page: bytes to load, time until it is ready, evidence verified, requests sealed and answers
 * opened, in headless Chromium beside Node in the same run. The page is isolated, so its clock has 5 µs.
 * @module
 */

import { brotliCompressSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { toBase64 } from '../../core/bytes.ts';
import { encodeEvidence } from '../../attestation/evidence.ts';
import { bundleBrowserModule } from '../client-package/browser-module.ts';
import { findBrowser, servePage, startBrowser, type Tab } from '../support/browser.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { buildSnpEvidence, snpImage, TEST_SNP_RULE } from '../support/snp/worker-evidence.ts';
import { createTestPki, NOW_MS } from '../support/tdx/pki.ts';
import {
  buildEvidence,
  TEST_AUD,
  TEST_CHALLENGE,
  testPolicyDocument,
  type SoundEvidence,
} from '../support/worker-evidence.ts';
import type { Bench, BenchResult } from './bench.ts';
import * as here from './browser-work.ts';
import type { EvidenceWork } from './browser-work.ts';
import { microseconds, type Timing } from './measure.ts';

const ROUNDS = 60;
const LOADS = 9;
const KIB = 1024;

async function run(): Promise<BenchResult> {
  const { code } = await bundleBrowserModule();
  const bytes = {
    raw: code.length,
    gzip: gzipSync(code).length,
    brotli: brotliCompressSync(code).length,
  };
  const size = `module: ${kib(bytes.raw)}, ${kib(bytes.gzip)} with gzip, ${kib(bytes.brotli)} with brotli`;
  const path = findBrowser();
  if (path === undefined) {
    return { figures: { bytes }, lines: [size, 'no Chromium here: apt-get install chromium'] };
  }
  const work = await bundleBrowserModule('test/bench/browser-work.ts');
  const page = await servePage({ 'client.js': code, 'work.js': work.code }, ["'self'"]);
  const browser = await startBrowser(path);
  try {
    const tab = await browser.open(`${page.origin}/`);
    const measured = await inPage(tab);
    return {
      figures: { bytes, ...measured },
      lines: [size, ...linesOf(measured)],
    };
  } finally {
    await browser.close();
    await page.close();
  }
}

interface Row {
  readonly what: string;
  readonly page: Timing;
  readonly node: Timing;
}

interface Measured {
  readonly loadMs: number;
  readonly rows: readonly Row[];
}

const TIMING = z.object({ medianUs: z.number(), p99Us: z.number(), minUs: z.number() });
const EVIDENCE_TIMES = z.object({ fresh: TIMING, known: TIMING });
const EXCHANGE_TIMES = z.object({ sealForOne: TIMING, sealForThree: TIMING, openToken: TIMING });

async function inPage(tab: Tab): Promise<Measured> {
  const loads = await loadMs(tab);
  const rows: Row[] = [];
  for (const { tee, work } of await evidenceWorks()) {
    const node = here.timeEvidence(work, ROUNDS);
    const call = `timeEvidence(${JSON.stringify(work)}, ${ROUNDS})`;
    const page = EVIDENCE_TIMES.parse(await tab.run(timed(call)));
    rows.push({ what: `${tee} evidence, nothing known`, page: page.fresh, node: node.fresh });
    rows.push({ what: `${tee} evidence, vendor known`, page: page.known, node: node.known });
  }
  const node = here.timeExchange(ROUNDS);
  const page = EXCHANGE_TIMES.parse(await tab.run(timed(`timeExchange(${ROUNDS})`)));
  rows.push({ what: 'seal to 1 worker (X-Wing)', page: page.sealForOne, node: node.sealForOne });
  rows.push({ what: 'seal to 3 workers', page: page.sealForThree, node: node.sealForThree });
  rows.push({ what: "open a token's frame", page: page.openToken, node: node.openToken });
  return { loadMs: loads, rows };
}

function timed(call: string): string {
  return `const work = await import('/work.js'); return work.${call};`;
}

/** Fetched from loopback, compiled, run: the median of several that are new to the page. */
async function loadMs(tab: Tab): Promise<number> {
  const times = z.array(z.number()).parse(
    await tab.run(`
      const times = [];
      for (let n = 0; n < ${LOADS}; n++) {
        const startedMs = performance.now();
        await import('/client.js?' + n);
        times.push(performance.now() - startedMs);
      }
      return times;
    `),
  );
  return times.toSorted((a, b) => a - b)[Math.floor(LOADS / 2)] ?? Number.NaN;
}

async function evidenceWorks(): Promise<
  readonly { readonly tee: string; readonly work: EvidenceWork }[]
> {
  const tdx = await buildEvidence(await createTestPki());
  const snp = await buildSnpEvidence(await createSnpTestPki());
  const forSnp = { rules: [TEST_SNP_RULE], images: [snpImage()] };
  return [
    { tee: 'TDX', work: workOf(tdx, {}) },
    { tee: 'SNP', work: workOf(snp, forSnp) },
  ];
}

function workOf(
  { evidence, rootSha256 }: SoundEvidence,
  overrides: Parameters<typeof testPolicyDocument>[1],
): EvidenceWork {
  return {
    evidence: encodeEvidence(evidence),
    policy: JSON.stringify(testPolicyDocument(rootSha256, overrides)),
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: toBase64(TEST_CHALLENGE),
  };
}

function linesOf({ loadMs: loads, rows }: Measured): readonly string[] {
  return [
    `loaded from loopback, compiled and run in ${loads.toFixed(0)} ms`,
    ...rows.map(({ what, page, node }) => {
      const inThePage = `page ${microseconds(page.medianUs).padStart(9)} p99 ${microseconds(page.p99Us).padStart(9)}`;
      return `${what.padEnd(28)} ${inThePage}   Node ${microseconds(node.medianUs).padStart(9)}`;
    }),
  ];
}

function kib(bytes: number): string {
  return `${(bytes / KIB).toFixed(0)} KiB`;
}

export const bench: Bench = {
  name: 'browser',
  summary: 'the client in a page: bytes, loading, evidence, sealing and opening, beside Node',
  run,
};
