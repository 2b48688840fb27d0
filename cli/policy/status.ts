/**
 * `veilgate policy status`: what is in force by this repository, what is wrong with it, and what a gateway has of it. Exit
 * status: 0 all is well, 1 readers would deny or soon will, 2 wrong usage, 3 it cannot be read.
 * @module
 */

import type { Command } from 'commander';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { freshness } from '../../attestation/publication/freshness.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
import type { Page } from '../attest/text.ts';
import { adviceFor } from '../publication/advice.ts';
import { policyInForce } from '../publication/bundle-checks.ts';
import { policyDigestText, policyNameOf } from '../publication/documents.ts';
import { askGateway, type GatewayView } from '../publication/gateway-view.ts';
import { DAY_MS, fromNow, spanText } from '../publication/lifetime.ts';
import { ownState, readByNewcomer, type OwnState } from '../publication/own-state.ts';
import { readRepository } from '../publication/repository.ts';
import { rootWarnings } from '../publication/root-options.ts';
import { facts } from '../publication/rows.ts';
import { shareText } from '../publication/show-document.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';

const ASK_WITHIN_MS = 10_000;
const SOON_MS = 14 * DAY_MS;
/** Where the policy does not say how old the word may be. */
const AGE_DEFAULT_MS = 60_000;

interface StatusOptions {
  readonly repo: string;
  readonly gateway?: string;
  readonly json?: true;
}

export function registerStatusCommand(parent: Command): void {
  parent
    .command('status')
    .description('say what is in force, and whether gateways can know it')
    .requiredOption('--repo <dir>', 'the repository')
    .option('--gateway <url>', 'the admin listener of a gateway on this machine')
    .option('--json', 'one line of JSON')
    .action((options: StatusOptions) => {
      const question = { command: 'status', json: options.json === true };
      return respond(question, (page) => statusAnswer(question, options, page));
    });
}

async function statusAnswer(
  question: PolicyQuestion,
  { repo, gateway }: StatusOptions,
  page: Page,
): Promise<PolicyAnswer> {
  const nowMs = systemClock();
  const files = readRepository(repo);
  const own = ownState(files, nowMs);
  const newcomer = readByNewcomer(files, nowMs);
  const view =
    gateway === undefined
      ? undefined
      : await askGateway(gateway, AbortSignal.timeout(ASK_WITHIN_MS));
  const problems = [
    ...problemsOf(own, repo, nowMs),
    ...newcomer.refused
      .filter(({ code }) => own.refused.every((known) => known.code !== code))
      .map((it) => ({
        what: `a gateway that starts now refuses the ${it.document}: ${it.code}: ${it.detail}`,
        next: adviceFor(it, repo),
      })),
    ...(view === undefined ? [] : gatewayProblems(view, own.state, repo)),
  ];
  const status = problems.length === 0 ? EXIT.ok : EXIT.findings;
  const warnings = rootWarnings(own.state.root.payload, nowMs);
  if (question.json) {
    return jsonAnswer(question, status, {
      ...jsonOf(own.state, nowMs),
      warnings,
      problems,
      gateway: view ?? null,
    });
  }
  return textAnswer(status, [
    ...facts([...rowsOf(own.state, nowMs), ...(view === undefined ? [] : gatewayRows(view))], page),
    ...(warnings.length + problems.length === 0 ? [] : ['']),
    ...facts(
      [
        ...warnings.map((text) => ['warning', text] as const),
        ...problems.flatMap(({ what, next }) => [
          ['PROBLEM', what] as const,
          ['  next', next] as const,
        ]),
      ],
      page,
    ),
    ...(problems.length === 0 ? ['', paint('green', 'all is well')] : []),
  ]);
}

interface Problem {
  readonly what: string;
  readonly next: string;
}

function problemsOf({ state, refused }: OwnState, repo: string, nowMs: number): readonly Problem[] {
  const problems: Problem[] = refused.map((it) => ({
    what: `readers refuse the ${it.document}: ${it.code}: ${it.detail}`,
    next: adviceFor(it, repo),
  }));
  const policy = policyInForce(state);
  if (policy === undefined) {
    problems.push({
      what: 'no policy is in force: gateways admit nobody',
      next: `veilgate policy publish --repo ${repo} --bundle FILE --as release.key`,
    });
  } else {
    problems.push(...expiryProblems(policyNameOf(policy), policy.document.expires, nowMs));
    problems.push(...revokedProblems(policy, state, repo));
  }
  if (state.revocations === undefined) {
    problems.push({
      what: 'no list of revocations is published: gateways admit nobody',
      next: `veilgate policy repo init --repo ${repo} --as revocation.key`,
    });
  }
  const fresh = freshness(state, ageMs(state), nowMs);
  if (!fresh.fresh && state.release !== undefined && state.revocations !== undefined) {
    problems.push({
      what: `gateways admit nobody: ${STALE[fresh.why]}`,
      next: `veilgate revoke timestamp --repo ${repo} --as timestamp.key`,
    });
  }
  return problems;
}

function revokedProblems(
  policy: CompiledPolicy,
  { revocations }: PublicationState,
  repo: string,
): readonly Problem[] {
  const entry = revocations?.set.find('policy', policyDigestText(policy));
  if (entry === undefined) return [];
  return [
    {
      what: `${policyNameOf(policy)} is revoked by ${entry.by} (${entry.reason}): gateways admit nobody`,
      next: `veilgate policy publish --repo ${repo} --bundle FILE --as release.key`,
    },
  ];
}

