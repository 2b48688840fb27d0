/** A shadow takes as long as it takes, and nothing waits for it. @module */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { EvidenceBundle } from '../../../attestation/evidence.ts';
import type { PolicyDesk } from '../../../gateway/policy/desk.ts';
import type { Vouching } from '../../../gateway/workers/vouching.ts';
import { openSignedLab } from '../../support/gateway-lab.ts';
import { answering } from '../../support/sx-worker.ts';
import { until } from '../../support/until.ts';

/** While there is a candidate, the newest collateral of nobody is to be had. */
class SlowVouching implements Vouching {
  readonly covers = (): boolean => true;
  desk: PolicyDesk | undefined;
  waiting = 0;

  readonly revision = (): number => (this.desk?.candidate() === undefined ? 1 : 2);

  readonly vouch = async (bundle: EvidenceBundle, signal: AbortSignal): Promise<EvidenceBundle> => {
    if (this.desk?.candidate() === undefined) return bundle;
    this.waiting++;
    if (!signal.aborted) await once(signal, 'abort');
    return bundle;
  };
}

test('a revocation does not wait for a shadow that is being judged', async (context) => {
  const vouching = new SlowVouching();
  const lab = await openSignedLab({ deps: { vouching } });
  context.after(() => lab.close());
  vouching.desk = lab.gateway.desk;
  const worker = await lab.worker(answering('{}'));
  lab.publisher.candidate(lab.publisher.policy());
  await until(() => vouching.waiting > 0);
  lab.publisher.revoke({ kind: 'key', value: worker.workerId });
  await until(() => lab.gateway.registry.all().length === 0);
  assert.equal(lab.gateway.registry.benched().length, 1);
});
