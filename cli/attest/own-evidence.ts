/**
 * `veilgate attest gateway URL`: what a gateway in a TEE shows of itself, whether a policy lets it hold plaintext, and whether
 * connections end in the key that its machine vouches for. Exit status as of the other commands.
 * Spec: docs/attested-gateway.md "Looking at a gateway".
 * @module
 */

import type { Command } from 'commander';
import { randomBytes, sha256 } from '#primitives';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { hasCode, VeilError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { errorLine, jsonLine, outputLine, paint } from '../../core/node/terminal.ts';
import { appraiseGateway } from '../../attestation/gateway/appraise-gateway.ts';
import type { GatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import {
  verifyGatewayStatement,
  type Expected,
} from '../../attestation/gateway/gateway-statement-checks.ts';
import {
  parseGatewayStatement,
  type GatewayStatement,
} from '../../attestation/gateway/gateway-statement.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { describeFindings } from '../../attestation/policy/explain.ts';
import { holds } from '../../attestation/policy/rule-check.ts';
import { teeOf } from '../../attestation/tees.ts';
import type { Check, Verdict } from '../../attestation/verdict.ts';
import { fetchGatewayEvidence } from '../../client/attested/attested-directory.ts';
import { DOCUMENT_TIMEOUT_MS } from '../../client/limits.ts';
import { documentFetch } from '../../client/node/pool-fetch.ts';
import { gatewayUrlOf } from '../../client/open-session.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { readRoot } from './gather.ts';
import { EXIT } from './run.ts';
import { printable } from './text.ts';

interface Options {
  readonly policy?: string;
  readonly aud?: string;
  readonly root?: string;
  readonly challenge?: true;
  readonly json?: true;
}

const HELP = `
Asks for /.well-known/veilgate/evidence and opens a second connection that has
to end in the TLS key of the statement. Without --policy nothing says that this
software may hold plaintext: the answer is undecided at best.

Exit status: 0 accepted; 1 rejected; 2 wrong usage; 3 no evidence, or no policy.`;

export function registerOwnEvidence(attest: Command): void {
  attest
    .command('gateway')
    .description('look at the evidence of a gateway that is in a TEE itself')
    .argument('<url>', 'of the gateway: https, or http on this machine')
    .option('--policy <path>', 'judge it by the section "gateways" of this policy')
    .option('--aud <identity>', 'the gateway that it has to be (gw1.…)')
    .option('--root <file>', 'without a policy: trust this development root too')
    .option('--challenge', 'have it answer a new challenge')
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
}

const STATUS = { accepted: EXIT.accepted, rejected: EXIT.rejected, undecided: EXIT.unjudged };

async function run(url: string, options: Options): Promise<void> {
  try {
    const found = await look(url, options);
    const lines = options.json === true ? [jsonLine(foundJson(found))] : foundLines(found);
    for (const line of lines) outputLine(line);
    process.exitCode = STATUS[found.outcome];
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const isUsage = error.code === 'client.option' || error.code === 'client.insecure_url';
    process.exitCode = isUsage ? EXIT.usage : EXIT.unjudged;
    errorLine(printable(`veilgate: ${error.message}`));
  }
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
    const verdict = policy === undefined ? unjudged(asked) : judged(policy, asked);
    const statement = statementOf(evidence);
    const key = await keyCheck(origin, isSecure, statement);
    const checks = [...verdict.checks, key];
    const outcome = !checks.every(holds)
      ? 'rejected'
      : policy === undefined
        ? 'undecided'
        : 'accepted';
    return { origin, nowMs, statement, verdict: { ...verdict, checks }, outcome };
  } finally {
    await pool.destroy();
  }
}

interface AskedOf {
  readonly evidence: GatewayEvidence;
  readonly options: Options;
  readonly challenge: Bytes<32> | undefined;
  readonly hostname: string;
  readonly nowMs: number;
}

function expectedAud({ options: { aud } }: AskedOf): Expected<string> {
  if (aud !== undefined) return { equals: aud };
  return { waived: 'taken as it says; pin it with --aud', by: '--aud (not given)' };
}

function judged(policy: CompiledPolicy, asked: AskedOf): Verdict {
  const { evidence, challenge, hostname, nowMs } = asked;
  return appraiseGateway({
    evidence,
    policy,
    nowMs,
    aud: expectedAud(asked),
    host: { equals: hostname },
    ...(challenge === undefined ? {} : { challenge }),
    revocations: { waived: 'this command knows no list', by: 'veilgate attest gateway' },
  }).verdict;
}

/** The machine is genuine and the statement its own; what runs there is compared with nothing. */
function unjudged(asked: AskedOf): Found['verdict'] {
  const { evidence, options, challenge, hostname, nowMs } = asked;
  const tee = teeOf(evidence.machine.tee);
  const simulatedRoots = options.root === undefined ? [] : [readRoot(options.root).sha256];
  const finding = tee.verify({ evidence: evidence.machine, nowMs, simulatedRoots, caches: {} });
  const { checks } = verifyGatewayStatement({
    bytes: evidence.statement,
    reportData: finding.reportData,
    expected: {
      tee: tee.name,
      aud: expectedAud(asked),
      host: { equals: hostname },
      nonce:
        challenge === undefined
          ? { waived: 'none was set', by: '--challenge (not given)' }
          : { equals: challenge },
    },
    nowMs,
  });
  const { warnings, simulated, validUntilMs, platform, tcbStatus } = finding;
  return {
    checks: [...finding.checks, ...checks],
    warnings,
    simulated,
    validUntilMs,
    ...(platform === undefined ? {} : { platform }),
    ...(tcbStatus === undefined ? {} : { tcbStatus }),
  };
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
