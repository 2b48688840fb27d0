/** The whole of it as configured: HTTP over loopback, a folder on disk, real time; and a disk that lies. @module */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  openConfiguredStore,
  type CollateralParts,
  type ConfiguredStore,
} from '../../../attestation/collateral/compose.ts';
import { COLLATERAL_CONFIG } from '../../../attestation/collateral/config.ts';
import { isRetry } from '../../../attestation/collateral/errors.ts';
import type { CollateralEvent } from '../../../attestation/collateral/events.ts';
import { createIntelAuthority } from '../../../attestation/collateral/intel-judge.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { openBlobFiles } from '../../../core/node/blob-files.ts';
import { createOriginFetcher } from '../../../core/node/fetch-origins.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import { selfSign, type SelfSigned } from '../../../attestation/x509.ts';
import { generateP256 } from '../../../attestation/x509-keys.ts';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import { PRODUCTS } from '../../support/snp/pki.ts';
import type { Misbehaviour } from '../../support/vendors/desk.ts';
import { intelShelf } from '../../support/vendors/intel.ts';
import { createSnpLab, type SnpLab } from '../../support/vendors/snp-lab.ts';
import { createLab, type Lab } from '../../support/vendors/lab.ts';
import { serveVendors } from '../../support/vendors/server.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;
const { signal } = new AbortController();

interface Site {
  readonly tdx: Lab;
  readonly snp: SnpLab;
  readonly origin: string;
  readonly directory: string;
  readonly events: CollateralEvent[];
  readonly open: (config?: object, timeoutMs?: number) => Promise<ConfiguredStore>;
}

async function createSite(own?: SelfSigned): Promise<Site> {
  const [tdx, snp] = [await createLab(), await createSnpLab()];
  // One server that plays Intel and AMD, over the desk of the latter.
  const intel = intelShelf(tdx.sound.collateral);
  const lab = await createLab(intel.shelf, snp.shelf.shelf);
  const server = await serveVendors(lab.desk, own);
  after(server.close);
  const directory = await mkdtemp(join(tmpdir(), 'veilgate-collateral-'));
  after(() => rm(directory, { recursive: true, force: true }));
  const events: CollateralEvent[] = [];
  const parts: CollateralParts = {
    now: tdx.time.now,
    pause,
    createFetcher: createOriginFetcher,
    openBlobs: openBlobFiles,
    readText: (path) => readFile(path, 'utf8'),
    onEvent: (event) => events.push(event),
    roots: { intel: createIntelAuthority(tdx.pki.sound.root.der), amd: snp.authority },
  };
  const open = async (config: object = {}, timeoutMs = 20_000): Promise<ConfiguredStore> => {
    const decoded = COLLATERAL_CONFIG.parse({
      directory: join(directory, 'store'),
      intel: { sources: [{ kind: 'pccs', url: `${server.origin}/sgx/certification/v4/` }] },
      amd: { mirror: { url: server.origin }, kdsUrl: null },
      ...config,
    });
    const opened = await openConfiguredStore(decoded, {
      ...parts,
      createFetcher: (origins, limits) => {
        const fetcher = createOriginFetcher(origins, limits);
        return { ...fetcher, fetch: (request) => fetcher.fetch({ ...request, timeoutMs }) };
      },
    });
    after(opened.close);
    return opened;
  };
  return {
    tdx: { ...tdx, desk: lab.desk, intel },
    snp,
    origin: server.origin,
    directory,
    events,
    open,
  };
}

function isAccepted({ tdx }: Site, collateral: TdxCollateral): boolean {
  return verifyTdx({ ...tdx.sound, collateral }).accepted;
}

const CHIP = { hwid: toHex(PRODUCTS.Genoa.hwId), tcb: PRODUCTS.Genoa.tcb };
const SNP_QUERY = { product: 'genoa', signer: 'vcek', chip: CHIP } as const;

test('machines of both vendors verify with what a site is served, and after a restart without it', async () => {
  const site = await createSite();
  const { store, close } = await site.open();
  assert.ok(isAccepted(site, await store.tdx(QUERY, signal)));
  assert.ok(site.snp.accepts(await store.snp(SNP_QUERY, signal)));
  assert.equal(site.tdx.desk.asked.length, 7);
  await close();
  const offline = await site.open({ offline: true });
  assert.ok(isAccepted(site, await offline.store.tdx(QUERY, signal)));
  assert.ok(site.snp.accepts(await offline.store.snp(SNP_QUERY, signal)));
  assert.equal(site.tdx.desk.asked.length, 7);
  assert.deepEqual(troubles(site), []);
});

for (const form of ['der', 'pem', 'hex', 'base64'] as const) {
  test(`a cache that sends lists as ${form} is understood`, async () => {
    const site = await createSite();
    site.tdx.intel.listForm = form;
    site.tdx.intel.headers = 'v3';
    const { store } = await site.open({ directory: null });
    assert.ok(isAccepted(site, await store.tdx(QUERY, signal)));
  });
}

const FAULTS: readonly (readonly [string, Misbehaviour])[] = [
  ['half an answer', { kind: 'truncated' }],
  ['four megabytes', { kind: 'oversize' }],
  ['a hang-up', { kind: 'unreachable' }],
  ['silence', { kind: 'silent' }],
  ['500', { kind: 'status', status: 500 }],
  ['503', { kind: 'status', status: 503 }],
  ['429', { kind: 'status', status: 429, headers: { 'retry-after': '10' } }],
  ['a redirect', { kind: 'status', status: 301, headers: { location: '/rootcacrl' } }],
];

