/**
 * The processes around the policy benchmark, each told by messages what to do: `gateway`, whose registry is filled with
 * workers that nothing is sent to but whose evidence is judged like everybody's, and `workers`, which serve endless sealed
 * streams. @module
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { z } from 'zod';
import { generateEd25519, randomBytes, sha256 } from '#primitives';
import { appraiseApart } from '../../attestation/appraise.ts';
import { encodeCard, parseCard } from '../../attestation/card.ts';
import { decodeEvidence, encodeEvidence } from '../../attestation/evidence.ts';
import { parseStatement } from '../../attestation/statement.ts';
import { newCaches } from '../../attestation/tees.ts';
import { utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { decodeConfig } from '../../core/node/config.ts';
import type { EvidenceProvider } from '../../enclave-worker/evidence/provider.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createSnpSimulator } from '../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { makeEpoch, makeLinkKey } from '../../enclave-worker/keys.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { createGateway, type Gateway } from '../../gateway/app.ts';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import type { WorkerLink } from '../../gateway/workers/link.ts';
import { publishUntilOf } from '../../gateway/workers/register.ts';
import type { LiveWorker } from '../../gateway/workers/registry.ts';
import { labConfig } from '../support/gateway-lab.ts';
import {
  demoCard,
  DEMO_WORKLOAD,
  receiptOf,
  startSxWorker,
  type Script,
} from '../support/sx-worker.ts';

/** As many as a policy takes roots for, less the fleet's. Machines of their own, so that each can be revoked alone; the last one is SNP and shared with half of the fleet. */
export const GROUPS = 7;
export const WORKERS_PER_GROUP = 3;
const LIFETIME_S = 3600;

export function pkiDirOf(dataDir: string, machine: number): string {
  return join(dataDir, `machine-${machine}`);
}

export function isSnp(group: number): boolean {
  return group === GROUPS - 1;
}

async function providerOf(dataDir: string, machine: number): Promise<EvidenceProvider> {
  const pkiDir = pkiDirOf(dataDir, machine);
  return isSnp(machine) ? await createSnpSimulator({ pkiDir }) : await createSimulator({ pkiDir });
}

const COMMAND = z.discriminatedUnion('do', [
  z.strictObject({ id: z.int(), do: z.literal('fill'), count: z.int() }),
  z.strictObject({ id: z.int(), do: z.literal('watch') }),
  z.strictObject({ id: z.int(), do: z.literal('delay') }),
  z.strictObject({ id: z.int(), do: z.literal('state') }),
  z.strictObject({ id: z.int(), do: z.literal('close') }),
]);
type Command = z.output<typeof COMMAND>;

function answer(message: object): void {
  process.send?.(message);
}

/** On the clock that processes of one machine share. */
function sharedMs(): number {
  return performance.timeOrigin + performance.now();
}

/** What the benchmark waits for is told when the gateway says it. */
const TOLD = ['policy.enforced', 'policy.revoked', 'policy.shadow', 'worker.returned'] as const;

function tellOf(line: string): void {
  const event = TOLD.find((name) => line.includes(`"${name}"`));
  if (event !== undefined) answer({ event, atMs: sharedMs() });
}

const DELAY_RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;

async function gatewayProcess(dataDir: string, rootFile: string, from: string): Promise<void> {
  const source = from.startsWith('http') ? { url: from } : { directory: from };
  const config = decodeConfig(
    GATEWAY_CONFIG,
    labConfig(dataDir, '', {
      policyFile: null,
      publication: { rootFile, ...source, allowDevelopment: true },
      accounts: { requestsPerMinute: 10_000_000, concurrencyMax: 4096 },
    }),
  );
  const logDestination = {
    write: (line: string): void => {
      process.stderr.write(line);
      tellOf(line);
    },
  };
  const gateway = await createGateway({ config, logDestination });
  const { httpPort } = await gateway.listen();
  const { apiKey } = createApiKey(gateway.store, 'bench', systemClock());
  const fleet = new Fleet(gateway, dataDir);
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  process.on('message', (message) => {
    void obey(COMMAND.parse(message), { gateway, fleet, delay });
  });
  answer({ ready: { port: httpPort, aud: gateway.aud, apiKey } });
}

interface Parts {
  readonly gateway: Gateway;
  readonly fleet: Fleet;
  readonly delay: ReturnType<typeof monitorEventLoopDelay>;
}

async function obey(command: Command, { gateway, fleet, delay }: Parts): Promise<void> {
  const { id } = command;
  if (command.do === 'fill') {
    await fleet.fill(command.count);
  } else if (command.do === 'watch') {
    delay.reset();
    delay.enable();
  } else if (command.do === 'delay') {
    delay.disable();
    const [p50, p99] = [delay.percentile(50), delay.percentile(99)];
    answer({ id, p50Ms: p50 / NS_PER_MS, p99Ms: p99 / NS_PER_MS, maxMs: delay.max / NS_PER_MS });
    return;
  } else if (command.do === 'close') {
    await gateway.close();
    process.send?.({ id }, () => process.exit());
    return;
  }
  answer({ id, ...stateOf(gateway) });
}

function stateOf({ registry, desk }: Gateway): object {
  const serving = registry.all();
  return {
    serving: serving.length,
    benched: registry.benched().length,
    serial: desk.current().document.serial,
    rssMiB: residentMiB(),
    machines: serving
      .filter(isLive)
      .map(({ workerId, verdict: { platform } }) => [
        workerId,
        platform?.ids['ppid'] ?? platform?.ids['chipId'] ?? '',
      ]),
  };
}

