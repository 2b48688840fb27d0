/** An API key's balance is paid in by a transfer with the memo that its account shows: from the wallet to the answer. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Address, beginCell } from '@ton/core';
import { z } from 'zod';
import { randomBytes } from '#primitives';
import { toHex } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { createApiKey, keyHashOf } from '../../../gateway/accounts.ts';
import { openDevnet, type Devnet } from '../../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../../settlement/ton/network.ts';
import { openWallet, type TonWallet } from '../../../settlement/ton/wallet.ts';
import { TEST_PRICES } from '../../support/attested-key.ts';
import { exchange, post } from '../../support/gateway-lab.ts';
import { answering } from '../../support/sx-worker.ts';
import { openPaidLab, TON, type PaidLab } from '../../support/ton/paid-gateway.ts';
import { until } from '../../support/until.ts';

/** Of one request at the lab's bounds, and what it comes to. */
const NEED = 1640n;
const COST = 1010n;
const MINIMUM = TON / 10n;

let dataDir: string;
let devnet: Devnet;
let lab: PaidLab;
let wallet: TonWallet;

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'veilgate-top-up-'));
  devnet = await openDevnet();
  lab = await open();
  wallet = openWallet(randomBytes(32), DEVNET);
  await devnet.faucet(wallet.address, 50n * TON);
});
after(async () => {
  await lab.close();
  await devnet.close();
  rmSync(dataDir, { recursive: true });
});

function open(): Promise<PaidLab> {
  return openPaidLab({
    dataDir,
    devnet,
    settlement: { custodial: 'operator-holds-balances' },
    deps: { settlerPolicy: { roundMs: 20 } },
  });
}

interface Payer {
  readonly apiKey: string;
  readonly account: ReturnType<typeof keyHashOf>;
}

function newKey(): Payer {
  const { apiKey } = createApiKey(lab.gateway.store, 'payer', lab.gateway.clock());
  return { apiKey, account: keyHashOf(apiKey) };
}

const ACCOUNT = z.looseObject({
  available: z.string(),
  topUp: z.strictObject({ address: z.string(), memo: z.string(), minimum: z.string() }),
});

async function shown({ apiKey }: Payer) {
  const headers = { authorization: `Bearer ${apiKey}` };
  const answer = await post(lab, '/v1/account', new Uint8Array(), headers, 'GET');
  return ACCOUNT.parse(parseJson(answer.body, 65_536));
}

async function send(address: string, nanoton: bigint, memo: string): Promise<void> {
  const body = beginCell().storeUint(0, 32).storeStringTail(memo).endCell();
  const { seqno } = await wallet.readState(lab.chain);
  const payments = [{ to: Address.parse(address), nanoton, body }];
  await lab.chain.send(await wallet.order({ payments, seqno, validUntilS: devnet.nowS() + 60 }));
  await until(async () => (await wallet.readState(lab.chain)).seqno > seqno);
}

const credited = async ({ account }: Payer): Promise<bigint> =>
  (await lab.gateway.ledger.findAccount(account))?.deposited ?? 0n;

const unmatched = (): readonly string[] =>
  lab.logLines.flatMap((line) =>
    line.includes('settler.top_up_unmatched') ? [REASON.exec(line)?.[1] ?? ''] : [],
  );
const REASON = /"reason":"([a-z_]+)"/;

test('a transfer with the memo shown raises the balance once, pays for a request, and is not counted again', async () => {
  const payer = newKey();
  const { topUp, available } = await shown(payer);
  assert.equal(available, '0');
  assert.equal(topUp.memo, `vg:${toHex(payer.account)}`);
  assert.equal(topUp.minimum, MINIMUM.toString());
  const worker = await lab.worker(answering('hello'), { prices: TEST_PRICES });
  const ask = async () => {
    const { bytes } = lab.seal(lab.keysOf(worker), '{}', {
      maxAmount: NEED,
      payer: payer.account,
    });
    return (await exchange({ port: lab.port, apiKey: payer.apiKey }, bytes)).status;
  };
  assert.equal(await ask(), 402);
  await send(topUp.address, TON, topUp.memo);
  await until(async () => (await shown(payer)).available === TON.toString());
  assert.equal(await ask(), 200);
  assert.equal((await shown(payer)).available, (TON - COST).toString());
  // A marker behind it: what was looked at up to here is looked at again by nobody.
  const other = newKey();
  const next = await shown(other);
  await lab.close();
  lab = await open();
  await send(next.topUp.address, MINIMUM, next.topUp.memo);
  await until(async () => (await credited(other)) === MINIMUM);
  assert.equal(await credited(payer), TON);
  assert.equal((await shown(payer)).available, (TON - COST).toString());
  assert.equal(lab.logLines.filter((line) => line.includes('settler.topped_up')).length, 1);
});

test('two transfers with the same memo are two, to the unit of what arrives', async () => {
  const payer = newKey();
  const { topUp } = await shown(payer);
  await send(topUp.address, MINIMUM, topUp.memo);
  await send(topUp.address, MINIMUM + 1n, `  ${topUp.memo} `);
  await until(async () => (await credited(payer)) === 2n * MINIMUM + 1n);
});

test('below the minimum, to an account that never was, or with another memo nothing is credited', async () => {
  const payer = newKey();
  const marker = newKey();
  const { topUp } = await shown(payer);
  const { address } = topUp;
  const before = unmatched().length;
  await send(address, MINIMUM - 1n, topUp.memo);
  // A key whose balance nobody has asked for, and one that is none.
  await send(address, TON, `vg:${toHex(newKey().account)}`);
  await send(address, TON, 'vg:abcd');
  await send(address, TON, toHex(payer.account));
  await send(address, TON, 'hello');
  await send(address, MINIMUM, (await shown(marker)).topUp.memo);
  await until(async () => (await credited(marker)) === MINIMUM);
  assert.equal(await credited(payer), 0n);
  assert.deepEqual(unmatched().slice(before), ['below_minimum', 'account_unknown', 'memo_unknown']);
});

test('where balances are not held no memo is shown and nothing is credited', async (context) => {
  const refusing = await openPaidLab({ devnet, deps: { settlerPolicy: { roundMs: 20 } } });
  context.after(() => refusing.close());
  const headers = { authorization: `Bearer ${refusing.apiKey}` };
  const answer = await post(refusing, '/v1/account', new Uint8Array(), headers, 'GET');
  assert.equal(Object(parseJson(answer.body, 65_536))['topUp'], undefined);
});
