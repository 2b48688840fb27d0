/**
 * An owner wants the same earnings twice: once through the channel and once by transfer. It claims whenever it likes, and
 * the gateway dies between any two steps and comes back with channels switched on or off. What it got and can still claim
 * is never more than it earned, and in the end it is all of that. Spec: ton-settlement §4.7, §7 L8.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, type Bytes } from '../../core/bytes.ts';
import type { Ledger } from '../../settlement/ledger/ledger.ts';
import { amount } from '../../settlement/money.ts';
import type { SettlerOptions } from '../../settlement/settler/settler.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { addressOfId } from '../../settlement/ton/channels/place.ts';
import { CHANNEL_FEES } from '../../settlement/ton/contracts/pay-channel.ts';
import type { Voucher } from '../../settlement/voucher.ts';
import { fragile } from '../support/fragile.ts';
import { WORKER } from '../support/ledger-lab.ts';
import {
  OWNER,
  PAYEES,
  TON,
  withSettler,
  type PaidChannel,
  type SettlerLab,
} from '../support/settler-lab.ts';
import { toldChain } from '../support/ton/told-chain.ts';
import {
  cashIn,
  channelPolicy,
  channelsOf,
  DEPOSIT,
  earn,
  fill,
  holds,
  show,
} from '../support/worker-channel-lab.ts';

const DAY_S = 86_400;
const LITTLE = TON / 20n;
const PAYOUTS = { amount: amount(TON), ageMs: DAY_S * 1000, agedAmount: amount(LITTLE) };
const NO_PAYOUTS = { ...PAYOUTS, amount: amount(1000n * TON), ageMs: 1e15 };
const MODES = {
  channels: channelPolicy({ payouts: PAYOUTS }),
  transfers: channelPolicy({ payouts: PAYOUTS, workerChannels: 'off' }),
} as const;
const OPTIONS = {
  payees: PAYEES,
  rampCap: 1000n * TON,
  policy: MODES.transfers,
} as const;

/** What the owner keeps, and does with it. */
class Owner {
  readonly #lab: SettlerLab;
  #best: Voucher | undefined;

  constructor(lab: SettlerLab) {
    this.#lab = lab;
  }