for (const [what, fault] of FAULTS) {
  test(`over the wire, ${what} is a reason to come again, and nothing is kept`, async () => {
    const site = await createSite();
    // Silence takes as long as we wait: a moment here, twenty seconds in earnest.
    const { store } = await site.open({}, 200);
    site.tdx.desk.misbehave(/rootcacrl/, fault);
    await assert.rejects(store.tdx(QUERY, signal), isRetry);
    assert.equal(site.tdx.desk.asked.length, 1);
    assert.deepEqual(await readdir(join(site.directory, 'store')), []);
  });
}

test('leaving ends a request that hangs', async () => {
  const site = await createSite();
  const { store } = await site.open();
  site.tdx.desk.misbehave(/rootcacrl/, { kind: 'silent' });
  const leaving = new AbortController();
  const asking = store.tdx(QUERY, leaving.signal);
  while (site.tdx.desk.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  leaving.abort();
  await assert.rejects(asking, (error) => hasCode(error, 'collateral.unavailable'));
  // The host is not blamed for it.
  site.tdx.desk.behave();
  assert.ok(isAccepted(site, await store.tdx(QUERY, signal)));
});

async function selfSigned(): Promise<SelfSigned> {
  const nowMs = systemClock();
  return await selfSign({
    keys: await generateP256(),
    commonName: 'PCCS of this site',
    ipAddresses: ['127.0.0.1'],
    notBeforeMs: nowMs - 1000,
    notAfterMs: nowMs + 3_600_000,
  });
}

test('a cache with a certificate of its own is believed by its key, or by the file of its issuer', async () => {
  const own = await selfSigned();
  const site = await createSite(own);
  const caFile = join(site.directory, 'ca.pem');
  await writeFile(caFile, own.certificatePem);
  const open = (trust: object) =>
    site.open({
      directory: null,
      intel: { sources: [{ kind: 'pccs', url: site.origin, ...trust }] },
      amd: { kdsUrl: null },
    });
  for (const trust of [{ spkiSha256: toHex(own.spkiSha256) }, { caFile }]) {
    const { store } = await open(trust);
    assert.ok(isAccepted(site, await store.tdx(QUERY, signal)));
  }
  const asked = site.tdx.desk.asked.length;
  const other = await selfSigned();
  await writeFile(caFile, other.certificatePem);
  for (const trust of [{ spkiSha256: toHex(other.spkiSha256) }, { caFile }, {}]) {
    const { store } = await open(trust);
    await assert.rejects(store.tdx(QUERY, signal), isRetry);
  }
  assert.equal(site.tdx.desk.asked.length, asked);
});

async function filesOf(site: Site): Promise<readonly string[]> {
  const folder = join(site.directory, 'store');
  return (await readdir(folder)).map((name) => join(folder, name));
}

test('damaged files are as good as absent, one by one and all together', async () => {
  const site = await createSite();
  const first = await site.open();
  const honest = await first.store.tdx(QUERY, signal);
  const files = await filesOf(site);
  assert.equal(files.length, 5);
  for (const file of [...files, undefined]) {
    const damaged = file === undefined ? files : [file];
    for (const path of damaged) {
      const bytes = await readFile(path);
      await writeFile(path, bytes.subarray(0, bytes.length - 1));
    }
    const { store } = await site.open();
    assert.deepEqual(await store.tdx(QUERY, signal), honest);
  }
});

test('a disk in the hands of somebody else admits nobody it should not', async () => {
  const site = await createSite();
  const first = await site.open();
  await first.store.tdx(QUERY, signal);
  await first.store.snp(SNP_QUERY, signal);
  const { pki } = site.tdx;
  const forged = await site.tdx.make({
    collateral: {
      tcbInfoKey: pki.strangerKeys.privateKey,
      qeIdentityKey: pki.strangerKeys.privateKey,
      pckCrlKey: pki.strangerKeys.privateKey,
      rootCrlKey: pki.strangerKeys.privateKey,
    },
  });
  // Whoever owns the folder can write whole files: the digest inside keeps accidents out, not owners.
  const blobs = await openBlobFiles(
    {
      folder: join(site.directory, 'store'),
      blobMaxBytes: 2_000_000,
      totalMaxBytes: 100_000_000,
      blobsMax: 100,
      keep: [],
    },
    site.tdx.time.now(),
  );
  const { collateral } = forged;
  const put = async (key: string, body: Uint8Array, chain: string): Promise<void> => {
    const entry = { key, body: Buffer.from(body).toString('base64'), chain };
    await blobs.put(key, utf8(JSON.stringify({ version: 1, entry })));
  };
  await put(
    'tdx.tcb-info.standard.c0ffee000000',
    collateral.tcbInfo,
    collateral.tcbInfoIssuerChain,
  );
  await put('tdx.qe-identity.standard', collateral.qeIdentity, collateral.qeIdentityIssuerChain);
  await put('sgx.pck-crl.platform', collateral.pckCrl, collateral.pckCrlIssuerChain);
  await put('sgx.root-crl', collateral.rootCaCrl, '');
  await blobs.put(`amd.vcek.genoa.${CHIP.hwid}.10-0-23-84`, utf8('{"version":1}'));
  await blobs.put('floors', utf8('{"version":1,"lists":[],"documents":[],"extra":1}'));
  const offline = await site.open({ offline: true });
  await assert.rejects(offline.store.tdx(QUERY, signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
  await assert.rejects(offline.store.snp(SNP_QUERY, signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
  assert.deepEqual(troubles(site), [{ kind: 'floors_lost' }]);
  const online = await site.open();
  assert.ok(isAccepted(site, await online.store.tdx(QUERY, signal)));
  assert.ok(site.snp.accepts(await online.store.snp(SNP_QUERY, signal)));
});

function troubles({ events }: Pick<Site, 'events'>): readonly CollateralEvent[] {
  return events.filter(({ kind }) => kind !== 'replaced');
}
