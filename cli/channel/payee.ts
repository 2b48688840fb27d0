/**
 * Whether the way in which a gateway wants to be paid is one that its payer may take. A gateway writes these terms alone:
 * what it must not choose freely is checked here, and the rest is shown. Spec: ton-settlement §4.6, from the other side.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import type { ChannelPayee, VerifiedGatewayDocument } from '../../protocol/gateway-document.ts';
import { appraisePayerKey } from '../../settlement/payer-key.ts';
import { PAY_CHANNEL } from '../../settlement/ton/contracts/compiled.ts';
import { moneyError } from '../ton/errors.ts';
import { WITHDRAW_DELAY_MAX_S } from '../ton/limits.ts';
import { duration, ton } from '../ton/money-text.ts';

/** Throws `money.gateway`. */
export function acceptablePayee(
  { aud, settlement }: VerifiedGatewayDocument,
  { gatewayId, deposit }: { readonly gatewayId?: string; readonly deposit: bigint },
): ChannelPayee {
  if (gatewayId !== undefined && gatewayId !== aud) {
    throw moneyError('money.gateway', `it is ${aud}, and not the one you named`);
  }
  const { payee } = settlement;
  if (payee === null) throw moneyError('money.gateway', 'it takes no payment channels');
  if (toHex(payee.codeHash) !== PAY_CHANNEL.codeHash) {
    throw moneyError('money.gateway', 'it wants another contract than the one that is known here');
  }
  if (appraisePayerKey(payee.key) !== 'sound') {
    throw moneyError('money.gateway', 'anybody could sign charges with its key');
  }
  if (payee.withdrawDelayMinS > WITHDRAW_DELAY_MAX_S) {
    throw moneyError(
      'money.gateway',
      `it wants you to wait ${duration(payee.withdrawDelayMinS)} for your own coins; at most ${duration(WITHDRAW_DELAY_MAX_S)} is agreed to here`,
    );
  }
  if (deposit < payee.depositMin) {
    throw moneyError('money.gateway', `it takes channels from ${ton(payee.depositMin)} on`);
  }
  return payee;
}
