/** Where a payer keeps things, and the wallet in there. @module */

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { makePrivateFolder } from '../../core/node/private-files.ts';
import { openWallet, type TonWallet } from '../../settlement/ton/wallet.ts';
import { loadOrMakeSeed, loadSeed } from '../../settlement/ton/wallet/seed-file.ts';
import type { TonNetwork } from '../../settlement/ton/network.ts';
import { existsSync } from 'node:fs';
import { moneyError } from './errors.ts';

export interface PlaceOptions {
  readonly dir?: string;
  readonly key?: string;
}

const FOLDER = '.veilgate';
const WALLET_FILE = 'wallet.key';

export function homeOf({ dir }: PlaceOptions): string {
  return dir === undefined ? join(homedir(), FOLDER) : resolve(dir);
}

export function walletPath(options: PlaceOptions): string {
  return options.key === undefined ? join(homeOf(options), WALLET_FILE) : resolve(options.key);
}

export function hasWallet(options: PlaceOptions): boolean {
  return existsSync(walletPath(options));
}

/** One that is there stays. Throws `file.private`, `ton.wallet`. */
export function makeWallet(
  options: PlaceOptions,
  network: TonNetwork,
): { readonly wallet: TonWallet; readonly path: string; readonly isNew: boolean } {
  const path = walletPath(options);
  const isNew = !existsSync(path);
  makePrivateFolder(dirname(path));
  return { wallet: openWallet(loadOrMakeSeed(path), network), path, isNew };
}

/** Throws `money.wallet`, `file.private`, `ton.wallet`. */
export function openWalletFile(options: PlaceOptions, network: TonNetwork): TonWallet {
  const path = walletPath(options);
  if (!existsSync(path)) {
    throw moneyError('money.wallet', `${path} is not there; "veilgate wallet new" makes one`);
  }
  return openWallet(loadSeed(path), network);
}
