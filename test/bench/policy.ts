/**
 * What policies cost a gateway that serves: one judgement, a change under a thousand workers and two hundred streams, the
 * way from a revocation to the last byte of what it revokes, and memory. Gateway, workers and clients are processes of
 * their own. Spec: gpu-and-policy §5.4.
 * @module
 */

import type { ChildProcess } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { sha256 } from '#primitives';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { toHex, type Bytes } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createSnpSimulator } from '../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { Publisher } from '../support/publisher.ts';
import type { Bench, BenchResult } from './bench.ts';
import { evaluationLines, measureEvaluation } from './policy-evaluation.ts';
import {
  GatewayProcess,
  startWorkers,
  type Delay,
  type GatewayState,
  type LiveKey,
} from './policy-lab.ts';
import { GROUPS, isSnp, pkiDirOf, TOKENS_PER_SECOND, WORKERS_PER_GROUP } from './policy-process.ts';
import { percentile, sharedMs, Streams, type Pace } from './policy-streams.ts';

const WORKERS = 1000;
const LIVE = GROUPS * WORKERS_PER_GROUP;
const STREAMS = LIVE * 10;
const WARM_UP_MS = 3000;
const QUIET_MS = 5000;
/** After a change, so that what it leaves behind is seen. */
const AFTERMATH_MS = 500;
const TIMESTAMP_INTERVAL_MS = 15_000;
/** A change or a shadow that takes a second or more is under way then. */
const INTO_CHANGE_MS = 200;
const INTO_SHADOW_MS = 1200;
/** The moments of publication are spread over it: no source asks less often. */
const PHASES_MS = 2000;
const DELAY_TARGET_MS = 20;
const LAST_BYTE_TARGET_MS = 2000;

interface Phase {
  readonly what: string;
  readonly delay: Delay;
  readonly pace: Pace;
  /** From the publication until the gateway says that it holds. */
  readonly tookMs?: number;
  readonly after: Pick<GatewayState, 'serving' | 'benched' | 'rssMiB'>;
  readonly load: number;
}

interface Spread {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

interface Revoked {
  readonly what: string;
  readonly groups: readonly number[];
  /** Then everybody who is left. */
  readonly image?: string;
  readonly before?: () => Promise<void>;
}

interface RevocationFigures {
  readonly what: string;
  readonly rounds: number;
  readonly lastByte: Spread;
  readonly errorFrame: Spread;
  readonly refusal: Spread;
  readonly delay: Delay;
  readonly load: number;
}

/** Everything one run holds on to, for the end. */
class Lab {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'veilgate-bench-'));
  readonly children: ChildProcess[] = [];
  readonly servers: Server[] = [];
  readonly timers: NodeJS.Timeout[] = [];

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    for (const child of this.children) child.kill('SIGKILL');
    for (const server of this.servers) server.closeAllConnections();
    for (const server of this.servers) server.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

function say(text: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
}

async function run(): Promise<BenchResult> {
  say('one judgement');
  const evaluation = await measureEvaluation();
  const lab = new Lab();
  try {
    say('machines and their roots');
    const publisher = new Publisher(join(lab.dataDir, 'published'), await roots(lab.dataDir));
    const policy = publisher.policy();
    publisher.publish(policy);
    publisher.revocations([]);
    lab.timers.push(setInterval(() => publisher.timestamp(), TIMESTAMP_INTERVAL_MS));
    const directory = await measureDirectory(lab, publisher, policy);
    const url = await measureUrl(lab, publisher, policy);
    const revocations = [...directory.revocations, url];
    return {
      figures: { evaluation, ...directory, revocations },
      lines: [
        ...evaluationLines(evaluation),
        '',
        ...phaseLines(directory.phases),
        '',
        ...revocationLines(revocations),
        `RSS of the gateway: ${directory.emptyRssMiB.toFixed(0)} MiB without workers; then as in the rows above`,
      ],
    };
  } finally {
    lab.close();
  }
}