const STALE = {
  no_timestamp: 'there is no timestamp',
  clock: 'the clock of this machine is behind what was signed',
  stale: 'the newest timestamp is too old',
  equivocation: 'the timestamp names other contents than lie here under the same number',
  behind: 'the timestamp names something newer than lies here',
  unconfirmed: 'no timestamp names this list of revocations yet',
} as const;

function expiryProblems(name: string, expiresMs: number, nowMs: number): readonly Problem[] {
  if (expiresMs - nowMs >= SOON_MS) return [];
  const what =
    nowMs < expiresMs
      ? `${name} expires ${fromNow(expiresMs, nowMs)}`
      : `${name} expired ${fromNow(expiresMs, nowMs)}: gateways admit nobody`;
  return [
    { what, next: 'renew issued and expires under a higher serial, have it signed, publish it' },
  ];
}

/** As short as the gateways' rule says. */
function ageMs(state: PublicationState): number {
  const rule = policyInForce(state)?.document.limits.revocation_age;
  return rule === undefined || 'any' in rule ? AGE_DEFAULT_MS : rule.gateway;
}

type Rows = readonly (readonly [label: string, text: string | undefined])[];

function rowsOf(state: PublicationState, nowMs: number): Rows {
  const { root, release, revocations, timestamp } = state;
  const policy = policyInForce(state);
  const candidate = release?.candidate?.document.payload.policy;
  const named = release?.document.payload;
  const list = revocations?.document.payload;
  const until = (ms: number): string => `${formatInstant(ms)} (${fromNow(ms, nowMs)})`;
  return [
    ['policy', root.payload.policy],
    ['root', `${root.payload.version}, expires ${until(root.payload.expiresMs)}`],
    [
      'in force',
      policy === undefined ? 'nothing' : `${policyNameOf(policy)} ${policyDigestText(policy)}`,
    ],
    ['', policy && `expires ${until(policy.document.expires)}`],
    [
      'candidate',
      candidate === undefined
        ? 'none'
        : `${policyNameOf(candidate)} ${policyDigestText(candidate)}`,
    ],
    ['', candidate && shareText(named?.candidate?.share ?? 0)],
    [
      'release',
      named === undefined ? 'none' : `${named.number}, ${fromNow(named.issuedMs, nowMs)}`,
    ],
    [
      'revocations',
      list === undefined
        ? 'none'
        : `list ${list.number} with ${countText(list.entries.length)}, ${fromNow(list.issuedMs, nowMs)}`,
    ],
    [
      'timestamp',
      timestamp === undefined
        ? 'none'
        : `${spanText(Math.max(0, nowMs - timestamp.document.payload.timeMs))} old (gateways take ${spanText(ageMs(state))})`,
    ],
  ];
}

function countText(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`;
}

function gatewayRows({ policy, publication }: GatewayView): Rows {
  return [
    [
      'gateway',
      policy === null ? 'has no policy' : `has ${policy.name}#${policy.serial} ${policy.digest}`,
    ],
    [
      '',
      publication === null
        ? 'unsigned development policy'
        : `root ${publication.root ?? '-'}, release ${publication.release ?? '-'}, revocations ${publication.revocations ?? '-'}, timestamp ${publication.timestamp ?? '-'}`,
    ],
  ];
}

function gatewayProblems(
  view: GatewayView,
  state: PublicationState,
  repo: string,
): readonly Problem[] {
  const { stale, troubles = [] } = view;
  const next =
    'see that "veilgate revoke timestamp" runs, and that the gateway reads this repository';
  return [
    ...(typeof stale === 'string' ? [{ what: `the gateway admits nobody: ${stale}`, next }] : []),
    ...troubles.map(({ what, code, since }) => ({
      what: `the gateway has trouble with ${what} since ${since}: ${code}`,
      next: adviceFor({ code }, repo),
    })),
    ...lagging(view, state),
  ];
}

function lagging({ publication }: GatewayView, state: PublicationState): readonly Problem[] {
  if (publication === null) {
    return [
      {
        what: 'the gateway has an unsigned policy',
        next: 'configure it with this repository and root',
      },
    ];
  }
  const pairs = [
    ['root', publication.root, state.root.payload.version],
    ['release', publication.release, state.release?.document.payload.number ?? 0],
    ['revocations', publication.revocations, state.revocations?.document.payload.number ?? 0],
  ] as const;
  return pairs.flatMap(([name, has, want]) =>
    (has ?? 0) >= want
      ? []
      : [
          {
            what: `the gateway has not caught up: ${name} ${has ?? 'none'}, published is ${want}`,
            next: 'see that it reads this repository; its log says what it refused',
          },
        ],
  );
}

function jsonOf(state: PublicationState, nowMs: number): object {
  const { root, release, revocations, timestamp } = state;
  const named = release?.document.payload;
  const policyJson = (policy: ReturnType<typeof policyInForce>): object | null =>
    policy === undefined
      ? null
      : {
          name: policy.document.name,
          serial: policy.document.serial,
          digest: policyDigestText(policy),
          expires: formatInstant(policy.document.expires),
        };
  const candidate = policyJson(release?.candidate?.document.payload.policy);
  const fresh = freshness(state, ageMs(state), nowMs);
  return {
    policy: root.payload.policy,
    root: { version: root.payload.version, expires: formatInstant(root.payload.expiresMs) },
    current: policyJson(policyInForce(state)),
    candidate: candidate && { ...candidate, share: named?.candidate?.share ?? 0 },
    release: named?.number ?? null,
    revocations: revocations?.document.payload.number ?? null,
    timestamp: timestamp === undefined ? null : formatInstant(timestamp.document.payload.timeMs),
    fresh: fresh.fresh ? true : fresh.why,
  };
}
