/**
 * What stands around a worker: its gateway and clock, its owner's signing service, its model file, its GPU. None of it is
 * trusted, and all of it can keep a worker from registering. Spec: overview "Identities"; STYLE §11.
 * @module
 */

import { readdir } from 'node:fs/promises';
import { equalPublic, toHex } from '../../core/bytes.ts';
import { verifyEd25519 } from '#primitives';
import { ownerSignatureInput, parseCard, type Card } from '../../attestation/card.ts';
import { statementHash } from '../../attestation/statement.ts';
import { createPinnedPool, fetchJson, type Trust } from '../../core/node/http-client.ts';
import type { WorkerConfig } from '../../enclave-worker/config.ts';
import { assertGgufHeader } from '../../enclave-worker/engines/llama-cpp/model-file.ts';
import type { Epoch } from '../../enclave-worker/keys.ts';
import { measureServed } from '../../enclave-worker/weights/measure-served.ts';
import { agentOwnerSigner } from '../../enclave-worker/owner-agent.ts';
import { verifyGatewayDocument } from '../../protocol/gateway-document.ts';
import { VeilError } from '../../core/errors.ts';
import { sha256OfFile } from '../owner/weights.ts';
import { ok, problem, skipped, warning, type DoctorFinding } from './finding.ts';
import { textOf } from './machine.ts';

const ANSWER_MAX_BYTES = 65_536;
const TIMEOUT_MS = 10_000;
const CLOCK_WARN_MS = 5000;
const CLOCK_PROBLEM_MS = 30_000;

/** The gateway's identity, and what its clock says of ours. */
export async function examineGateway(
  { gateway }: WorkerConfig,
  clock: () => number,
): Promise<readonly DoctorFinding[]> {
  const pool = createPinnedPool({ origin: gateway.url, trust: trustOf(gateway) });
  try {
    const { json, headers } = await fetchJson(pool, {
      method: 'GET',
      path: '/v1/gateway',
      maxBytes: ANSWER_MAX_BYTES,
      timeoutMs: TIMEOUT_MS,
    });
    const nowMs = clock();
    return [identity(json, gateway, nowMs), clockFinding(headers['date'], nowMs)];
  } catch (error) {
    return [
      problem(
        'gateway',
        `${gateway.url}: ${textOf(error)}`,
        'Check gateway.url, the way out of this machine, and, for https without a public certificate, gateway.tlsSpkiSha256.',
      ),
      skipped('clock', 'nobody to compare with'),
    ];
  } finally {
    await pool.destroy();
  }
}

function trustOf({ url, tlsSpkiSha256 }: WorkerConfig['gateway']): Trust {
  if (url.startsWith('http:')) return { kind: 'loopback' };
  return tlsSpkiSha256 === undefined ? { kind: 'webpki' } : { kind: 'spki', sha256: tlsSpkiSha256 };
}

function identity(json: unknown, gateway: WorkerConfig['gateway'], nowMs: number): DoctorFinding {
  try {
    const { aud } = verifyGatewayDocument(json, nowMs);
    if (aud === gateway.aud) return ok('gateway', `${gateway.url} is ${aud}`);
    return problem(
      'gateway',
      `${gateway.url} is ${aud}`,
      `The configuration expects ${gateway.aud}. Ask the operator, by another way, which is right.`,
    );
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const remedy =
      error.code === 'gatewayDocument.time'
        ? 'The clock of this machine or of the gateway is wrong.'
        : 'This is not a Veilgate gateway, or something between changes its answers.';
    return problem('gateway', `${gateway.url}: ${error.message}`, remedy);
  }
}

/** RFC 9110 §5.6.7; good to a second. */
function clockFinding(date: string | readonly string[] | undefined, nowMs: number): DoctorFinding {
  const theirsMs = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(theirsMs)) return skipped('clock', 'the gateway does not say what time it is');
  const apartMs = Math.abs(nowMs - theirsMs);
  const detail = `${(apartMs / 1000).toFixed(0)} s from the gateway's`;
  const remedy = 'Let this machine follow a time server (chrony, systemd-timesyncd).';
  if (apartMs > CLOCK_PROBLEM_MS) return problem('clock', detail, remedy);
  return apartMs > CLOCK_WARN_MS ? warning('clock', detail, remedy) : ok('clock', detail);
}

/** The file that the engine would load is the one the card promises. */
export async function examineModel({ engine }: WorkerConfig, card: Card): Promise<DoctorFinding> {
  const id = 'model';
  const { modelPath, upstream } = engine;
  if (modelPath === undefined) {
    return problem(
      id,
      'engine.modelPath is not set',
      'Name the file or folder of the weights: without it nobody measures what is served.',
    );
  }
  try {
    const digest =
      upstream === undefined
        ? await sha256OfFile(modelPath)
        : (await measureServed(modelPath, upstream)).digest;
    if (!equalPublic(digest, card.model.weights)) {
      return problem(
        id,
        `${modelPath} is sha256:${toHex(digest)}`,
        `The card promises sha256:${toHex(card.model.weights)}: take that file, or make a new card (veilgate owner card).`,
      );
    }
    if (engine.name === 'llama-cpp') await assertGgufHeader(modelPath);
    return ok(id, `${card.model.id}, sha256:${toHex(digest).slice(0, 16)}…`);
  } catch (error) {
    return problem(
      id,
      textOf(error),
      upstream === undefined
        ? 'Check engine.modelPath: is the file there, readable, and a GGUF file?'
        : 'Check engine.modelPath and engine.upstream.files: plain files, readable, nothing else among them.',
    );
  }
}

/** Asks for a real signature over a real statement; it registers nothing. */
export async function examineOwner(
  { owner }: WorkerConfig,
  epoch: Epoch | undefined,
  readToken: (path: string) => string,
): Promise<DoctorFinding> {
  const id = 'owner';
  if (owner === undefined) {
    return problem(
      id,
      'no signing service is configured',
      'A worker that is started from this file needs one: veilgate owner serve, then owner: in the configuration.',
    );
  }
  if (epoch === undefined) return skipped(id, 'no statement to sign');
  try {
    const { tokenFile, ...address } = owner;
    const signer = agentOwnerSigner({ ...address, token: readToken(tokenFile) });
    const { statement, card } = epoch.evidence;
    const signature = await signer.sign(statement, card);
    const signed = ownerSignatureInput(statementHash(statement));
    if (verifyEd25519(parseCard(card).owner, signature, signed))
      return ok(id, `${owner.url} signs`);
    return problem(
      id,
      `${owner.url} signs with another key than the owner's in the card`,
      'The card is of another owner: take the card.json of the owner that serves there.',
    );
  } catch (error) {
    return problem(
      id,
      `${owner.url}: ${textOf(error)}`,
      'Is veilgate owner serve running, with this card, this token and this TLS key?',
    );
  }
}

/** Devices as the driver shows them; nothing is proven about them yet. */
export async function examineGpus(devices = '/dev'): Promise<DoctorFinding> {
  const id = 'gpu';
  let names: readonly string[];
  try {
    names = await readdir(devices);
  } catch {
    return skipped(id, `${devices} cannot be read`); // a container without devices
  }
  const count = names.filter((name) => /^nvidia\d+$/.test(name)).length;
  if (count === 0) return ok(id, 'no NVIDIA GPU: rules with gpu: none apply');
  return warning(
    id,
    `${count} NVIDIA GPU${count === 1 ? '' : 's'}`,
    'GPU evidence is not verified yet: the statement names no devices, and only rules with gpu: none can admit this worker.',
  );
}
