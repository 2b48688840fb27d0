/** A payment for a wallet whose key is elsewhere: a link, and where it fits a code to scan. @module */

import { encodeQr, QR_TEXT_MAX_BYTES } from '../../core/qr.ts';
import { qrColumns, qrLines } from '../../core/node/qr-terminal.ts';
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
  if (text.length > QR_TEXT_MAX_BYTES) {
    return [
      'No code to scan: the contract goes along, and no code holds that much. Open the link.',
    ];
  }
  const code = encodeQr(text);
  const columns = qrColumns(code);
  if (columns <= terminalColumns()) return [...qrLines(code), ''];
  return [`A code to scan needs ${columns} columns; this terminal shows ${terminalColumns()}.`];
}
