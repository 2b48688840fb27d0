/**
 * Every question of `veilgate doctor` in order, each answered even when an earlier one went wrong, so that an owner sees
 * at once everything that stands in the way. Registers nothing and changes nothing, but that a
 * simulator makes its hierarchy where there is none and a store that is there keeps what was fetched.
 * @module
 */

import { existsSync, readFileSync } from 'node:fs';
import { parseCard, type Card } from '../../attestation/card.ts';
import { openConfiguredStore, type ConfiguredStore } from '../../attestation/collateral/compose.ts';
import { COLLATERAL_CONFIG, type CollateralConfig } from '../../attestation/collateral/config.ts';
import type { Endorser } from '../../attestation/collateral/endorser.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { utf8 } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { loadConfig } from '../../core/node/config.ts';
import { STORE_PARTS } from '../../core/node/store-parts.ts';
import { WORKER_CONFIG, type WorkerConfig } from '../../enclave-worker/config.ts';
import type { Guest } from '../../enclave-worker/evidence/guest.ts';
import { cliError } from '../errors.ts';
import { readPolicy as policyAt } from '../policy/read-policy.ts';
import { endpointFinding } from './endpoint.ts';
import { examineEvidence, type EvidenceReport } from './evidence.ts';
import { ok, problem, skipped, type DoctorFinding } from './finding.ts';
import { examineMachine, textOf } from './machine.ts';
import { examineGateway, examineGpus, examineModel, examineOwner } from './surroundings.ts';

export interface DoctorInput {
  readonly configPath?: string;
  readonly policyPath?: string;
  /** A bundle of collateral: nothing is fetched then. */
  readonly bundlePath?: string;
  readonly guest: Guest;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told as answers come in. */
  readonly onFinding: (finding: DoctorFinding) => void;
}

export interface DoctorReport {
  readonly findings: readonly DoctorFinding[];
  readonly verdict?: Verdict;
}

interface Worker {
  readonly config: WorkerConfig;
  readonly card: Card;
  readonly cardBytes: Uint8Array;
}

export async function examine(input: DoctorInput): Promise<DoctorReport> {
  const findings: DoctorFinding[] = [];
  const say = (...more: readonly DoctorFinding[]): void => {
    for (const finding of more) {
      findings.push(finding);
      input.onFinding(finding);
    }
  };
  const worker = readWorker(input, say);
  const policy = readPolicy(input, say);
  const evidenceConfig = worker?.config.evidence ?? { provider: 'auto' as const };
  const machine = await examineMachine(evidenceConfig, input.guest, input.signal);
  say(...machine.findings);
  const { provider, collected } = machine;
  const evidence: EvidenceReport =
    provider === undefined || collected === undefined
      ? {
          findings: ['collateral', 'authenticity', 'policy'].map((id) => skipped(id, 'no quote')),
        }
      : await withStore(
          worker?.config.collateral,
          input,
          async (endorser) =>
            await examineEvidence(
              {
                provider,
                collected,
                endorser,
                nowMs: input.clock(),
                ...(worker === undefined ? {} : { worker }),
                ...(policy === undefined ? {} : { policy }),
              },
              input.signal,
            ),
        );
  say(...evidence.findings);
  const { epoch, verdict } = evidence;
  if (worker !== undefined) {
    say(...(await examineGateway(worker.config, input.clock)));
    say(await endpointFinding(worker.config));
    say(await examineOwner(worker.config, epoch, readToken));
    say(await examineModel(worker.config, worker.card));
  }
  say(await examineGpus());
  return { findings, ...(verdict === undefined ? {} : { verdict }) };
}

type Say = (...findings: readonly DoctorFinding[]) => void;

function readWorker({ configPath }: DoctorInput, say: Say): Worker | undefined {
  if (configPath === undefined) {
    say(skipped('config', 'no --config: only the machine is looked at'));
    return undefined;
  }
  try {
    const config = loadConfig(WORKER_CONFIG, { part: 'worker', filePath: configPath });
    const cardBytes = cardBytesOf(config);
    const card = parseCard(cardBytes);
    say(ok('config', `${configPath}, card of ${card.model.id}`));
    return { config, card, cardBytes };
  } catch (error) {
    say(
      problem('config', textOf(error), 'docs/workers.md lists the members of the configuration.'),
    );
    return undefined;
  }
}

function cardBytesOf({ card, cardFile }: WorkerConfig): Uint8Array {
  if (card !== undefined && cardFile === undefined) return utf8(card);
  if (card === undefined && cardFile !== undefined) return readBytes(cardFile);
  throw cliError('cli.option', 'exactly one of card and cardFile');
}

function readPolicy({ policyPath }: DoctorInput, say: Say): CompiledPolicy | undefined {
  if (policyPath === undefined) return undefined;
  try {
    return policyAt(policyPath);
  } catch (error) {
    say(
      problem('policyFile', textOf(error), 'Ask whoever gave you the policy for one that loads.'),
    );
    return undefined;
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw cliError('cli.file', `${path} cannot be read`, { cause });
  }
}

function readToken(path: string): string {
  return Buffer.from(readBytes(path)).toString('utf8').trim();
}

/** The worker's own settings, so that what works here works there; with a bundle, offline. */
async function withStore(
  configured: CollateralConfig | undefined,
  { bundlePath, clock }: DoctorInput,
  use: (endorser: Endorser) => Promise<EvidenceReport>,
): Promise<EvidenceReport> {
  let opened: ConfiguredStore | undefined;
  try {
    opened = await openConfiguredStore(storeConfig(configured, bundlePath), {
      ...STORE_PARTS,
      now: clock,
      onEvent: () => undefined,
    });
    if (bundlePath !== undefined) await opened.store.importBundle(readBytes(bundlePath));
  } catch (error) {
    await opened?.close();
    const remedy =
      bundlePath === undefined
        ? 'Check collateral in the configuration; run doctor as the user that the worker runs as.'
        : 'Take a bundle that "exportBundle" of a store has made (docs/collateral.md).';
    const rest = ['authenticity', 'policy'].map((id) => skipped(id, 'no collateral'));
    return { findings: [problem('collateral', textOf(error), remedy), ...rest] };
  }
  try {
    return await use(opened.store);
  } finally {
    await opened.close();
  }
}

/** A folder that is not there yet is for the worker to make, as the user that it runs as. */
function storeConfig(
  configured: CollateralConfig | undefined,
  bundlePath: string | undefined,
): CollateralConfig {
  const base = configured ?? COLLATERAL_CONFIG.parse({});
  const { directory } = base;
  return {
    ...base,
    offline: base.offline || bundlePath !== undefined,
    directory: directory !== null && existsSync(directory) ? directory : null,
  };
}