/** One TDX machine for each group and one for the fleet; the SNP machine is in both. */
async function roots(dataDir: string): Promise<readonly Bytes<32>[]> {
  const found: Bytes<32>[] = [];
  for (let machine = 0; machine <= GROUPS; machine++) {
    const pkiDir = pkiDirOf(dataDir, machine);
    const simulator = isSnp(machine)
      ? await createSnpSimulator({ pkiDir })
      : await createSimulator({ pkiDir });
    found.push(simulator.rootSha256());
  }
  return found;
}

interface Serving {
  readonly gateway: GatewayProcess;
  readonly keys: readonly LiveKey[];
  readonly streams: Streams;
  readonly emptyRssMiB: number;
  readonly filled: GatewayState;
}

async function serving(
  lab: Lab,
  policy: CompiledPolicy,
  { rootFile, from }: { readonly rootFile: string; readonly from: string },
): Promise<Serving> {
  const gateway = await GatewayProcess.start(lab.dataDir, rootFile, from);
  lab.children.push(gateway.child);
  const { rssMiB: emptyRssMiB } = await gateway.state();
  const { child, keys } = await startWorkers(gateway, lab.dataDir, policy);
  lab.children.push(child);
  if (keys.length !== LIVE) throw new Error(`${keys.length} of ${LIVE} workers are here`);
  say(`evidence of ${WORKERS - LIVE} workers more`);
  const filled = await gateway.fill(WORKERS - LIVE);
  const streams = new Streams(gateway);
  say(`${filled.serving} workers, ${filled.rssMiB.toFixed(0)} MiB; ${STREAMS} streams`);
  for (const { key, group } of keys) {
    await Promise.all(
      Array.from({ length: STREAMS / LIVE }, async () => await streams.begin(key, group)),
    );
  }
  await pause(WARM_UP_MS);
  return { gateway, keys, streams, emptyRssMiB, filled };
}

async function measureDirectory(lab: Lab, publisher: Publisher, policy: CompiledPolicy) {
  const { rootFile, directory: from } = publisher;
  const subject = await serving(lab, policy, { rootFile, from });
  const { gateway, streams, emptyRssMiB, filled } = subject;
  const phase = async (
    what: string,
    event: string | undefined,
    publish: () => void,
  ): Promise<Phase> => await measurePhase(subject, { what, event, publish });
  const phases = [
    await phase('nothing changes', undefined, () => undefined),
    await phase('a policy that keeps all', 'policy.enforced', () =>
      publisher.publish(publisher.policy()),
    ),
    await phase('a shadow that denies all', 'policy.shadow', () =>
      publisher.candidate(publisher.policy(measuresOther)),
    ),
    await phase('a policy that denies all', 'policy.enforced', () =>
      publisher.publish(publisher.policy(measuresOther)),
    ),
    await phase('a policy that lets all back', 'policy.enforced', () =>
      publisher.publish(publisher.policy()),
    ),
  ];
  const duringChange = async (): Promise<void> => {
    publisher.publish(publisher.policy());
    await pause(INTO_CHANGE_MS);
  };
  const duringShadow = async (): Promise<void> => {
    const startMs = sharedMs();
    publisher.candidate(publisher.policy());
    await gateway.told('policy.enforced', startMs);
    await pause(INTO_SHADOW_MS);
  };
  const revoked = async (what: Revoked) => await measureRevocations(subject, publisher, what);
  const revocations = [
    await revoked({ what: 'a machine, by directory', groups: [0, 1] }),
    await revoked({ what: '… during a change', groups: [2, 3], before: duringChange }),
    await revoked({ what: '… during a shadow', groups: [4, 5], before: duringShadow }),
    await revoked({ what: 'the image of all', groups: [], image: 'veilgate-demo' }),
  ];
  streams.close();
  await gateway.close();
  publisher.revocations([], ['revocation', 'policy']);
  return { emptyRssMiB, filledRssMiB: filled.rssMiB, phases, revocations };
}

