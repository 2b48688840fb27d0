/**
 * `veilgate verify-response BUNDLE`: does the proof of an answer hold, years later and offline: policy, evidence and
 * collateral, receipt, settlement, texts. Exit status: 0 it holds, 1 it does not, 2 a file cannot be read or wrong usage, 3 it
 * holds by its own word. Spec: docs/response-proof.md.
 * @module
 */

import type { Command } from 'commander';
import { fixed, fromHex } from '../core/bytes.ts';
import { errorLine, jsonLine, outputLine, printable } from '../core/node/terminal.ts';
import type { ProofPins } from '../client/proof/check-response.ts';
import { readFiles, type ResponseFiles } from './response/read-files.ts';
import { proofJson } from './response/json.ts';
import { reportLines } from './response/report.ts';
import { verifyProof, type Verified } from './response/verify.ts';

const HELP = `
BUNDLE: what the client hands to onProof for an answer (veilgate.response/1), or
for one through a gateway in a TEE (veilgate.attested-response/1).
It holds no content. Everything is judged as of the instants in it, without a
network: the policy and its signatures, revocations as known then, the worker's
evidence with the vendor's collateral of that day, the receipt, the bill.

Anybody can make a bundle of a root, a gateway and a machine of his own, so say
what you know by other ways: --root the root of your policy keys (any document
of the chain), --gateway-id, --policy for an unsigned policy. What is not said
is shown as waived, and then the bundle holds by its own word only. A client that worked offline did not ask how old its policy
was: such a bundle holds only with --accept-offline.

--request and --response: the bodies as the app sent and got them. Their hashes
are the word of whoever kept the bundle; the receipt signs what was sealed.

Exit status: 0 it holds; 1 it does not; 2 a file cannot be read, or wrong usage;
3 it holds, but by a root, policy or gateway that nobody here named.`;

interface Options extends ResponseFiles {
  readonly policy?: string;
  readonly gatewayId?: string;
  readonly acceptOffline?: true;
  readonly all?: true;
  readonly json?: true;
}

export function registerVerifyResponseCommand(program: Command): void {
  program
    .command('verify-response')
    .description('check the proof of an answer again, offline')
    .argument('<bundle>', 'veilgate.response/1 or veilgate.attested-response/1')
    .option('--root <file>', 'the policy has to be signed under this root')
    .option('--policy <sha256:…>', 'the unsigned policy has to have this digest')
    .option('--gateway-id <gw1.…>', 'the gateway has to be this one')
    .option('--accept-offline', 'the age of the policy may be unknown')
    .option('--request <file>', 'the body of the request')
    .option('--response <file>', 'the body of the answer')
    .option('--all', 'every check, also those that pass')
    .option('--json', 'one JSON object with every check')
    .addHelpText('after', HELP)
    .action(verify);
}

const USAGE_STATUS = 2;
const OWN_WORD_STATUS = 3;

function verify(path: string, options: Options): void {
  const digest = options.policy === undefined ? undefined : digestOf(options.policy);
  if (digest === null) {
    errorLine('veilgate: --policy: want sha256: and 64 hexadecimal digits');
    process.exitCode = USAGE_STATUS;
    return;
  }
  const read = readFiles(path, options);
  if ('unreadable' in read) {
    for (const line of read.unreadable) errorLine(printable(`veilgate: ${line}`));
    process.exitCode = USAGE_STATUS;
    return;
  }
  const { gatewayId, acceptOffline } = options;
  const pins: ProofPins = {
    ...read.pins,
    ...(digest === undefined ? {} : { policyDigest: digest }),
    ...(gatewayId === undefined ? {} : { gateway: gatewayId }),
    ...(acceptOffline === undefined ? {} : { offline: 'accepted' }),
  };
  const verified = verifyProof(read.proof, pins);
  if (options.json === true) outputLine(jsonLine(proofJson(verified)));
  else {
    const shown = options.all === true ? 'all' : 'notable';
    for (const line of reportLines(verified, shown)) outputLine(line);
  }
  process.exitCode = statusOf(verified);
}

function statusOf({ holds, checked }: Verified): number {
  if (!holds) return 1;
  return checked.unpinned.length === 0 ? 0 : OWN_WORD_STATUS;
}

/** Null for what is none. */
function digestOf(text: string) {
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(text) ?? [];
  return hex === undefined ? null : fixed(fromHex(hex), 32);
}
