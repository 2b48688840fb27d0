/** A gateway that is paid through channels on a devnet, and payers that open them. @module */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateEd25519, randomBytes } from '#primitives';
import { utf8, type Bytes } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import type { GatewayConfigInput } from '../../../gateway/config.ts';
import { verifyGatewayDocument, type ChannelPayee } from '../../../protocol/gateway-document.ts';
import {
  announcedChannelJson,
  type AnnouncedChannel,
  type ChannelTerms,
} from '../../../settlement/channel-terms.ts';
import { amount } from '../../../settlement/money.ts';
import { channelDeposit } from '../../../settlement/ton/channels/deposit.ts';
import { placeChannel } from '../../../settlement/ton/channels/place.ts';
import type { TonChain } from '../../../settlement/ton/chain.ts';
import { openDevnet, type Devnet } from '../../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../../settlement/ton/network.ts';
import { openToncenter } from '../../../settlement/ton/toncenter.ts';
import { openWallet, type TonWallet } from '../../../settlement/ton/wallet.ts';
import { paymentOf } from '../../../settlement/ton/wallet/transfer.ts';
import { signPass, type Caveat } from '../../../settlement/pass.ts';
import { formatToken, signToken } from '../../../settlement/token.ts';
import { signVoucher, type Voucher } from '../../../settlement/voucher.ts';
import { paymentHeaders } from '../../../settlement/x402.ts';
import { openLab, post, type Lab, type LabOptions } from '../gateway-lab.ts';
import { until } from '../until.ts';
import { parseJson } from '../../../core/json.ts';

export const TON = 1_000_000_000n;

export interface PaidLab extends Lab {
  readonly devnet: Devnet;
  readonly chain: TonChain;
  readonly payee: ChannelPayee;
  /** Funds a wallet and opens a channel from it; announced unless told otherwise. */
  payer(options?: PayerOptions): Promise<TestPayer>;
}

export interface PayerOptions {
  readonly deposit?: bigint;
  readonly announce?: boolean;
  readonly terms?: Partial<ChannelTerms>;
}

export interface TestPayer extends AnnouncedChannel {
  readonly secretKey: Bytes<32>;
  readonly wallet: TonWallet;
  voucher(ceiling: bigint, epoch?: number): Voucher;
  /** The headers that a voucher is shown with. */
  shown(voucher: Voucher): Readonly<Record<string, string>>;
  /** An API key of the voucher; for a minute, unless caveats say otherwise. */
  token(voucher: Voucher, caveats?: readonly Caveat[]): string;
  announce(): ReturnType<typeof post>;
  /** Sends from the wallet. */
  send(payment: Parameters<TonWallet['order']>[0]['payments'][number]): Promise<void>;
}

export interface PaidLabOptions extends LabOptions {
  readonly devnet?: Devnet;
  readonly settlement?: Partial<NonNullable<GatewayConfigInput['settlement']>>;
  readonly ton?: Partial<NonNullable<NonNullable<GatewayConfigInput['settlement']>['ton']>>;
}

const WITHDRAW_DELAY_S = 600;
const PASS_MS = 60_000;

export async function openPaidLab(options: PaidLabOptions = {}): Promise<PaidLab> {
  const devnet = options.devnet ?? (await openDevnet());
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'veilgate-paid-'));
  const lab = await openLab({
    ...options,
    dataDir,
    config: {
      ...options.config,
      settlement: {
        feeBps: 500,
        ton: {
          network: 'devnet',
          providers: [{ name: 'devnet', url: devnet.endpoint }],
          settlementKeyFile: join(dataDir, 'settlement.key'),
          treasuryKeyFile: join(dataDir, 'treasury.key'),
          withdrawDelayMinS: WITHDRAW_DELAY_S,
          anchor: 'off',
          ...options.ton,
        },
        ...options.settlement,
      },
    },
  });
  const chain = openToncenter({
    network: DEVNET,
    quorum: 1,
    now: systemClock,
    providers: [{ name: 'test', url: devnet.endpoint }],
  });
  const payee = await payeeOf(lab);
  return {
    ...lab,
    devnet,
    chain,
    payee,
    payer: (more) => openPayer({ lab, devnet, chain, payee }, more),
    close: async () => {
      await chain.close();
      await lab.close();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true });
      if (options.devnet === undefined) await devnet.close();
    },
  };
}

async function payeeOf(lab: Lab): Promise<ChannelPayee> {
  const answer = await post(lab, '/v1/gateway', new Uint8Array(), {}, 'GET');
  const document = verifyGatewayDocument(parseJson(answer.body, 65_536), systemClock());
  const { payee } = document.settlement;
  if (payee === null) throw new Error('a gateway that takes channels');
  return payee;
}

interface Around {
  readonly lab: Lab;
  readonly devnet: Devnet;
  readonly chain: TonChain;
  readonly payee: ChannelPayee;
}

let salt = 0n;

async function openPayer(
  { lab, devnet, chain, payee }: Around,
  { deposit = TON, announce = true, terms: more }: PayerOptions = {},
): Promise<TestPayer> {
  const { publicKey, secretKey } = generateEd25519();
  const wallet = openWallet(randomBytes(32), DEVNET);
  const terms: ChannelTerms = {
    network: payee.network,
    payer: wallet.address.toRawString(),
    payee: payee.address,
    payerKey: publicKey,
    payeeKey: payee.key,
    withdrawDelayS: payee.withdrawDelayMinS,
    salt: ++salt,
    ...more,
  };
  const { id: channel, init } = placeChannel(terms);
  await devnet.faucet(wallet.address, deposit + 2n * TON);
  const end = (): Caveat => ({ kind: 'expiry', notAfterMs: lab.gateway.clock() + PASS_MS });
  const send: TestPayer['send'] = async (payment) => {
    const { seqno } = await wallet.readState(chain);
    const order = { payments: [payment], seqno, validUntilS: devnet.nowS() + 60 };
    await chain.send(await wallet.order(order));
    await until(async () => (await wallet.readState(chain)).seqno > seqno);
  };
  await send(paymentOf(channelDeposit({ channel, init, amount: deposit, first: true })));
  const payer: TestPayer = {
    channel,
    terms,
    secretKey,
    wallet,
    send,
    voucher: (ceiling, epoch = 0) =>
      signVoucher(secretKey, { channel, epoch, ceiling: amount(ceiling) }),
    shown: (voucher) => paymentHeaders({ voucher, pass: signPass(secretKey, channel, [end()]) }),
    token: (voucher, caveats = []) =>
      formatToken(signToken(secretKey, voucher, [end(), ...caveats])),
    announce: () => announced(lab, { channel, terms }),
  };
  if (announce) {
    const { status, body } = await payer.announce();
    if (status !== 200) throw new Error(`not announced: ${String.fromCharCode(...body)}`);
  }
  return payer;
}

export function announced(lab: Lab, channel: AnnouncedChannel): ReturnType<typeof post> {
  const body = utf8(JSON.stringify(announcedChannelJson(channel)));
  return post(lab, '/v1/channels', body, { 'content-type': 'application/json' });
}
