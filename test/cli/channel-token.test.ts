/** `veilgate channel token|resume`: what is printed, and what is refused before anything is signed. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalPublic } from '../../core/bytes.ts';
import { STRANDED_MS } from '../../client/limits.ts';
import { readCount } from '../../client/node/channel-file.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { findChannel } from '../../cli/channel/channel-files.ts';
import { runChannelOpen } from '../../cli/channel/open.ts';
import { runChannelResume } from '../../cli/channel/resume.ts';
import { runChannelToken } from '../../cli/channel/token.ts';
import { saveOver } from '../../core/node/private-files.ts';
import { endOf } from '../../settlement/pass.ts';
import { parseTokenUnverified } from '../../settlement/token.ts';
import { textOf, withPayLab, type PayLab } from '../support/pay-lab.ts';

async function withOpened(work: (lab: PayLab & { readonly path: string }) => Promise<void>) {
  await withPayLab(async (lab) => {
    const gateway = { gateway: lab.gateway.url, gatewayId: lab.gateway.aud };
    await runChannelOpen({ ...lab.common, ...gateway, deposit: '1.5', yes: true }, lab.io());
    await work({ ...lab, path: findChannel(lab.common).path });
  });
}

test('a token says its limits, and its limit is counted before it is printed', async () => {
  await withOpened(async ({ common, io, gateway, path }) => {
    gateway.answer = ({ path: asked }) =>
      asked === '/v1/payments/voucher' ? { status: 200, json: {} } : undefined;
    const asked = { ...common, limit: '0.25', expires: '2h', model: ['one', 'two'] };
    const { json } = await runChannelToken({ ...asked, requestMax: '0.01' }, io());
    const { voucher, pass } = parseTokenUnverified(textOf(json['token']));
    assert.ok(equalPublic(voucher.channel, findChannel(common).channel.id));
    assert.equal(voucher.ceiling, 250_000_000n);
    assert.deepEqual(
      pass.caveats.map(({ kind }) => kind),
      ['expiry', 'models', 'request-cap', 'ceiling'],
    );
    assert.equal(readCount(path)?.stranded, 250_000_000n);
    assert.equal(readCount(path)?.ceiling, 250_000_000n);
    const untilMs = readCount(path)?.strandedUntilMs ?? 0;
    assert.equal(untilMs, endOf(pass.caveats) + STRANDED_MS, 'its last request may run so long');
    const again = parseTokenUnverified(
      textOf((await runChannelToken({ ...asked, limit: '0.1' }, io())).json['token']),
    );
    assert.equal(again.voucher.ceiling, 350_000_000n);
  });
});

for (const [what, options, error] of [
  ['a limit of nothing', { limit: '0', expires: '1h' }, { code: 'cli.option' }],
  ['a limit that is no amount', { limit: '-1', expires: '1h' }, { code: 'settlement.amount' }],
  ['a time without a unit', { limit: '1', expires: '24' }, { code: 'cli.option' }],
  ['a time longer than a month', { limit: '1', expires: '31d' }, { code: 'cli.option' }],
  ['a model that no id is', { limit: '1', expires: '1h', model: ['a b'] }, /settlement\.artefact/],
] as const) {
  test(`${what} is refused, and nothing is signed`, async () => {
    await withOpened(async ({ common, io, path }) => {
      await assert.rejects(runChannelToken({ ...common, ...options }, io()), error);
      assert.equal(readCount(path)?.ceiling ?? 0n, 0n);
    });
  });
}

test('a gateway that does not take the voucher gets no token made', async () => {
  await withOpened(async ({ common, io, gateway }) => {
    gateway.answer = ({ path }) =>
      path === '/v1/payments/voucher'
        ? { status: 402, json: { error: { code: 'channel_closing', message: 'No.' } } }
        : undefined;
    await assert.rejects(runChannelToken({ ...common, limit: '1', expires: '1h' }, io()), {
      code: 'money.refused',
    });
  });
});

test('after a fault there are no tokens, until somebody resumes', async () => {
  await withOpened(async ({ common, io, gateway, path }) => {
    gateway.answer = ({ path: asked }) =>
      asked === '/v1/payments/voucher' ? { status: 200, json: {} } : undefined;
    const token = { ...common, limit: '1', expires: '1h' };
    const { channel } = findChannel(common);
    saveOver(
      `${path}.state`,
      encodePayState({ ...newPayState(channel.id, 'known'), faults: ['usage'] }),
    );
    await assert.rejects(runChannelToken(token, io()), { code: 'client.pay_halted' });
    await assert.rejects(runChannelResume(common, io()), { code: 'money.consent' });
    assert.deepEqual((await runChannelResume({ ...common, yes: true }, io())).json['faults'], [
      'usage',
    ]);
    await runChannelToken(token, io());
    assert.deepEqual((await runChannelResume(common, io())).json['faults'], []);
  });
});
