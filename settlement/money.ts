/**
 * Money: whole atomic units of an asset, as bigint, in the range that every ledger can hold. Text goes in and out digit
 * by digit; no float ever touches it. Spec: ton-settlement §4.1.
 * @module
 */

import { settlementError } from './errors.ts';

/** Of 0 to `AMOUNT_MAX` atomic units. Made by `amount` and `parseAmount` only. */
export type Amount = bigint & { readonly __amount: true };

/** Ledgers keep 64-bit signed integers. All TON there is are 5.1e18 nanoTON. */
export const AMOUNT_MAX = 2n ** 63n - 1n;

/** `code` is the asset byte of an SX/1 prelude. */
export const ASSETS = [
  { name: 'TON', code: 0, decimals: 9, unit: 'nanoTON' },
  { name: 'USDT', code: 1, decimals: 6, unit: 'µUSDT' },
] as const;
export type Asset = (typeof ASSETS)[number]['name'];

function isAmount(value: bigint): value is Amount {
  return value >= 0n && value <= AMOUNT_MAX;
}

/** Checks the range and brands. Throws `settlement.amount`. */
export function amount(value: bigint): Amount {
  if (!isAmount(value)) throw settlementError('settlement.amount', 'out of range');
  return value;
}

export const NOTHING: Amount = amount(0n);

/** Undefined for a code that stands for no asset. */
export function assetOfCode(code: number): Asset | undefined {
  return ASSETS.find((known) => known.code === code)?.name;
}

function rowOf(asset: Asset): (typeof ASSETS)[number] {
  const row = ASSETS.find((known) => known.name === asset);
  if (row === undefined) throw settlementError('settlement.amount', 'unknown asset');
  return row;
}

export function codeOfAsset(asset: Asset): number {
  return rowOf(asset).code;
}

const INTEGER_DIGITS_MAX = 19;

/** `1`, `0.5`, `12.000000001`: digits, at most as many behind the point as the asset has. Throws `settlement.amount`. */
export function parseAmount(text: string, asset: Asset): Amount {
  const { decimals } = rowOf(asset);
  const match = /^(0|[1-9]\d*)(?:\.(\d+))?$/.exec(text);
  if (match === null) throw settlementError('settlement.amount', 'want digits, such as 0.25');
  const [, whole = '', fraction = ''] = match;
  if (whole.length > INTEGER_DIGITS_MAX) throw settlementError('settlement.amount', 'out of range');
  if (fraction.length > decimals) {
    throw settlementError('settlement.amount', `at most ${decimals} digits behind the point`);
  }
  return amount(BigInt(whole + fraction.padEnd(decimals, '0')));
}

/** The shortest text that `parseAmount` reads back to the same amount. */
export function formatAmount(value: Amount, asset: Asset): string {
  const { decimals } = rowOf(asset);
  const digits = value.toString().padStart(decimals + 1, '0');
  const fraction = digits.slice(-decimals).replace(/0+$/, '');
  const whole = digits.slice(0, -decimals);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
