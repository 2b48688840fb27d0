/**
 * C6. Attack: a gateway ends sealed answers early, wherever and however it can. Behind `veilgate proxy` every SDK says so, and
 * none takes the stump for a short answer. Real gateway, real worker, a relay in between. @module
 */

import { after, before } from 'node:test';
import { openProxy, type ProxyLab } from '../support/proxy-lab.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import { cutBody, everySdkSees, type Cut } from '../support/truncation.ts';

let stack: Stack;
let relay: Relay;
let proxy: ProxyLab;
let next: Cut | undefined;

before(async () => {
  stack = await startStack();
  relay = await startRelay(new URL(stack.baseUrl).origin);
  relay.decide((path, body) =>
    next === undefined || path !== '/sx/v1/exchange' ? { kind: 'sent', body } : cutBody(body, next),
  );
  const policy = { root: stack.rootFile };
  proxy = await openProxy(undefined, { policy, gatewayUrl: relay.url, apiKey: stack.apiKey });
});
after(async () => {
  await proxy.close(1000);
  await relay.close();
  await stack.close();
});

everySdkSees(
  'veilgate proxy',
  (cut) => {
    next = cut;
  },
  () => ({ baseUrl: proxy.baseUrl, apiKey: proxy.token, model: STACK_MODEL, fetch }),
);
