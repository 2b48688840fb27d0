/** A payment as text, so that it can be kept and made again to the byte. @module */

import { Address, Cell } from '@ton/core';
import type { Payment } from './payment.ts';

export interface Transfer {
  /** Raw. */
  readonly to: string;
  readonly nanoton: bigint;
  /** BoC, base64. */
  readonly body: string | null;
  /** Deploys along the way. */
  readonly init: { readonly code: string; readonly data: string } | null;
}

export function transferOf({ to, nanoton, body, init }: Payment): Transfer {
  return {
    to: to.toRawString(),
    nanoton,
    body: body === undefined ? null : text(body),
    init: init === undefined ? null : { code: text(init.code), data: text(init.data) },
  };
}

export function paymentOf({ to, nanoton, body, init }: Transfer): Payment {
  return {
    to: Address.parseRaw(to),
    nanoton,
    ...(body === null ? {} : { body: Cell.fromBase64(body) }),
    ...(init === null
      ? {}
      : { init: { code: Cell.fromBase64(init.code), data: Cell.fromBase64(init.data) } }),
  };
}

function text(cell: Cell): string {
  return cell.toBoc().toString('base64');
}

/** Raw; undefined for what is no address of workchain 0 or the masterchain. */
export function rawAddress(address: string): string | undefined {
  try {
    const parsed = Address.parse(address);
    return parsed.workChain === 0 || parsed.workChain === -1 ? parsed.toRawString() : undefined;
  } catch {
    return undefined; // not an address
  }
}
