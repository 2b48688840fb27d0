/**
 * What a payer is shown with a 402, so that the next request fits: terms, what was needed, and where its own channel
 * stands. Spec: ton-settlement §4.5 (corrective 402).
 * @module
 */

import type { GatewaySettlement } from '../../protocol/gateway-document.ts';
import type { Account } from '../../settlement/ledger/ledger.ts';
import type { Asset } from '../../settlement/money.ts';
import {
  encodePaymentRequired,
  PAYMENT_REQUIRED_HEADER,
  type ChannelState,
  type VoucherState,
} from '../../settlement/x402.ts';
import type { PaymentRefusal } from './cashier.ts';

const TIMEOUT_S = 60;
/** What channels here are paid in. */
const CHANNEL_ASSET: Asset = 'TON';

/** Headers of the refusal; none where this gateway takes no channels, or none of this asset. */
export function demandHeaders(
  { payee, feeBps }: GatewaySettlement,
  { code, need, asset, account }: PaymentRefusal,
): Readonly<Record<string, string>> {
  if (payee === null || asset !== CHANNEL_ASSET) return {};
  const value = encodePaymentRequired({
    code,
    network: payee.network,
    amount: need,
    asset,
    payTo: payee.address,
    maxTimeoutS: TIMEOUT_S,
    receiverAuthorizer: payee.key,
    withdrawDelayS: payee.withdrawDelayMinS,
    codeHash: payee.codeHash,
    feeBps,
    ...(account?.kind === 'channel' ? statesOf(account) : {}),
  });
  return { [PAYMENT_REQUIRED_HEADER]: value };
}

/** Of a channel whose payer has shown a voucher that is its own. */
function statesOf(account: Account): {
  readonly channelState: ChannelState;
  readonly voucherState?: VoucherState;
} {
  const { epoch, ceiling, voucherSignature: signature } = account;
  const channelState = channelStateOf(account);
  return signature === undefined
    ? { channelState }
    : { channelState, voucherState: { epoch, ceiling, signature } };
}

export function channelStateOf(account: Account): ChannelState {
  const { id, epoch, deposited, refunded, withdrawing, claimed, charged, reserved, n } = account;
  return {
    channel: id,
    epoch,
    deposited,
    refunded,
    withdrawing,
    claimed,
    charged,
    reserved,
    n,
  };
}
