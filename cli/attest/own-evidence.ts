/**
 * `veilgate attest gateway URL`: what a gateway in a TEE shows of itself, whether a policy lets it hold plaintext, and whether
 * connections end in the key that its machine vouches for. Exit status as of the other commands.
 * Spec: docs/attested-gateway.md "Looking at a gateway".
 * @module
 */

import type { Command } from 'commander';
import { randomBytes, sha256 } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { hasCode, VeilError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { errorLine, jsonLine, outputLine, paint } from '../../core/node/terminal.ts';
import type { GatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import {
  parseGatewayStatement,
  type GatewayStatement,
} from '../../attestation/gateway/gateway-statement.ts';
import { describeFindings } from '../../attestation/policy/explain.ts';
import { holds } from '../../attestation/policy/rule-check.ts';
import type { Check, Verdict } from '../../attestation/verdict.ts';
import { fetchGatewayEvidence } from '../../client/attested/attested-directory.ts';
import { DOCUMENT_TIMEOUT_MS } from '../../client/limits.ts';
import { documentFetch } from '../../client/node/pool-fetch.ts';
import { gatewayUrlOf } from '../../client/open-session.ts';
import { cliError } from '../errors.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { draftOwn, type DraftedOwn } from './draft-own.ts';
import { judged, unjudged, type Unjudged } from './judge-own.ts';
import { EXIT } from './run.ts';
import { printable } from './text.ts';

interface Options {
  readonly policy?: string;
  readonly aud?: string;
  readonly root?: string;
  readonly challenge?: true;
  readonly draft?: true;
  readonly json?: true;
}

const HELP = `
Asks for /.well-known/veilgate/evidence and opens a second connection that has
to end in the TLS key of the statement. Without --policy nothing says that this
software may hold plaintext: the answer is undecided at best.

--draft: where machine, statement and key hold, the section of a policy that
lets this gateway read prompts. It was tried on the evidence before it is
printed; whether the release is one to trust is for a person to say.

Exit status: 0 accepted, or drafted; 1 rejected; 2 wrong usage; 3 no evidence, or no policy.`;

export function registerOwnEvidence(attest: Command): void {
  attest
    .command('gateway')
    .description('look at the evidence of a gateway that is in a TEE itself')
    .argument('<url>', 'of the gateway: https, or http on this machine')
    .option('--policy <path>', 'judge it by the section "gateways" of this policy')
    .option('--aud <identity>', 'the gateway that it has to be (gw1.…)')
    .option('--root <file>', 'without a policy: trust this development root too')
    .option('--challenge', 'have it answer a new challenge')
    .option('--draft', 'print a section "gateways" that admits it, to be added to a policy')
    .option('--json', 'one line of JSON')
    .addHelpText('after', HELP)
    .action(run);
}

interface Found {
  readonly origin: string;
  readonly nowMs: number;
  readonly statement: GatewayStatement | undefined;
  readonly verdict: Pick<Verdict, 'checks' | 'warnings' | 'simulated' | 'validUntilMs'> &
    Partial<Verdict>;
  readonly outcome: 'accepted' | 'rejected' | 'undecided';
  /** Where one was asked for. */
  readonly draft?: DraftedOwn;
}

const STATUS = { accepted: EXIT.accepted, rejected: EXIT.rejected, undecided: EXIT.unjudged };

async function run(url: string, options: Options): Promise<void> {
  try {
    if (options.draft === true && options.policy !== undefined) {
      throw cliError('cli.option', '--draft makes what --policy would judge by: leave one out');
    }
    const found = await look(url, options);
    if (found.draft?.outcome === 'drafted') return say(found, found.draft.section, options);
    const lines = options.json === true ? [jsonLine(foundJson(found))] : foundLines(found);
    for (const line of lines) outputLine(line);
    process.exitCode = STATUS[found.outcome];
    if (options.draft === true) errorLine(`veilgate: no draft: ${whyNot(found)}`);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const isUsage = USAGE_CODES.includes(error.code);
    process.exitCode = isUsage ? EXIT.usage : EXIT.unjudged;
    errorLine(printable(`veilgate: ${error.message}`));
  }
}

function whyNot({ verdict: { checks } }: Found): string {
  const isForeign = checks.some(({ id, outcome }) => outcome === 'fail' && FOREIGN.test(id));
  return `what failed stands above${isForeign ? '; a simulated machine needs the root that it ends in: --root FILE' : ''}`;
}

const FOREIGN = /^(pck|chain)\.root$/;

const USAGE_CODES: readonly string[] = ['client.option', 'client.insecure_url', 'cli.option'];

function say({ origin }: Found, section: string, { json }: Options): void {
  process.exitCode = EXIT.accepted;
  if (json === true) outputLine(jsonLine({ format: 'veilgate.gateway-draft/1', origin, section }));
  else for (const line of section.trimEnd().split('\n')) outputLine(line);
}

async function look(url: string, options: Options): Promise<Found> {
  const { origin, hostname, protocol } = new URL(gatewayUrlOf(url));
  const policy = options.policy === undefined ? undefined : readPolicy(options.policy);
  const isChallenged =
    options.challenge === true || policy?.document.gateways?.challenge === 'required';
  const challenge = isChallenged ? randomBytes(32) : undefined;
  const isSecure = protocol === 'https:';
  const pool = createPinnedPool({ origin, trust: { kind: isSecure ? 'nobody' : 'loopback' } });
  try {
    const { evidence } = await fetchGatewayEvidence({
      fetch: documentFetch(pool),
      origin,
      challenge,
      signal: AbortSignal.timeout(DOCUMENT_TIMEOUT_MS),
    });
    const nowMs = systemClock();
    const asked = { evidence, options, policy, challenge, hostname, nowMs };
    const verdict: Unjudged = policy === undefined ? unjudged(asked) : judged(policy, asked);
    const statement = statementOf(evidence);
    const key = await keyCheck(origin, isSecure, statement);
    const checks = [...verdict.checks, key];
    const outcome = !checks.every(holds)
      ? 'rejected'
      : policy === undefined
        ? 'undecided'
        : 'accepted';
    const found = { origin, nowMs, statement, verdict: { ...verdict, checks }, outcome } as const;
    const { facts } = verdict;
    if (options.draft !== true || outcome !== 'undecided') return found;
    if (facts === undefined || statement === undefined) return found;
    const draft = draftOwn(asked, {
      facts,
      statement,
      origin,
      isSimulated: verdict.simulated,
    });
    if (draft.outcome === 'drafted') return { ...found, draft };
    return { ...found, verdict: draft.verdict, outcome: 'rejected', draft };
  } finally {
    await pool.destroy();
  }
}

function statementOf({ statement }: GatewayEvidence): GatewayStatement | undefined {
  try {
    return parseGatewayStatement(statement);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // said by the check of its form
  }
}

/** Whether somebody who connects now reaches the key of the statement. */
async function keyCheck(
  origin: string,
  isSecure: boolean,
  statement: GatewayStatement | undefined,
): Promise<Check> {
  const id = 'gateway.key';
  if (statement === undefined) return { id, outcome: 'skipped', because: 'statement.json' };
  if (!isSecure) {
    return { id, outcome: 'waived', by: 'the URL', note: 'clear text has no key to compare' };
  }
  const { spkiSha256 } = statement.keys.tls;
  const pool = createPinnedPool({ origin, trust: { kind: 'spki', sha256: [spkiSha256] } });
  try {
    await fetchBytes(pool, {
      method: 'GET',
      path: '/healthz',
      headers: {},
      maxBytes: HEALTH_MAX_BYTES,
      timeoutMs: DOCUMENT_TIMEOUT_MS,
    });
    return { id, outcome: 'pass' };
  } catch (error) {
    if (!hasCode(error, 'http.pin')) throw error;
    return { id, outcome: 'fail', want: toHex(spkiSha256), got: 'a connection to another key' };
  } finally {
    await pool.destroy();
  }
}

const HEALTH_MAX_BYTES = 65_536;
const WORDS = { accepted: 'ACCEPTED', rejected: 'REJECTED', undecided: 'UNDECIDED, NO POLICY' };
const COLOURS = { accepted: 'green', rejected: 'red', undecided: 'yellow' } as const;
const NAME_CHARS = 12;

function foundLines({ origin, nowMs, statement, verdict, outcome }: Found): readonly string[] {
  const facts: (readonly [name: string, value: string])[] = [
    ['as of', formatInstant(Math.floor(nowMs / MS_PER_S) * MS_PER_S)],
    ['machine', machineText(verdict)],
  ];
  if (statement !== undefined) {
    const { aud, hosts, iat, exp, keys, workload } = statement;
    facts.push(
      ['gateway', aud],
      ['hosts', hosts.join(', ')],
      ['statement', `${formatInstant(iat * MS_PER_S)} to ${formatInstant(exp * MS_PER_S)}`],
      ['TLS key', `sha256:${toHex(keys.tls.spkiSha256)}`],
      ['revoke as', `key ${revokedAs(statement)}`],
      ['ledger keys', keys.ledger.map(toHex).join(', ') || 'none'],
      ['image', verdict.image ?? `sha256:${toHex(workload.image)}`],
    );
  }
  const { policy } = verdict;
  if (policy !== undefined) facts.push(['policy', `${policy.name} serial ${policy.serial}`]);
  return [
    `${paint(COLOURS[outcome], paint('bold', WORDS[outcome]))}  ${printable(origin)}`,
    ...facts.map(([name, value]) => `  ${name.padEnd(NAME_CHARS)}${printable(value)}`),
    ...describeFindings(verdict).map(printable),
  ];
}

const MS_PER_S = 1000;

/** By what `veilgate revoke add key` names a gateway. */
function revokedAs({ keys }: GatewayStatement): string {
  return toHex(sha256(keys.identity));
}

/** Who it is stands only in certificates that were verified. */
function machineText({ simulated, platform }: Found['verdict']): string {
  if (platform === undefined) return 'not proven';
  return simulated ? 'SIMULATED, for development: protects nothing' : platform.tee;
}

function foundJson({ origin, nowMs, statement, verdict, outcome }: Found): Json {
  return {
    format: 'veilgate.gateway-attestation/1',
    outcome,
    origin,
    judgedAt: formatInstant(nowMs),
    simulated: verdict.platform === undefined ? null : verdict.simulated,
    statement: statement === undefined ? null : statementJson(statement),
    policy:
      verdict.policy === undefined
        ? null
        : {
            name: verdict.policy.name,
            serial: verdict.policy.serial,
            digest: `sha256:${toHex(verdict.policy.digest)}`,
          },
    rule: verdict.rule ?? null,
    image: verdict.image ?? null,
    tcbStatus: verdict.tcbStatus ?? null,
    checks: verdict.checks.map((check) => ({ ...check })),
  };
}

function statementJson({
  aud,
  hosts,
  iat,
  exp,
  nonce,
  tee,
  keys,
  workload,
}: GatewayStatement): Json {
  return {
    aud,
    hosts,
    issuedAt: formatInstant(iat * MS_PER_S),
    expiresAt: formatInstant(exp * MS_PER_S),
    challenge: nonce === null ? null : toHex(nonce),
    tee,
    identity: toHex(keys.identity),
    tlsSpkiSha256: toHex(keys.tls.spkiSha256),
    ledgerKeys: keys.ledger.map(toHex),
    workload: { image: toHex(workload.image), config: toHex(workload.config) },
  };
}
