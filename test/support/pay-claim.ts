/** A final claim, as a gateway's settler brings it to the chain. @module */

import { beginCell, external, storeMessage } from '@ton/core';
import type { Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { KeptChannel } from '../../cli/channel/channel-files.ts';
import { signCharge } from '../../settlement/charge.ts';
import { amount } from '../../settlement/money.ts';
import { claimExternalBody } from '../../settlement/ton/contracts/pay-channel.ts';
import { DEVNET } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { signVoucher } from '../../settlement/voucher.ts';
import { PAYEE_SEED, type PayLab } from './pay-lab.ts';

export async function claimFinal(
  { devnet }: Pick<PayLab, 'devnet'>,
  { channel: { id, address } }: KeptChannel,
  { secretKey, charged }: { readonly secretKey: Bytes<32>; readonly charged: bigint },
): Promise<void> {
  const ceiling = amount(charged);
  const signed = { channel: id, epoch: 0 };
  const body = claimExternalBody({
    epoch: 0,
    ends: 'final',
    ceiling,
    charged,
    voucherSignature: signVoucher(secretKey, { ...signed, ceiling }).signature,
    chargeSignature: signCharge(PAYEE_SEED, { ...signed, charged: ceiling, isFinal: true }),
  });
  const providers = [{ name: 'a', url: devnet.endpoint }];
  const chain = openToncenter({ network: DEVNET, quorum: 1, now: systemClock, providers });
  try {
    const message = external({ to: address, body });
    await chain.send(beginCell().store(storeMessage(message)).endCell());
  } finally {
    await chain.close();
  }
}
