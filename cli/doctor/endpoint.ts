/**
 * Would the gateway connect to where this worker says it lives? By the gateway's own rules. Whether the way there is open
 * can only be seen from outside.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import type { WorkerConfig } from '../../enclave-worker/config.ts';
import { resolveEndpoint, type Resolve } from '../../gateway/workers/endpoint.ts';
import { ok, problem, warning, type DoctorFinding } from './finding.ts';

const ID = 'endpoint';
/** In place of "any free one". */
const ANY_PORT = 1024;

export async function endpointFinding(
  { gateway, listen }: WorkerConfig,
  resolve?: Resolve,
): Promise<DoctorFinding> {
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  const endpoint = listen.endpoint ?? `https://${host}:${listen.port || ANY_PORT}`;
  const shown = listen.endpoint ?? `https://${host}:${listen.port || 'any'}`;
  if ((await refusal(endpoint, 'public', resolve)) === undefined) return ok(ID, shown);
  const reason = await refusal(endpoint, 'private', resolve);
  if (reason !== undefined) {
    return problem(
      ID,
      `${shown}: ${reason}`,
      'Set listen.endpoint to an https:// address at which the gateway reaches this worker.',
    );
  }
  const detail = `${shown} is an address of this machine or of a private network`;
  if ((await refusal(gateway.url, 'public', resolve)) === undefined) {
    return problem(
      ID,
      detail,
      'The gateway is on the internet: set listen.endpoint to a public address.',
    );
  }
  return warning(
    ID,
    detail,
    'Only a gateway that allows private endpoints (workers.allowPrivateEndpoints) takes it.',
  );
}

/** Undefined: allowed. */
async function refusal(
  url: string,
  range: 'public' | 'private',
  resolve: Resolve | undefined,
): Promise<string | undefined> {
  try {
    await resolveEndpoint(url, {
      allowPrivate: range === 'private',
      ...(resolve === undefined ? {} : { resolve }),
    });
    return undefined;
  } catch (error) {
    return error instanceof VeilError ? error.message : 'unknown failure';
  }
}
