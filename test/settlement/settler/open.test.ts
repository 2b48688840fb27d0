/** From options to a settler that runs, and the options that are refused. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../core/clock.ts';
import { LEDGERS } from '../../../settlement/ledger/ledgers.ts';
import { amount } from '../../../settlement/money.ts';
import { openSettlement, type SettlementOptions } from '../../../settlement/settler/open.ts';
import { openDevnet } from '../../../settlement/ton/devnet/devnet.ts';
import { openLab } from '../../support/ledger-lab.ts';

function folder(context: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-settler-'));
  context.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

const NOWHERE = { name: 'a', url: 'http://127.0.0.1:9/api/v2/jsonRPC' };

function optionsIn(dir: string, change: Partial<SettlementOptions> = {}): SettlementOptions {
  return {
    network: 'devnet',
    providers: [NOWHERE],
    settlementKeyFile: join(dir, 'settlement.key'),
    treasuryKeyFile: join(dir, 'treasury.key'),
    now: systemClock,
    ...change,
  };
}

test('on the devnet keys are made once, and the same settlement is opened again', async (context) => {
  const dir = folder(context);
  const devnet = await openDevnet();
  const lab = await openLab(LEDGERS[0]);
  try {
    const providers = [{ name: 'devnet', url: devnet.endpoint }];
    const change = { providers, withdrawDelayMinS: 60, depositMin: amount(7n) };
    const first = openSettlement(optionsIn(dir, change));
    const again = openSettlement(optionsIn(dir, change));
    assert.deepEqual(first.payee, again.payee);
    assert.equal(first.payee.network, 'tvm:-217');
    assert.equal(first.payee.withdrawDelayMinS, 60);
    assert.equal(first.payee.depositMin, 7n);
    const settler = again.createSettler({ ledger: lab.ledger(), onEvent: () => undefined });
    context.after(() => settler.close());
    await settler.start();
    assert.equal(settler.status().state, 'running');
    assert.deepEqual(JSON.parse(JSON.stringify(settler.status())), settler.status());
    await settler.close();
    await settler.ended;
    assert.equal(settler.status().state, 'closed');
    await again.close();
    await first.close();
  } finally {
    await devnet.close();
    await lab.end();
  }
});

test('elsewhere a key that is not there is refused, and so is the word of one provider about mainnet', (context) => {
  const dir = folder(context);
  const testnet = optionsIn(dir, { network: 'testnet' });
  assert.throws(() => openSettlement(testnet), { code: 'ton.wallet' });
  for (const name of ['settlement.key', 'treasury.key']) {
    writeFileSync(join(dir, name), new Uint8Array(32).fill(5), { mode: 0o600 });
  }
  const opened = openSettlement(testnet);
  assert.equal(opened.payee.withdrawDelayMinS, 86_400);
  assert.deepEqual(opened.rampCaps.TON, 200_000_000n);
  const mainnet = optionsIn(dir, { network: 'mainnet' });
  assert.throws(() => openSettlement(mainnet), { code: 'settler.config' });
  const two = [NOWHERE, { name: 'b', url: 'http://127.0.0.1:8/api/v2/jsonRPC' }];
  assert.throws(() => openSettlement({ ...mainnet, providers: two, quorum: 1 }), {
    code: 'settler.config',
  });
  openSettlement({ ...mainnet, providers: two });
});

test('a delay that leaves no time to claim is refused, but on the devnet', (context) => {
  const dir = folder(context);
  openSettlement(optionsIn(dir, { withdrawDelayMinS: 1 }));
  const testnet = { network: 'testnet', withdrawDelayMinS: 86_399 } as const;
  assert.throws(() => openSettlement(optionsIn(dir, testnet)), { code: 'settler.config' });
});
