/** A payment for a wallet whose key is elsewhere: a link, and where it fits a code to scan. @module */

import { painted, qrLines } from '../../core/node/qr-terminal.ts';
import { terminalColumns } from '../../core/node/terminal.ts';
import { transferLink } from '../../settlement/ton/deep-link.ts';
import type { TonNetwork } from '../../settlement/ton/network.ts';
import type { Payment } from '../../settlement/ton/wallet/payment.ts';
import { ton } from '../ton/money-text.ts';

export interface LinkOptions {
  readonly link?: true;
  readonly qr?: true;
}

/** The link stands alone on its line, so that it can be copied. */
export function linkLines(
  payment: Payment,
  network: TonNetwork,
  { qr }: LinkOptions,
): readonly string[] {
  const text = transferLink(payment, network);
  const head = `Pay ${ton(payment.nanoton)} with the wallet app, by this link:`;
  return ['', head, '', text, '', ...(qr === true ? codeLines(text) : [])];
}

function codeLines(text: string): readonly string[] {
  const lines = qrLines(text);
  if (lines === undefined) {
    return [
      'No code to scan: the contract goes along, and no code holds that much. Open the link.',
    ];
  }
  const columns = lines[0]?.length ?? 0;
  if (columns <= terminalColumns()) return [...painted(lines), ''];
  return [`A code to scan needs ${columns} columns; this terminal shows ${terminalColumns()}.`];
}
