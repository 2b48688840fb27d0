/**
 * `veilgate wallet new|address|balance|send`: a TON wallet in a file of one's own, for deposits and single payments. The
 * key never leaves the file as text. Exit status: 0 done, 1 a problem, 2 wrong usage. Spec: docs/wallet.md.
 * @module
 */

import type { Command } from 'commander';
import { answer, type AnswerOptions } from './ton/io.ts';
import { networkOption, withProviders } from './ton/network.ts';
import { runWalletAddress, type WalletAddressOptions } from './wallet/address.ts';
import { runWalletBalance, type WalletBalanceOptions } from './wallet/balance.ts';
import { runWalletNew, type WalletNewOptions } from './wallet/new.ts';
import { runWalletSend, type WalletSendOptions } from './wallet/send.ts';

export function registerWalletCommand(program: Command): void {
  const wallet = program
    .command('wallet')
    .description('a TON wallet for deposits: make one, look at it, send from it');
  placed(wallet.command('new').description('make a key; one that is there stays')).action(
    (options: WalletNewOptions & AnswerOptions) =>
      answer(options, (io) => runWalletNew(options, io)),
  );
  placed(wallet.command('address').description('say where coins for it go')).action(
    (options: WalletAddressOptions & AnswerOptions) =>
      answer(options, (io) => runWalletAddress(options, io)),
  );
  withProviders(
    placed(wallet.command('balance').description('say what it holds, with all digits')),
  ).action((options: WalletBalanceOptions & AnswerOptions) =>
    answer(options, (io) => runWalletBalance(options, io)),
  );
  withProviders(placed(wallet.command('send').description('send coins')))
    .argument('<address>', 'raw or friendly')
    .argument('<amount>', 'TON, such as 0.25')
    .option('--comment <text>', 'a word for the other side; everybody can read it')
    .option('--yes', 'do not ask (devnet and testnet)')
    .option('--yes-mainnet', 'do not ask, and these are real coins')
    .action((to: string, amount: string, options: WalletSendOptions & AnswerOptions) =>
      answer(options, (io) => runWalletSend({ to, amount }, options, io)),
    );
}

function placed(command: Command): Command {
  return command
    .addOption(networkOption('which network').default('devnet'))
    .option('--key <file>', 'the key of the wallet (default: wallet.key in the directory)')
    .option('--dir <directory>', 'where a payer’s files are (default: ~/.veilgate)')
    .option('--json', 'one line of JSON');
}
