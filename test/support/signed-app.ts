/**
 * An app with a signed policy in front of a gateway in memory, and what it is told in this client's own codes.
 * Spec: docs/publication.md §4.
 * @module
 */

import assert from 'node:assert/strict';
import { fromHex } from '../../core/bytes.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import type { SignedPolicy } from '../../client/policy-source.ts';
import { sealedFetch, type PolicyNews, type WorkerVerdict } from '../../client/index.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { MODEL, PROMPT, type MemoryGateway } from './memory-gateway.ts';
import { makeRoot } from './publication.ts';

export const ROOT = makeRoot();

export interface SignedApp {
  /** `whole`, or the code of why not. */
  readonly ask: (host?: string) => Promise<string>;
  /** The words behind the last code. */
  readonly said: () => string;
  readonly news: readonly PolicyNews[];
  readonly verdicts: () => readonly WorkerVerdict[];
}

export function signedApp(
  { fetch, clock }: MemoryGateway,
  policy: Partial<SignedPolicy> = {},
  options: Partial<ClientOptions> = {},
): SignedApp {
  const news: PolicyNews[] = [];
  const send = sealedFetch({
    fetch,
    clock,
    onPolicy: (one) => void news.push(one),
    ...options,
    policy: { root: ROOT, ...policy },
  });
  let said = '';
  const ask = async (host = 'gateway.test'): Promise<string> => {
    const messages = [{ role: 'user', content: PROMPT }];
    const response = await send(`https://${host}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-test' },
      body: JSON.stringify({ model: MODEL, messages }),
    });
    said = await response.text();
    if (response.status === 200) {
      assert.match(said, /whole answer/);
      return 'whole';
    }
    return response.headers.get('sx-error') ?? String(response.status);
  };
  return { ask, said: () => said, news, verdicts: () => send.verdicts() };
}

/** `document code` of each refusal, once. */
export function refusedIn({ news }: SignedApp): readonly string[] {
  const refused = news.flatMap((one) =>
    one.outcome === 'refused' ? [`${one.document} ${one.code}`] : [],
  );
  return [...new Set(refused)];
}

export function admittedVerdicts(app: SignedApp): readonly Verdict[] {
  return app
    .verdicts()
    .flatMap(({ appraisal }) => (appraisal.outcome === 'admitted' ? [appraisal.verdict] : []));
}

const KIDS_AT = 112;
const KID_BYTES = 16;

/** Kids of every request that the gateway gets from now on. */
export function sealedTo(gateway: MemoryGateway): readonly string[] {
  const kids: string[] = [];
  gateway.mischief.request = (sealed) => {
    for (let n = 0; n < (sealed[3] ?? 0); n++) {
      const at = KIDS_AT + n * KID_BYTES;
      kids.push(Buffer.from(sealed.subarray(at, at + KID_BYTES)).toString('hex'));
    }
    return sealed;
  };
  return kids;
}

export function assertNothingSent(gateway: MemoryGateway): void {
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'), 'a sealed request left');
}

/** Of one worker, as a revocation names it. */
export function kidOf(worker: { readonly kid: string }): string {
  assert.equal(fromHex(worker.kid).length, KID_BYTES);
  return worker.kid;
}
