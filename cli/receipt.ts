/**
 * `veilgate receipt verify|show FILE…`: does a saved bill hold, and what does it say. Offline: a bill brings everything it is
 * judged by. Exit status: 0 everything holds, 1 something does not, 2 a file cannot be read or wrong usage.
 * @module
 */

import type { Command } from 'commander';
import { errorLine, jsonLine, outputLine, paint, printable } from '../core/node/terminal.ts';
import { readBills, type ReadBill } from './receipt/read-bills.ts';
import { showJson, showLines } from './receipt/show.ts';
import { verifyBills, type Verified } from './receipt/verify.ts';

const FILES_HELP = `
FILE: a bill, as the client saves it beside a channel file when something in it
does not hold (CHANNEL.bill-….json), or as an app saved it for itself.

Checked: the gateway's document, the worker's statement and card as far as they
name each other, the receipt, its price, the voucher, the ledger line, and of
several files whether their ledger lines can be true together. Not checked: the
quote behind the worker's statement (veilgate attest), and what only the client
knows: the bounds in its request, how far it had signed, its count of the texts.

So a bill in which everything holds is the word of the gateway and the worker
that it names, and anybody can make up both: compare them, or say which gateway
it has to be with --gateway-id. Lines that contradict each other are proof
against the gateway that signed them; a failed check alone is not.

Exit status: 0 everything holds; 1 something does not; 2 a file cannot be read,
or wrong usage.`;

interface Options {
  readonly json?: true;
  readonly gatewayId?: string;
}

export function registerReceiptCommand(program: Command): void {
  const receipt = program
    .command('receipt')
    .description('look again, offline, at what a request cost and who said so');
  receipt
    .command('verify')
    .description('check every signature, hash and sum of saved bills')
    .argument('<file...>', 'bills')
    .option('--gateway-id <gw1.…>', 'of this gateway, or it does not hold')
    .option('--json', 'one JSON object')
    .addHelpText('after', FILES_HELP)
    .action(verify);
  receipt
    .command('show')
    .description('say what stands in saved bills, verified or not')
    .argument('<file...>', 'bills')
    .option('--json', 'one JSON object per file')
    .addHelpText('after', FILES_HELP)
    .action(show);
}

const UNREADABLE_STATUS = 2;

function verify(paths: readonly string[], { json, gatewayId }: Options): void {
  const read = readAll(paths);
  if (read === undefined) return;
  const result = verifyBills(read, gatewayId);
  if (json === true) outputLine(jsonLine(result));
  else for (const line of tableOf(result)) outputLine(line);
  process.exitCode = result.holds ? 0 : 1;
}

function show(paths: readonly string[], { json }: Options): void {
  const read = readAll(paths);
  if (read === undefined) return;
  for (const bill of read) {
    if (json === true) outputLine(jsonLine(showJson(bill)));
    else for (const line of showLines(bill)) outputLine(line);
  }
}

/** Undefined, and the status set, when any of them cannot be read: half an answer would look like a whole one. */
function readAll(paths: readonly string[]): readonly ReadBill[] | undefined {
  const { bills, unreadable } = readBills(paths);
  for (const { path, why } of unreadable) errorLine(printable(`veilgate: ${path}: ${why}`));
  if (unreadable.length === 0) return bills;
  process.exitCode = UNREADABLE_STATUS;
  return undefined;
}

const COLOURS = { pass: 'green', fail: 'red', skipped: 'yellow' } as const;
const OUTCOME_CHARS = 8;

function tableOf({ files, contradictions, holds }: Verified): readonly string[] {
  const lines: string[] = [];
  for (const { file, gateway, worker, checks } of files) {
    lines.push(paint('bold', printable(file)));
    lines.push(`  gateway  ${gateway ?? 'not known'}`, `  worker   ${worker ?? 'not known'}`);
    for (const { id, outcome } of checks) {
      lines.push(`  ${paint(COLOURS[outcome], outcome.padEnd(OUTCOME_CHARS))} ${id}`);
    }
  }
  for (const { why, one, other } of contradictions) {
    lines.push(`${paint('red', why)}: ${one} against ${other}`);
  }
  const word = files.some(({ gateway }) => gateway !== null) ? ', by the word of those named' : '';
  lines.push(holds ? paint('green', `everything holds${word}`) : paint('red', 'does not hold'));
  return lines;
}
