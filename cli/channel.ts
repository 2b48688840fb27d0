/**
 * `veilgate channel open|deposit|status|token|resume|withdraw|close|list`: payment channels from their payer's side. Exit status: 0 done,
 * 1 a problem or a difference, 2 wrong usage. Spec: docs/wallet.md; ton-settlement §4.
 * @module
 */

import type { Command } from 'commander';
import type { ChannelOptions } from './channel/around.ts';
import { runChannelClose, type ChannelCloseOptions } from './channel/close.ts';
import { runChannelDeposit, type ChannelDepositOptions } from './channel/deposit.ts';
import { runChannelList } from './channel/list.ts';
import { runChannelOpen, type ChannelOpenOptions } from './channel/open.ts';
import { runChannelResume, type ChannelResumeOptions } from './channel/resume.ts';
import { runChannelStatus } from './channel/status.ts';
import { runChannelToken, type ChannelTokenOptions } from './channel/token.ts';
import { runChannelWithdraw, type ChannelWithdrawOptions } from './channel/withdraw.ts';
import { answer, type AnswerOptions } from './ton/io.ts';
import { networkOption, withProviders } from './ton/network.ts';
import type { PlaceOptions } from './ton/wallet-file.ts';

export function registerChannelCommand(program: Command): void {
  const channel = program
    .command('channel')
    .description('payment channels: open one with a gateway, look at it, take the rest back');
  const one = (name: string, about: string): Command =>
    which(channel.command(name).description(about));
  sending(common(channel.command('open').description('open one, with its first deposit')))
    .requiredOption('--gateway <url>', 'the address that apps use')
    .requiredOption('--deposit <amount>', 'TON, such as 1.5')
    .option('--gateway-id <gw1.…>', 'the identity it has to have')
    .option('--another', 'even when one is open already')
    .option('--payer <address>', 'with --link: the wallet that will pay and get refunds')
    .option('--link', 'print a link for a wallet app instead of paying from here')
    .option('--qr', 'the same, with a code to scan where it fits')
    .action((options: ChannelOpenOptions & AnswerOptions) =>
      answer(options, (io) => runChannelOpen(options, io)),
    );
  sending(one('deposit', 'put more in'))
    .argument('<amount>', 'TON, such as 0.25')
    .option('--link', 'print a link for a wallet app instead of paying from here')
    .option('--qr', 'the same, with a code to scan')
    .action((amount: string, options: ChannelDepositOptions & AnswerOptions) =>
      answer(options, (io) => runChannelDeposit(amount, options, io)),
    );
  one('status', 'what the chain says, beside what the gateway says').action(
    (options: ChannelOptions & AnswerOptions) =>
      answer(options, (io) => runChannelStatus(options, io)),
  );
  one('token', 'an API key for programs that know nothing of channels')
    .requiredOption('--limit <amount>', 'TON that it can spend, such as 0.25')
    .option('--expires <time>', 'minutes, hours or days', '24h')
    .option('--model <id...>', 'only for these')
    .option('--request-max <amount>', 'TON that one request may reserve')
    .action((options: ChannelTokenOptions & AnswerOptions) =>
      answer(options, (io) => runChannelToken(options, io)),
    );
  sending(one('resume', 'pay again after a bill that did not hold')).action(
    (options: ChannelResumeOptions & AnswerOptions) =>
      answer(options, (io) => runChannelResume(options, io)),
  );
  sending(one('withdraw', 'take coins out without the gateway: ask, wait, --finish'))
    .argument('[amount]', 'TON; everything where absent')
    .option('--finish', 'the delay is over: pay out')
    .option('--rent', 'of an empty channel: have its rent back and give it up for good')
    .option('--cancel', 'take it back and go on paying from the channel')
    .action((amount: string | undefined, options: ChannelWithdrawOptions & AnswerOptions) =>
      answer(options, (io) => runChannelWithdraw(amount, options, io)),
    );
  sending(one('close', 'have the gateway end it now; a withdraw where it does not')).action(
    (options: ChannelCloseOptions & AnswerOptions) =>
      answer(options, (io) => runChannelClose(options, io)),
  );
  channel
    .command('list')
    .description('the channels in the directory')
    .option('--dir <directory>', 'where a payer’s files are (default: ~/.veilgate)')
    .option('--json', 'one line of JSON')
    .action((options: PlaceOptions & AnswerOptions) =>
      answer(options, (io) => runChannelList(options, io)),
    );
}

function common(command: Command): Command {
  return withProviders(command)
    .addOption(networkOption('refuse any other network than this'))
    .option('--key <file>', 'the key of the wallet (default: wallet.key in the directory)')
    .option('--dir <directory>', 'where a payer’s files are (default: ~/.veilgate)')
    .option('--cacert <file>', 'of the authority behind the gateway’s certificate')
    .option('--json', 'one line of JSON');
}

function which(command: Command): Command {
  return common(command).option(
    '--channel <id|file>',
    'which one: the beginning of its id, or its file (default: the only one)',
  );
}

function sending(command: Command): Command {
  return command
    .option('--yes', 'do not ask (devnet and testnet)')
    .option('--yes-mainnet', 'do not ask, and these are real coins');
}
