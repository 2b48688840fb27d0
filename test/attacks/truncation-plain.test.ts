/**
 * C6. Attack: whoever holds the machine of a worker ends its answers early, wherever and however it can. Behind the gateway's
 * convenience mode every SDK says so, and none takes the stump for a short answer. Real gateway and link, a scripted worker.
 * @module
 */

import { after, before } from 'node:test';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { concat } from '../../core/bytes.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { sealedPieces } from '../support/scripted-answers.ts';
import { DEMO_MODEL, type Turn } from '../support/sx-worker.ts';
import { cutBody, everySdkSees, type Cut } from '../support/truncation.ts';

let lab: Lab;
let next: Cut | undefined;

function answer({ opened, epoch, response }: Turn): void {
  const body = concat(...sealedPieces(opened, epoch));
  response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
  const fate = next === undefined ? { kind: 'sent' as const, body } : cutBody(body, next);
  if (fate.kind === 'sent') response.end(fate.body);
  else response.write(fate.body, () => response.destroy());
}

before(async () => {
  lab = await openLab({
    config: { plaintext: 'operator-can-read' },
    deps: { sealer: plainModeSealer },
  });
  await lab.worker({ kind: 'answer', act: answer });
});
after(() => lab.close());

everySdkSees(
  'the convenience mode',
  (cut) => {
    next = cut;
  },
  () => ({ baseUrl: `${lab.url}/v1`, apiKey: lab.apiKey, model: DEMO_MODEL, fetch }),
);
