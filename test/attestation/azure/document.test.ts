/** The program in docs/azure.md does what the page says: it is run as it stands there, on a machine of the tests. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, test } from 'node:test';
import { toHex } from '../../../core/bytes.ts';
import { azureSnpCase, pcrsOf, QUOTED, USER_DATA, VTPM } from '../../support/azure/case.ts';
import { soundReport } from '../../support/snp/case.ts';
import { createSnpTestPki, NOW_MS, PRODUCTS } from '../../support/snp/pki.ts';

const MACHINE = await azureSnpCase(await createSnpTestPki());
const REPORT = soundReport({ product: 'Genoa', signer: 'vcek' });
const quoted = QUOTED.toSorted((a, b) => a - b);
const values = pcrsOf(VTPM);
const EXPECTED = {
  idKeys: [toHex(REPORT.idKeyDigest)],
  familyId: toHex(REPORT.familyId),
  imageId: toHex(REPORT.imageId),
  minGuestSvn: REPORT.guestSvn,
  minTcb: { genoa: PRODUCTS.Genoa.tcb },
  quoted,
  pcrs: Object.fromEntries([4, 9, 11].map((at) => [at, toHex(values.get(at) ?? REPORT.hostData)])),
};

const folder = mkdtempSync(join(tmpdir(), 'veilgate-azure-'));
after(() => rmSync(folder, { recursive: true }));

function write(changes: Readonly<Record<string, Uint8Array | string>> = {}): void {
  const { blob, tpm, nonce, endorsements } = MACHINE;
  const files: Readonly<Record<string, Uint8Array | string>> = {
    'hcl.bin': blob,
    'quote.bin': tpm.quote,
    'signature.bin': tpm.signature,
    'nonce.bin': nonce,
    'user-data.bin': USER_DATA,
    'pcrs.bin': Buffer.concat(quoted.map((index) => values.get(index) ?? Buffer.alloc(32))),
    'vek.der': endorsements.vek ?? '',
    'crl.der': endorsements.crl ?? '',
    'expected.json': JSON.stringify(EXPECTED),
    ...changes,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}

function replaced(text: string, from: string, to: string): string {
  assert.equal(text.split(from).length, 2, `${from} stands once in the program`);
  return text.replace(from, to);
}

/** At the instant of the tests; their hierarchy is trusted and brought along, for AMD's is the built-in one. */
function program(): string {
  const page = readFileSync('docs/azure.md', 'utf8');
  const code = /^```ts\n(.*?)^```$/ms.exec(page)?.[1] ?? '';
  const { intermediate, root } = MACHINE.endorsements;
  const digest = MACHINE.anchors?.[0]?.sha256;
  assert.ok(intermediate !== undefined && root !== undefined && digest !== undefined);
  const anchors = `anchors: [{ sha256: hex('${toHex(digest)}', 32), simulated: true }]`;
  const instant = replaced(code, 'nowMs: Date.now(),', `nowMs: ${NOW_MS}, ${anchors},`);
  const chain = `intermediate: fromHex('${toHex(intermediate)}'), root: fromHex('${toHex(root)}')`;
  return replaced(instant, "crl: file('crl.der') }", `crl: file('crl.der'), ${chain} }`).replaceAll(
    "from './",
    `from '${pathToFileURL('.').href}/`,
  );
}

function run(): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module-typescript', '--disable-warning=ExperimentalWarning', '-'],
    { cwd: folder, input: program(), encoding: 'utf8', timeout: 60_000 },
  );
  return { status, output: `${stdout}${stderr}` };
}

test('it accepts a machine that is as expected', () => {
  write();
  const { status, output } = run();
  assert.equal(status, 0, output);
  assert.match(output, /^accepted /m);
  assert.ok(!output.includes("outcome: 'fail'") && !output.includes("outcome: 'skipped'"), output);
});

test('it refuses one with another nonce, and says so', () => {
  write({ 'nonce.bin': new Uint8Array(32) });
  const { status, output } = run();
  assert.equal(status, 1, output);
  assert.match(output, /^refused /m);
  assert.match(output, /id: 'azure\.nonce',\n\s+outcome: 'fail'/);
});
