/** `veilgate revoke add KIND VALUE`: one signature, published at once. @module */

import type { Command } from 'commander';
import type { DatedRevocation } from '../../attestation/publication/revocations.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { readPinnedRepository, ROOT_OPTION } from '../publication/pinned-root.ts';
import { collect } from '../publication/collect.ts';
import { refused } from '../publication/errors.ts';
import { untilHeard } from '../publication/gateway-view.ts';
import { readSigningKey } from '../publication/keys.ts';
import { fromNow } from '../publication/lifetime.ts';
import { publishList, type ListContext } from '../publication/next-list.ts';
import { facts, nextSteps } from '../publication/rows.ts';
import { nameOfKey } from '../publication/standing.ts';
import { draftListAnswer } from './draft.ts';
import { assertKnown, kindFrom, remarksOn, valueFrom } from './value.ts';

const WAIT_MS = 30_000;

interface AddOptions {
  readonly reason: string;
  readonly repo: string;
  readonly as: readonly string[];
  readonly by?: string;
  readonly unknown?: true;
  readonly wait?: string;
  readonly out?: string;
  readonly root?: string;
  readonly json?: true;
}

export function registerRevokeAddCommand(parent: Command): void {
  parent
    .command('add')
    .description('revoke something now')
    .argument(
      '<kind>',
      'image, measurement, rule, cpu, key, kid, policy, advisory, ueid, driver, vbios, rim',
    )
    .argument('<value>', 'the name, the digits or the digest')
    .requiredOption('--reason <text>', 'why; published with the list, for everybody to read')
    .requiredOption('--repo <dir>', 'the repository')
    .requiredOption('--as <keyfile>', 'a secret key of the role revocation', collect)
    .option('--by <name>', 'who decided it (default: the name of the key)')
    .option('--unknown', 'a name that no published policy has yet')
    .option('--wait <url>', 'until this gateway has it: its admin listener, on this machine')
    .option('--out <file>', 'where the list goes if others have to sign it too')
    .option(...ROOT_OPTION)
    .option('--json', 'one line of JSON')
    .action((kind: string, value: string, options: AddOptions) => {
      const question = { command: 'revoke add', json: options.json === true };
      return respond(question, (page) => addAnswer(question, { kind, value, ...options }, page));
    });
}

async function addAnswer(
  question: PolicyQuestion,
  options: AddOptions & { readonly kind: string; readonly value: string },
  page: Page,
): Promise<PolicyAnswer> {
  const kind = kindFrom(options.kind);
  const value = valueFrom(kind, options.value, readPinnedRepository(options.repo, options.root));
  const keys = options.as.map(readSigningKey);
  if (options.reason.trim() === '')
    throw cliError('cli.option', '--reason is empty: whoever is denied asks why');
  let entry: DatedRevocation | undefined;
  let remarks: readonly string[] = [];
  const result = await publishList({
    directory: options.repo,
    root: options.root,
    keys,
    roles: ['revocation'],
    now: systemClock,
    out: options.out,
    change: (entries, { state, atMs }: ListContext) => {
      assertNew(entries, { kind, value }, atMs);
      if (options.unknown !== true) assertKnown(kind, value, state);
      remarks = remarksOn(kind, value, state);
      const [first] = keys;
      const signer = first && (nameOfKey(state.root.payload, first.keyid) ?? first.name);
      entry = { kind, value, reason: options.reason, by: options.by ?? signer ?? 'unknown', atMs };
      return [...entries, entry];
    },
  });
  if (result.outcome === 'draft') return draftListAnswer(question, result, options.repo, page);
  const { number } = result;
  const tookMs =
    options.wait === undefined
      ? undefined
      : await untilHeard(options.wait, number, { withinMs: WAIT_MS, now: systemClock });
  if (entry === undefined) throw cliError('cli.file', 'nothing was revoked');
  const { atMs, ...said } = entry;
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      revoked: { ...said, at: formatInstant(atMs) },
      number,
      remarks,
      gatewayTookMs: tookMs ?? null,
    });
  }
  return textAnswer(EXIT.ok, [
    ...facts(
      [
        ['revoked', `${kind} ${value}`],
        ['since', formatInstant(atMs)],
        ['by', said.by],
        ['reason', said.reason],
        ['list', String(number)],
        ['gateway', tookMs === undefined ? undefined : `has it, after ${tookMs} ms`],
        ...remarks.map((text) => ['WARNING', text] as const),
      ],
      page,
    ),
    ...nextSteps(tookMs === undefined ? [`veilgate policy status --repo ${options.repo}`] : []),
  ]);
}

function assertNew(
  entries: readonly DatedRevocation[],
  { kind, value }: Pick<DatedRevocation, 'kind' | 'value'>,
  nowMs: number,
): void {
  const there = entries.find((entry) => entry.kind === kind && entry.value === value);
  if (there === undefined) return;
  const { atMs, by, reason } = there;
  throw refused(
    `it is revoked already, since ${formatInstant(atMs)} (${fromNow(atMs, nowMs)}) by ${by}: ${reason}`,
    'nothing has to be done; "veilgate policy status" says whether gateways know',
  );
}