/** No image has what the simulators measure. */
function measuresOther(policy: Record<string, Json>): void {
  const text = JSON.stringify(policy['images']).replaceAll(
    /"(mrtd|measurement)":"[0-9a-f]{96}"/g,
    `"$1":"${'ab'.repeat(48)}"`,
  );
  const images: Json = JSON.parse(text);
  policy['images'] = images;
}

async function measurePhase(
  { gateway, streams }: Serving,
  {
    what,
    event,
    publish,
  }: { readonly what: string; readonly event: string | undefined; readonly publish: () => void },
): Promise<Phase> {
  streams.reset();
  const { delay, result: tookMs } = await gateway.delayDuring(async () => {
    const startMs = sharedMs();
    publish();
    if (event === undefined) {
      await pause(QUIET_MS);
      return undefined;
    }
    const atMs = await gateway.told(event, startMs);
    await pause(AFTERMATH_MS);
    return atMs - startMs;
  });
  const pace = streams.pace();
  const { serving: left, benched, rssMiB } = await gateway.state();
  const phase = { what, delay, pace, after: { serving: left, benched, rssMiB }, load: loadNow() };
  say(`${what}: ${tookMs?.toFixed(0) ?? '-'} ms`);
  return tookMs === undefined ? phase : { ...phase, tookMs };
}

function loadNow(): number {
  return loadavg()[0] ?? 0;
}

async function measureUrl(
  lab: Lab,
  publisher: Publisher,
  policy: CompiledPolicy,
): Promise<RevocationFigures> {
  publisher.publish(publisher.policy());
  const server = fileServer(publisher.directory);
  lab.servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const from = `http://127.0.0.1:${port}`;
  const subject = await serving(lab, policy, { rootFile: publisher.rootFile, from });
  const figures = await measureRevocations(subject, publisher, {
    what: 'a machine, by URL',
    groups: Array.from({ length: GROUPS }, (_, index) => index),
  });
  subject.streams.close();
  return figures;
}

/** What any web server does. */
function fileServer(directory: string): Server {
  return createServer((request, response) => {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(join(directory, request.url ?? ''));
    } catch {
      response.writeHead(404).end();
      return;
    }
    const etag = `"${toHex(sha256(bytes))}"`;
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
    else response.writeHead(200, { etag }).end(bytes);
  });
}

interface Round {
  readonly kind: 'cpu' | 'image';
  readonly value: string;
  readonly concerns: (group: number) => boolean;
}

/** One machine after the other. */
async function measureRevocations(
  subject: Serving,
  publisher: Publisher,
  { what, groups, image, before }: Revoked,
): Promise<RevocationFigures> {
  const { gateway, keys } = subject;
  const machines = new Map((await gateway.state()).machines);
  const rounds: Round[] = groups.map((group) => {
    const one = keys.find((live) => live.group === group);
    const value = machines.get(one === undefined ? '' : toHex(one.key.workerId)) ?? '';
    return { kind: 'cpu', value, concerns: (other) => other === group };
  });
  if (image !== undefined) rounds.push({ kind: 'image', value: image, concerns: () => true });
  const { delay, result } = await gateway.delayDuring(async () => {
    const found: Found[] = [];
    for (const round of rounds) {
      await before?.();
      found.push(await measureRound(subject, publisher, round));
      // Whoever asks at an interval has just asked: the next one comes at another moment of its interval.
      await pause(PHASES_MS * ((found.length - 0.5) / rounds.length));
    }
    return found;
  });
  const spread = (pick: (found: Found) => readonly number[]) => spreadOf(result.flatMap(pick));
  say(`revoked: ${what}`);
  return {
    what,
    rounds: rounds.length,
    lastByte: spread((found) => found.lastByteMs),
    errorFrame: spread((found) => found.errorFrameMs),
    refusal: spread((found) => [found.refusalMs]),
    delay,
    load: loadNow(),
  };
}

interface Found {
  readonly lastByteMs: readonly number[];
  readonly errorFrameMs: readonly number[];
  readonly refusalMs: number;
}

