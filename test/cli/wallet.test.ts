/** `veilgate wallet`: keys that stay in their file, balances with all digits, coins sent once and only after a yes. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { toBase64, toBase64Url, toHex } from '../../core/bytes.ts';
import { adviceOn, EXIT_ADVICE, exitAdvice } from '../../cli/ton/advice.ts';
import { consentToSend } from '../../cli/ton/consent.ts';
import { rowLines, wrapped } from '../../cli/ton/money-text.ts';
import { openChain } from '../../cli/ton/network.ts';
import { runWalletAddress } from '../../cli/wallet/address.ts';
import { runWalletBalance } from '../../cli/wallet/balance.ts';
import { runWalletNew } from '../../cli/wallet/new.ts';
import { runWalletSend } from '../../cli/wallet/send.ts';
import { readAddress } from '../../settlement/ton/address-text.ts';
import { CHANNEL_EXIT, TVM_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import { DEVNET, MAINNET } from '../../settlement/ton/network.ts';
import { payerError } from '../../settlement/ton/payer/errors.ts';
import { systemClock } from '../../core/clock.ts';
import { PAYEE_ADDRESS, textOf, TON, withPayLab } from '../support/pay-lab.ts';

const ON_DEVNET = { network: 'devnet' } as const;

test('a new wallet has an owner-only key that no output shows, and a second "new" keeps it', async () => {
  await withPayLab(async ({ dir, io, said }) => {
    const options = { ...ON_DEVNET, dir, key: join(dir, 'other.key') };
    const made = await runWalletNew(options, io());
    assert.equal(made.json['isNew'], true);
    assert.equal(statSync(options.key).mode & 0o777, 0o600);
    const again = await runWalletNew(options, io());
    assert.deepEqual({ ...again.json, isNew: true }, made.json);
    const seed = new Uint8Array(readFileSync(options.key));
    const shown = [...made.lines, ...again.lines, ...said, JSON.stringify(made.json)].join('\n');
    for (const text of [toHex(seed), toBase64(seed), toBase64Url(seed)])
      assert.ok(!shown.includes(text));
  });
});

test('the same key has another address on every network', async () => {
  await withPayLab(async ({ dir, io }) => {
    const seen = new Set<unknown>();
    for (const network of ['devnet', 'testnet', 'mainnet'] as const) {
      seen.add((await runWalletAddress({ dir, network }, io())).json['raw']);
    }
    assert.equal(seen.size, 3);
  });
});

test('a key that others may read is not used, and one that is not there is not made', async () => {
  await withPayLab(async ({ dir, io }) => {
    chmodSync(join(dir, 'wallet.key'), 0o640);
    await assert.rejects(runWalletAddress({ ...ON_DEVNET, dir }, io()), { code: 'file.private' });
    const key = join(dir, 'none.key');
    await assert.rejects(runWalletAddress({ ...ON_DEVNET, dir, key }, io()), {
      code: 'money.wallet',
    });
  });
});

test('the balance has all its digits', async () => {
  await withPayLab(async ({ common, devnet, wallet, io }) => {
    await devnet.faucet(wallet.address, 1n);
    const { json, lines } = await runWalletBalance({ ...ON_DEVNET, ...common }, io());
    assert.equal(json['balanceNanoton'], '10000000001');
    assert.match(lines.join('\n'), /10\.000000001 TON/);
    assert.match(lines.join('\n'), /not deployed/);
  });
});

test('a provider that lies about the balance is outvoted', async () => {
  await withPayLab(async ({ common, devnet, wallet, io }) => {
    const [second, third] = [await devnet.openProvider(), await devnet.openProvider()];
    devnet.inject({ kind: 'balance', address: wallet.address.toRawString(), nanoton: '1' });
    const three = [devnet.endpoint, second.endpoint, third.endpoint];
    const { json } = await runWalletBalance({ ...ON_DEVNET, ...common, provider: three }, io());
    assert.equal(json['balanceNanoton'], String(10n * TON));
  });
});

test('coins arrive, once, and what was said matches', async () => {
  await withPayLab(async ({ common, io, said, devnet }) => {
    const options = { ...ON_DEVNET, ...common, yes: true, comment: 'for tea' } as const;
    const { json } = await runWalletSend({ to: PAYEE_ADDRESS, amount: '1.25' }, options, io());
    assert.equal(json['nanoton'], '1250000000');
    assert.match(said.join('\n'), /1\.25 TON/);
    const balance = await runWalletBalance({ ...ON_DEVNET, ...common }, io());
    assert.equal(balance.json['seqno'], 1);
    const left = BigInt(textOf(balance.json['balanceNanoton']));
    assert.ok(left < (TON * 875n) / 100n && left > (TON * 874n) / 100n, String(left));
    const chain = openChain(DEVNET, { provider: [devnet.endpoint] }, systemClock).chain;
    const { balanceNanoton } = await chain.readAccount(readAddress(PAYEE_ADDRESS, DEVNET).address);
    await chain.close();
    assert.ok(balanceNanoton > (TON * 1249n) / 1000n && balanceNanoton <= (TON * 5n) / 4n);
  });
});

test('a comment that was copied from somewhere hides nothing of what is asked about', async () => {
  await withPayLab(async ({ common, io, said }) => {
    const options = { ...ON_DEVNET, ...common, comment: 'x\u001B[2A\u202Eto' };
    const what = { to: PAYEE_ADDRESS, amount: '1' };
    await assert.rejects(runWalletSend(what, options, io(['n'])), { code: 'money.consent' });
    const rows = said.slice(0, -1);
    assert.ok(rows.some((row) => row.startsWith('comment')));
    for (const row of rows) assert.doesNotMatch(row, /[\p{Cc}\p{Cf}]/u);
  });
});

test('nothing is sent without a yes', async () => {
  await withPayLab(async ({ common, io }) => {
    const options = { ...ON_DEVNET, ...common };
    const what = { to: PAYEE_ADDRESS, amount: '1' };
    await assert.rejects(runWalletSend(what, options, io()), { code: 'money.consent' });
    await assert.rejects(runWalletSend(what, options, io(['n'])), { code: 'money.consent' });
    const { json } = await runWalletBalance(options, io());
    assert.equal(json['seqno'], 0);
    await runWalletSend(what, options, io(['y']));
  });
});

for (const [name, to, amount, says] of [
  ['no address', 'EQnonsense', '1', /not an address/],
  [
    'an address with a wrong letter',
    'EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9d',
    '1',
    /not an address/,
  ],
  ['an amount of nothing', PAYEE_ADDRESS, '0', /above zero/],
  ['an amount below the unit', PAYEE_ADDRESS, '0.0000000001', /digits/],
  ['a negative amount', PAYEE_ADDRESS, '-1', /want digits/],
] as const) {
  test(`${name} is refused before anything else`, async () => {
    await withPayLab(async ({ common, io }) => {
      const options = { ...ON_DEVNET, ...common, yes: true } as const;
      await assert.rejects(runWalletSend({ to, amount }, options, io()), says);
    });
  });
}

test('an address of a test network gets nothing of mainnet', async () => {
  await withPayLab(async ({ common, io, wallet }) => {
    const to = wallet.address.toString({ testOnly: true });
    const options = { ...common, network: 'mainnet', yesMainnet: true } as const;
    await assert.rejects(runWalletSend({ to, amount: '1' }, options, io()), /of a test network/);
  });
});

test('mainnet is typed or said by its own option; --yes and y do not do', async () => {
  await withPayLab(async ({ io }) => {
    await assert.rejects(consentToSend('?', MAINNET, { yes: true, io: io() }), {
      code: 'money.consent',
    });
    for (const said of ['y', 'yes', 'Mainnet', '']) {
      await assert.rejects(consentToSend('?', MAINNET, { io: io([said]) }), {
        code: 'money.consent',
      });
    }
    await consentToSend('?', MAINNET, { io: io(['mainnet']) });
    await consentToSend('?', MAINNET, { yesMainnet: true, io: io() });
    await consentToSend('?', DEVNET, { yes: true, io: io() });
  });
});

test('a provider of another network is not believed', async () => {
  await withPayLab(async ({ common, io }) => {
    const options = { ...common, network: 'mainnet' } as const;
    await assert.rejects(runWalletBalance(options, io()), { code: 'ton.network' });
  });
});

test('keys of providers come from an owner-only file', async () => {
  await withPayLab(async ({ dir, devnet, io, common }) => {
    const locked = await devnet.openProvider({ apiKey: 'a-key' });
    const apiKeys = join(dir, 'keys');
    const options = { ...ON_DEVNET, ...common, provider: [locked.endpoint], apiKeys };
    writeFileSync(apiKeys, `${new URL(locked.endpoint).origin} a-key\n`, { mode: 0o600 });
    const { json } = await runWalletBalance(options, io());
    assert.equal(json['balanceNanoton'], String(10n * TON));
    chmodSync(apiKeys, 0o644);
    await assert.rejects(runWalletBalance(options, io()), { code: 'file.private' });
    chmodSync(apiKeys, 0o600);
    writeFileSync(apiKeys, 'a-key\n');
    await assert.rejects(runWalletBalance(options, io()), /line 1: want/);
    await assert.rejects(
      runWalletBalance(options, io()),
      (error: Error) => !error.message.includes('a-key'),
    );
  });
});

test('one provider alone on a real network is named as the one that is believed', () => {
  const alone = openChain(MAINNET, {}, systemClock);
  assert.match(alone.caution ?? '', /toncenter\.com/);
  const provider = ['https://a.invalid/api', 'https://b.invalid/api'];
  assert.equal(openChain(MAINNET, { provider }, systemClock).caution, undefined);
});

test('every exit code of the channel and of the machine has its advice', () => {
  for (const code of [...Object.values(CHANNEL_EXIT), ...Object.values(TVM_EXIT)]) {
    assert.match(exitAdvice(code) ?? '', /\.$/);
  }
  assert.equal(new Set(Object.values(EXIT_ADVICE)).size, Object.keys(CHANNEL_EXIT).length);
  assert.equal(exitAdvice(7), undefined);
  const refused = payerError('payer.refused', '', { facts: { exitCode: CHANNEL_EXIT.locked } });
  assert.equal(adviceOn(refused), EXIT_ADVICE.locked);
});

test('text keeps to its columns', () => {
  const rows = [
    ['gateway', 'x'.repeat(47), 'a note that is much too long to stand behind its value'],
  ] as const;
  for (const columns of [60, 80, 120]) {
    assert.ok(rowLines(rows, columns).every((line) => line.length <= columns));
  }
  assert.deepEqual(wrapped('a bb ccc', 4), ['a bb', 'ccc']);
});

test('the command says what is wrong in words and with a status, and to programs as JSON', () => {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-wallet-'));
  try {
    const veilgate = (...words: readonly string[]) =>
      spawnSync(process.execPath, ['cli/veilgate.ts', 'wallet', ...words, '--dir', dir], {
        encoding: 'utf8',
      });
    const none = veilgate('address');
    assert.deepEqual([none.status, none.stdout], [1, '']);
    assert.match(none.stderr, /"veilgate wallet new" makes one/);
    const json = veilgate('address', '--json');
    assert.equal(Object(Object(JSON.parse(json.stdout)).error).code, 'money.wallet');
    assert.equal(veilgate('new', '--json').status, 0);
    assert.match(veilgate('address').stdout, /^0Q[A-Za-z0-9_-]{46}\n$/);
    assert.equal(veilgate('address', '--network', 'moon').status, 2);
    assert.equal(veilgate('balance', '--provider', 'nowhere').status, 2);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
