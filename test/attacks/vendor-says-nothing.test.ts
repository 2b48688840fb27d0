/**
 * A vendor takes connections and says nothing, and callers have less patience than the store: it must notice all the
 * same, leave that host alone and get to the next source, or every caller in turn waits in vain for ever.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FetchBytes } from '../../attestation/collateral/ports.ts';
import { httpError } from '../../core/node/http-client.ts';
import { createLab, PCS_ORIGIN, pcsAt } from '../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;
const SILENT = 'https://silent.test';

test('callers that leave before the store gives up do not keep a silent host in business', async () => {
  const lab = await createLab();
  let askedInVain = 0;
  const fetch: FetchBytes = async (request) => {
    if (request.origin !== SILENT) return await lab.desk.fetch(request);
    askedInVain++;
    await lab.time.pause(request.timeoutMs, request.signal);
    throw httpError(request.signal.aborted ? 'http.aborted' : 'http.timeout');
  };
  const store = await lab.open({ ports: { fetch }, sources: [pcsAt(SILENT), pcsAt(PCS_ORIGIN)] });
  const impatient = async (): Promise<boolean> => {
    const leaving = new AbortController();
    const asking = store.tdx(QUERY, leaving.signal).then(
      () => true,
      () => false,
    );
    await lab.time.advance(15_000);
    leaving.abort();
    return await lab.time.settle(asking);
  };
  const outcomes: boolean[] = [];
  for (let round = 0; round < 8; round++) outcomes.push(await impatient());
  assert.ok(outcomes.includes(true), `${askedInVain} times asked, nobody served`);
});

test('a caller that leaves early does not close a host to the others', async () => {
  const lab = await createLab();
  let isSlow = true;
  const fetch: FetchBytes = async (request) => {
    if (!isSlow) return await lab.desk.fetch(request);
    await lab.time.pause(request.timeoutMs, request.signal);
    throw httpError('http.aborted');
  };
  const store = await lab.open({ ports: { fetch }, sources: [pcsAt(PCS_ORIGIN)] });
  const leaving = new AbortController();
  const asking = assert.rejects(store.tdx(QUERY, leaving.signal));
  await lab.time.advance(9_999);
  leaving.abort();
  await asking;
  await lab.time.advance(0);
  isSlow = false;
  assert.ok((await store.tdx(QUERY, lab.signal)).tcbInfo.length > 0);
});
