/** What follows a bill that does not hold: nothing is signed any more, the evidence is kept, the app hears of it. @module */

import type { Bytes } from '../../core/bytes.ts';
import type { ChannelAccount } from './account.ts';

/** An answer whose bill does not hold. The app has the answer, complete and verified, or has been told why it broke off. */
export interface PayFault {
  readonly faults: readonly string[];
  /** For `veilgate receipt verify`: no content. Undefined where there was no receipt that verified. */
  readonly bill: Uint8Array | undefined;
  /** Where it was saved, where it was. */
  readonly savedAs: string | undefined;
}

export type OnFault = (fault: PayFault) => void;

/** Whatever the disk says, nothing is signed from here on. */
export async function stopPaying(
  msgId: Bytes<16>,
  { faults, bill }: Pick<PayFault, 'faults' | 'bill'>,
  { account, onFault }: { readonly account: ChannelAccount; readonly onFault: OnFault | undefined },
): Promise<void> {
  const [halted, kept] = await Promise.allSettled([
    account.halt(msgId, faults),
    bill === undefined ? undefined : account.keys.memory.keepBill?.(msgId, bill),
  ]);
  const savedAs = kept.status === 'fulfilled' ? kept.value : undefined;
  onFault?.({ faults, bill, savedAs });
  if (halted.status === 'rejected') throw halted.reason;
}
