/**
 * What a person should know when something did not work: what has become of the coins, and what to do. Every exit code of
 * the channel has its sentence. Spec: `settlement/ton/contracts/exit-codes.ts`.
 * @module
 */

import type { VeilError } from '../../core/errors.ts';
import { CHANNEL_EXIT, TVM_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import { ton } from './money-text.ts';

export const EXIT_ADVICE: Readonly<Record<keyof typeof CHANNEL_EXIT, string>> = {
  value:
    'Too few coins came with the message: a deposit is at least 0.01 TON beside rent and fee, every other operation takes 0.1 TON along and gives back what it does not use.',
  status:
    'The channel is not in the state for this: a withdraw begins in an open channel, is cancelled or finished in a closing one. "veilgate channel status" shows it.',
  epoch:
    'It was signed for another epoch: the channel was emptied or closed since. Read its state and sign anew.',
  stale: 'It claims nothing new: as much was claimed before. Nothing is lost.',
  ceiling: 'More was charged than the voucher allows. The payee cannot claim that.',
  available:
    'The channel does not hold as much. "veilgate channel status" shows what is available.',
  payerSignature:
    'It is not signed by the payer’s key of this channel: the key file belongs to another one.',
  chargeSignature: 'The charge is not signed by the payee’s key.',
  sender:
    'Only the wallet that the channel names as payer may do this. Use the key of that wallet.',
  locked: 'The withdraw delay is still running. "veilgate channel status" shows when it ends.',
  dust: 'Too little to be paid out of itself: below 0.02 TON it takes a message from the wallet.',
  retired: 'This channel was given up for good. Open a new one.',
  window: 'The signed withdraw is too late, too far ahead, or was used before. Sign a new one.',
  workchain: 'Channel, payer and payee have to be in workchain 0.',
  cover:
    'The channel’s rent is used up, so it cannot pay for the message itself: send it from the wallet.',
};

const TVM_ADVICE: Readonly<Record<keyof typeof TVM_EXIT, string>> = {
  rangeCheck: 'A number in the message is out of range.',
  bodyForm: 'The message is not one that this contract reads.',
  unknownOp: 'The contract knows no such operation.',
};

const CODES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(CHANNEL_EXIT).map(([name, code]) => [code, adviceNamed(name)] as const),
  ...Object.entries(TVM_EXIT).map(([name, code]) => [code, adviceNamed(name)] as const),
]);

function adviceNamed(name: string): string {
  const all: Readonly<Record<string, string>> = { ...EXIT_ADVICE, ...TVM_ADVICE };
  return all[name] ?? '';
}

/** Undefined for a code that is neither the channel's nor one it shares with every contract. */
export function exitAdvice(code: number): string | undefined {
  return CODES.get(code);
}

const ADVICE: Readonly<Record<string, string>> = {
  'payer.clock':
    'Either the clock of this machine is slow, or a provider lies about the time to get an order that is good for long. Nothing was signed.',
  'payer.expired':
    'Nothing was sent, and this order cannot happen any more. Run the command again.',
  'payer.overtaken':
    'Another order of the same wallet came first. This one did not happen and cannot happen any more. Run the command again.',
  'payer.unsent': 'The wallet took the order and could not pay for all of it. Look at its balance.',
  'payer.unconfirmed':
    'It may have happened. Look at "veilgate channel status" and "veilgate wallet balance" before you pay again; opening again goes on where it was.',
  'payer.not_channel': 'Do not pay there. Either a provider lies, or the channel file was changed.',
  'ton.unreachable':
    'Too few providers answer. Nothing is lost; try again, or name others with --provider.',
  'ton.disagree':
    'The providers do not agree. Name more with --provider, so that one that lags or lies is outvoted.',
  'ton.network': 'A provider is of another network than the one that is paid on.',
  'http.connect': 'Nobody answers there. Is the gateway running, and is the address right?',
  'http.origin': 'Clear text is for this machine only: use https for a gateway elsewhere.',
  'file.private':
    'Somebody else could read or change it. A key that others may have seen should be replaced.',
  'writer_lock.held': 'Another command is at work on the same files. Wait for it.',
};

export function adviceOn({ code, facts }: VeilError): string | undefined {
  const { exitCode, balance, wanted } = facts;
  if (typeof exitCode === 'number') return exitAdvice(exitCode);
  if (code === 'payer.balance' && typeof balance === 'bigint' && typeof wanted === 'bigint') {
    return `The wallet holds ${ton(balance)}; this takes up to ${ton(wanted)}, fees included. Nothing was sent.`;
  }
  return ADVICE[code];
}