  async ask(): Promise<void> {
    const voucher = (await show(this.#lab))?.voucher;
    if (voucher === undefined) return;
    const isLower = this.#best !== undefined && voucher.ceiling < this.#best.ceiling;
    assert.ok(!isLower, 'a worker refuses a voucher that is lower than one before it');
    this.#best = voucher;
  }

  async claim(): Promise<void> {
    if (this.#best !== undefined) await cashIn(this.#lab, this.#best);
  }

  /** What is in its wallet, and what the voucher in its hands still gets. */
  async has(): Promise<{ readonly got: bigint; readonly claimable: bigint }> {
    const got = await this.#lab.balanceOf(OWNER);
    const state = await holds(this.#lab, this.#best?.channel);
    if (state === undefined || this.#best === undefined) return { got, claimable: 0n };
    const most = state.deposited - state.refunded;
    const good = this.#best.ceiling < most ? this.#best.ceiling : most;
    return { got, claimable: good > state.claimed ? good - state.claimed : 0n };
  }
}

async function assertNotTwice(lab: SettlerLab, owner: Owner): Promise<void> {
  const { earned, paid, planned } = await lab.ledger.findWorker(WORKER, 'TON');
  const promised = BigInt(channelsOf(lab)[0]?.promised ?? '0');
  assert.ok(paid + planned + promised <= earned, 'by the books');
  const { got, claimable } = await owner.has();
  // Each deposit brings money for its gas; what it leaves of that goes to whoever claims next.
  const gas =
    ((BigInt(channelsOf(lab)[0]?.deposited ?? '0') * 2n) / DEPOSIT) * CHANNEL_FEES.depositFee;
  assert.ok(got + claimable <= earned + gas, `${got} and ${claimable} of ${earned}`);
}

/** Repeatable: a test that fails once fails again. */
function dice(seed: number): (sides: number) => number {
  let state = BigInt(seed) + 1n;
  return (sides) => {
    state =
      (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & 0xffff_ffff_ffff_ffffn;
    return Number((state >> 33n) % BigInt(sides));
  };
}

const LIVES = [1, 2, 3, 4] as const;
const STEPS = 60;

for (const life of LIVES) {
  test(`whatever is done in whatever order, nothing is paid twice, and in the end everything is (${life})`, async () => {
    await withSettler(OPTIONS, async (lab) => {
      await fill(lab, 60n * TON);
      const payer = await lab.open(90n * TON);
      const owner = new Owner(lab);
      const roll = dice(life);
      for (let step = 0; step < STEPS; step++) {
        await someStep(lab, { payer, owner, roll });
        await assertNotTwice(lab, owner);
      }
      lab.devnet.faults.clear();
      await settleUp(lab, owner);
    });
  });
}

interface Moment {
  readonly payer: PaidChannel;
  readonly owner: Owner;
  readonly roll: (sides: number) => number;
}

async function someStep(lab: SettlerLab, { payer, owner, roll }: Moment): Promise<void> {
  switch (roll(10)) {
    case 0:
    case 1:
    case 2:
      return await earn(lab, payer, (BigInt(roll(20)) + 1n) * (TON / 20n));
    case 3:
      return await owner.ask();
    case 4:
      return await owner.claim();
    case 5:
      await lab.restart({ policy: roll(2) === 0 ? MODES.channels : MODES.transfers });
      return;
    case 6:
      await lab.devnet.forward(DAY_S);
      return;
    case 7:
      // Both at once: a voucher is signed while transfers are planned.
      await Promise.all([lab.settler.round(), owner.ask()]);
      return;
    case 8:
      lab.devnet.inject({ kind: roll(2) === 0 ? 'drop' : 'duplicate', times: 1 });
      return await lab.settler.round();
    default:
      return await lab.settler.round();
  }
}

/** With transfers, and what the channel still has to give. */
async function settleUp(lab: SettlerLab, owner: Owner): Promise<void> {
  await lab.restart({ policy: MODES.transfers });
  await lab.rounds(async () => {
    await lab.devnet.forward(DAY_S);
    await owner.ask();
    const { earned, paid, planned } = await lab.ledger.findWorker(WORKER, 'TON');
    const promised = BigInt(channelsOf(lab)[0]?.promised ?? '0');
    return planned === 0n && earned - paid - promised < LITTLE;
  });
  await assertNotTwice(lab, owner);
  const { earned } = await lab.ledger.findWorker(WORKER, 'TON');
  const { got, claimable } = await owner.has();
  // Less the gas of its own claims.
  assert.ok(got + claimable > earned - LITTLE - TON / 5n, `${got} and ${claimable} of ${earned}`);
}

const STEPS_MIN = 15;

for (const moment of ['before', 'after'] as const) {
  test(`a death ${moment} any step from the deposit to the voucher makes one channel, filled once`, async () => {
    await withSettler(OPTIONS, async (lab) => {
      await fill(lab, 30n * TON);
      const payer = await lab.open(40n * TON);
      // Enough for a channel, too little for a transfer beside it.
      await earn(lab, payer, (DEPOSIT * 100n) / 95n + 10n);
      await lab.settler.close();
      const owner = new Owner(lab);
      let calls = 0;
      for (; calls < 300 && !(await isFilled(lab)); calls++) {
        const left = { calls };
        const policy = channelPolicy({ payouts: NO_PAYOUTS });
        const ledger: Ledger = fragile<Ledger>(lab.ledger, left, moment);
        const chain: TonChain = fragile<TonChain>(lab.chain, left, moment);
        const settler = await lab.start({ ledger, chain, policy }).catch((error: unknown) => error);
        if (!(settler instanceof Error)) {
          await lab.settler.round();
          await owner.ask().catch(() => undefined);
        }
        await lab.crash();
      }
      assert.ok(calls > STEPS_MIN, `${calls}`);
      await lab.start({ policy: MODES.transfers });
      await lab.rounds(() => (channelsOf(lab)[0]?.deposited ?? '0') !== '0');
      const { earned } = await lab.ledger.findWorker(WORKER, 'TON');
      assert.equal(channelsOf(lab)[0]?.deposited, (earned + DEPOSIT).toString());
      await assertNotTwice(lab, owner);
    });
  });
}

async function isFilled(lab: SettlerLab): Promise<boolean> {
  const [note] = await lab.ledger.listNotes({ kind: 'worker-channel', after: undefined, limit: 1 });
  if (note === undefined) return false;
  const text = new TextDecoder().decode(note.value);
  return /"deposited":"[1-9]/.test(text) && /"promised":"[1-9]/.test(text);
}

test('a deposit that was paid is not paid again because nobody shows it yet, whoever restarts meanwhile', async () => {
  await withSettler(OPTIONS, async (lab) => {
    await fill(lab, 30n * TON);
    const payer = await lab.open(40n * TON);
    await earn(lab, payer, 3n * TON);
    let hidden: Bytes<32> | undefined;
    const chain: TonChain = {
      ...toldChain(lab.chain, () => ({})),
      readAccount: async (address, options) => {
        const state = await lab.chain.readAccount(address, options);
        const isHidden = hidden !== undefined && address.equals(addressOfId(hidden));
        return isHidden
          ? { ...state, state: 'uninitialized', code: undefined, data: undefined }
          : state;
      },
    };
    const policy = channelPolicy({ settleMs: 300_000, payouts: NO_PAYOUTS });
    const onEvent: SettlerOptions['onEvent'] = (name, fields) => {
      lab.events.push({ name, fields });
      if (name !== 'settler.worker_channel_funding' || !('channel' in fields)) return;
      assert.ok(fields.channel instanceof Uint8Array);
      hidden = fixed(fields.channel, 32);
    };
    await lab.restart({ chain, policy, onEvent });
    await lab.rounds(() =>
      lab.named('settler.order_paid').some(({ fields }) => fields['kind'] === 'transfers'),
    );
    for (let more = 0; more < 3; more++) {
      await lab.restart({ chain, policy });
      await lab.settler.round();
    }
    const state = await holds(lab, hidden);
    assert.equal(state?.deposited, (TON * 285n) / 100n + DEPOSIT);
    const sent = lab
      .named('settler.order_sent')
      .filter(({ fields }) => fields['kind'] === 'transfers');
    assert.equal(sent.length, 1);
  });
});

test('an owner with two cards, one for the channel and one for transfers, is not paid on both at the same moment', async () => {
  const elsewhere = `0:${'99'.repeat(32)}`;
  await withSettler({ ...OPTIONS, policy: MODES.channels }, async (lab) => {
    await fill(lab, 30n * TON);
    const payer = await lab.open(40n * TON);
    await earn(lab, payer, 3n * TON);
    await lab.rounds(() => (channelsOf(lab)[0]?.deposited ?? '0') !== '0');
    await earn(lab, payer, 2n * TON);
    await lab.crash();
    let asked: ReturnType<typeof show> | undefined;
    const ledger = new Proxy<Ledger>(lab.ledger, {
      get: (of, name) => {
        const member: unknown = Reflect.get(of, name);
        if (typeof member !== 'function') return member;
        return async (...parameters: unknown[]): Promise<unknown> => {
          if (name === 'planPayouts' && asked === undefined) {
            asked = show(lab);
            // Whatever it can do without us, it has done by now.
            for (let reads = 0; reads < 5; reads++) await of.journalHead();
          }
          const done: unknown = await Reflect.apply(member, of, parameters);
          return done;
        };
      },
    });
    const moved = [{ workerId: WORKER, destination: elsewhere }];
    await lab.start({ ledger, payees: () => Promise.resolve(moved) });
    await lab.rounds(() => asked !== undefined);
    const ceiling = (await asked)?.voucher.ceiling ?? 0n;
    const { earned, paid, planned } = await lab.ledger.findWorker(WORKER, 'TON');
    assert.ok(paid + planned > 0n);
    assert.ok(paid + planned + ceiling <= earned, `${paid + planned} and ${ceiling} of ${earned}`);
  });
});
