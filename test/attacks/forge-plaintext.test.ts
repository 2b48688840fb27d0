/** C8. Attack: the gateway answers itself, in clear, as if it were the model. @module */

import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { appOf, assertError, MODES } from '../support/hostile.ts';
import { JSON_ANSWER, memoryGateway, STREAM_ANSWER } from '../support/memory-gateway.ts';

const BODIES = { unary: JSON_ANSWER, stream: STREAM_ANSWER } as const;
const TYPES = [
  'application/json',
  'text/event-stream; charset=utf-8',
  'application/vnd.sx1.res',
  '',
] as const;

for (const mode of MODES) {
  for (const type of TYPES) {
    test(`a plain success of type "${type}" is an error (${mode})`, async () => {
      const gateway = await memoryGateway();
      const body = BODIES[mode].pieces.join('');
      gateway.mischief.respond = () =>
        new Response(utf8(body).slice(), { headers: { 'content-type': type } });
      assertError(await appOf(gateway)(mode), [
        'answer_broken',
        'attestation_failed',
        'sx.response',
      ]);
    });
  }

  test(`a plain success under another 2xx status is an error (${mode})`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.respond = () => Response.json({ choices: [] }, { status: 201 });
    assertError(await appOf(gateway)(mode), ['gateway_unreachable']);
  });
}