const KIB_PER_MIB = 1024;

/** Spec: proc_pid_status(5), VmRSS. */
function residentMiB(): number {
  const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'));
  return Number(found?.[1] ?? 0) / KIB_PER_MIB;
}

const NOTHING_IS_SENT: WorkerLink = {
  exchange: () => ({ abort: () => undefined }),
  fetchReceipt: () => Promise.resolve(undefined),
  fetchReceiptsAfter: () => Promise.resolve(new Uint8Array()),
  sendSettled: () => Promise.resolve(404),
  stop: () => Promise.resolve(false),
  probe: () => Promise.resolve('well'),
  close: () => Promise.resolve(),
  destroy: () => Promise.resolve(),
};

function isLive({ link }: LiveWorker): boolean {
  return link !== NOTHING_IS_SENT;
}

/** Workers whose evidence is real and whose link leads nowhere. Half TDX, half SNP. */
class Fleet {
  readonly #gateway: Gateway;
  readonly #dataDir: string;
  readonly #caches = newCaches();

  constructor(gateway: Gateway, dataDir: string) {
    this.#gateway = gateway;
    this.#dataDir = dataDir;
  }

  async fill(count: number): Promise<void> {
    const providers = [
      await providerOf(this.#dataDir, GROUPS),
      await providerOf(this.#dataDir, GROUPS - 1),
    ];
    const linkKey = await makeLinkKey(systemClock());
    for (let i = 0; i < count; i++) {
      const provider = providers[i % providers.length];
      if (provider !== undefined) await this.#add(provider, linkKey);
      await nextTurn();
    }
  }

  async #add(
    provider: EvidenceProvider,
    linkKey: Awaited<ReturnType<typeof makeLinkKey>>,
  ): Promise<void> {
    const { aud, desk, registry } = this.#gateway;
    const cardBytes = encodeCard(demoCard(generateEd25519().publicKey));
    const challenge = sha256(randomBytes(32));
    const { evidence } = await makeEpoch(
      {
        kem: 'X-Wing',
        lifetimeS: LIFETIME_S,
        nowMs: systemClock(),
        aud,
        challenge,
        workload: DEMO_WORKLOAD,
        card: parseCard(cardBytes),
        cardBytes,
        provider,
        linkKey,
      },
      AbortSignal.timeout(LIFETIME_S),
    );
    // As it comes over the wire: nothing is shared between two workers.
    const bundle = decodeEvidence(structuredClone(encodeEvidence(evidence)));
    const { outcome, ...appraisal } = await appraiseApart({
      evidence: bundle,
      policy: desk.current(),
      nowMs: systemClock(),
      aud,
      challenge: { equals: challenge },
      revocations: desk.knowledge(),
      caches: this.#caches,
    });
    if (outcome === 'denied' || !('key' in appraisal)) throw new Error('a worker was denied');
    const { key, verdict } = appraisal;
    const added = registry.add({
      key,
      bundle,
      evidence: encodeEvidence(bundle),
      verdict,
      challenge,
      endpoint: 'https://worker.invalid:8443',
      publishUntilMs: publishUntilOf(parseStatement(bundle.statement), key),
      link: NOTHING_IS_SENT,
    });
    if (!added) throw new Error('the registry is full');
  }
}

export const TOKENS_PER_SECOND = 20;
const SLICES = 5;
const CHUNK = utf8(`data: ${'x'.repeat(167)}\n\n`);

/** A stream never ends by itself; the streams of a worker take turns within the pace, as tokens of a batch do not come at once. */
function endless(): Script {
  const slices = Array.from({ length: SLICES }, () => new Set<() => void>());
  let [opened, turn] = [0, 0];
  setInterval(
    () => {
      for (const emit of slices[turn++ % SLICES] ?? []) emit();
    },
    1000 / TOKENS_PER_SECOND / SLICES,
  );
  return {
    kind: 'answer',
    act: ({ opened: exchange, epoch, response }) => {
      const { responder, prelude } = exchange;
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(200, [['content-type', 'text/event-stream']]));
      if (!prelude.flags.stream) {
        response.write(responder.data(CHUNK));
        response.write(receiptOf(exchange, epoch).bytes);
        response.end(responder.final());
        return;
      }
      const slice = slices[opened++ % SLICES];
      const emit = (): void => void response.write(responder.data(CHUNK));
      slice?.add(emit);
      response.once('close', () => slice?.delete(emit));
    },
  };
}

async function workersProcess(dataDir: string, aud: string, gatewayUrl: string): Promise<void> {
  const script = endless();
  const workers: (readonly [workerId: string, group: number])[] = [];
  for (let group = 0; group < GROUPS; group++) {
    const provider = await providerOf(dataDir, group);
    for (let i = 0; i < WORKERS_PER_GROUP; i++) {
      const worker = await startSxWorker({ provider, aud, gatewayUrl, script });
      const { status, json } = await worker.register();
      if (status !== 200) throw new Error(`not admitted: ${JSON.stringify(json)}`);
      workers.push([worker.workerId, group]);
    }
  }
  answer({ ready: { workers } });
}

const [role, first = '', second = '', third = ''] = process.argv.slice(2);
if (role === 'gateway') await gatewayProcess(first, second, third);
if (role === 'workers') await workersProcess(first, second, third);
