/**
 * C6. Attack: a gateway ends sealed answers early, wherever and however it can. Behind `sealedFetch` every SDK says so, and none
 * takes the stump for a short answer. Real gateway, real worker, a relay in between. @module
 */

import { after, before } from 'node:test';
import { sealedFetch, type SealedFetch } from '../../client/index.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import { cutBody, everySdkSees, type Cut } from '../support/truncation.ts';

let stack: Stack;
let relay: Relay;
let sealed: SealedFetch;
let next: Cut | undefined;

before(async () => {
  stack = await startStack();
  relay = await startRelay(new URL(stack.baseUrl).origin);
  relay.decide((path, body) =>
    next === undefined || path !== '/sx/v1/exchange' ? { kind: 'sent', body } : cutBody(body, next),
  );
  sealed = sealedFetch({ policy: { root: stack.rootFile } });
});
after(async () => {
  await relay.close();
  await stack.close();
});

everySdkSees(
  'sealedFetch',
  (cut) => {
    next = cut;
  },
  () => ({
    baseUrl: `${relay.url}/v1`,
    apiKey: stack.apiKey,
    model: STACK_MODEL,
    fetch: sealed,
  }),
);