async function measureRound(
  { streams, keys }: Serving,
  publisher: Publisher,
  { kind, value, concerns }: Round,
): Promise<Found> {
  const cut = streams.open.filter(({ group }) => concerns(group));
  const others = streams.open.length - cut.length;
  const [asked] = keys.filter(({ group }) => concerns(group)).slice(-1);
  if (asked === undefined || cut.length === 0) throw new Error('nobody to revoke');
  const refusal = streams.firstRefusal(asked.key);
  // Before the signature and the rename: what is measured is a little more than the way from the rename.
  const startMs = sharedMs();
  publisher.revoke({ kind, value });
  const refusalMs = (await refusal) - startMs;
  while (cut.some(({ endedMs }) => endedMs === undefined)) await pause(10);
  if (streams.open.length < others) throw new Error('a stream was cut that is not concerned');
  return {
    lastByteMs: cut.map(({ lastDataMs }) => Math.max(0, lastDataMs - startMs)),
    errorFrameMs: cut.map(({ errorFrameMs }) => (errorFrameMs ?? Infinity) - startMs),
    refusalMs,
  };
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  return {
    samples: sorted.length,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? 0,
  };
}

function phaseLines(phases: readonly Phase[]): readonly string[] {
  const [quiet] = phases;
  return [
    `${WORKERS} workers, half TDX and half SNP, ${STREAMS} sealed streams of ${TOKENS_PER_SECOND} tokens a second over ${LIVE} of them`,
    `${''.padEnd(28)}  in force  event loop p50/p99/max ms     tokens/s  gap p99/max ms  serving/benched     RSS  load`,
    ...phases.map(({ what, delay, pace, tookMs, after, load }) =>
      [
        what.padEnd(28),
        tookMs === undefined ? '       -' : `${tookMs.toFixed(0).padStart(5)} ms`,
        `${delay.p50Ms.toFixed(1)} / ${delay.p99Ms.toFixed(1)} / ${delay.maxMs.toFixed(0)}${ratio(delay, quiet)}`.padEnd(
          30,
        ),
        pace.tokensPerSecond.toFixed(0).padStart(8),
        `${pace.gapP99Ms.toFixed(0)} / ${pace.gapMaxMs.toFixed(0)}`.padStart(14),
        `${after.serving} / ${after.benched}`.padStart(15),
        `${after.rssMiB.toFixed(0)} MiB`.padStart(8),
        load.toFixed(1).padStart(5),
      ].join('  '),
    ),
    `event loop: target p99 ${DELAY_TARGET_MS} ms; the factor is to the first row`,
  ];
}

function ratio({ p99Ms }: Delay, quiet: Phase | undefined): string {
  if (quiet === undefined || quiet.delay.p99Ms === p99Ms) return '';
  const missed = p99Ms <= DELAY_TARGET_MS ? '' : ', missed';
  return ` (${(p99Ms / quiet.delay.p99Ms).toFixed(1)}×${missed})`;
}

function revocationLines(rows: readonly RevocationFigures[]): readonly string[] {
  const spread = ({ p50Ms, p99Ms, maxMs }: Spread) =>
    [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(0)).join(' / ');
  return [
    `${'revoked: p50/p99/max ms'.padEnd(28)}  streams  last byte           error frame         first refusal       event loop p99  load`,
    ...rows.map(({ what, rounds, lastByte, errorFrame, refusal, delay, load }) =>
      [
        `${what}, ${rounds}x`.padEnd(28),
        String(lastByte.samples).padStart(7),
        spread(lastByte).padEnd(18),
        spread(errorFrame).padEnd(18),
        spread(refusal).padEnd(18),
        `${delay.p99Ms.toFixed(1)} ms`.padStart(14),
        load.toFixed(1).padStart(4),
        lastByte.p99Ms <= LAST_BYTE_TARGET_MS ? '' : 'missed',
      ].join('  '),
    ),
    `last byte: target p99 ${LAST_BYTE_TARGET_MS} ms`,
  ];
}

export const bench: Bench = {
  name: 'policy',
  summary: 'one judgement, a change under load, revocation to last byte, memory of 1,000 workers',
  run,
};
