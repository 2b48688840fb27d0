/**
 * Attack: a worker refuses and seals `x-should-retry: true`, so that SDKs ask, and pay, again and again. Told is only `false`.
 * @module
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BadRequestError, OpenAI } from 'openai';
import { utf8 } from '../../core/bytes.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { sealedFetch } from '../../client/index.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { DEMO_MODEL, receiptOf, type Script, type SxWorker } from '../support/sx-worker.ts';

function refusing(shouldRetry: string): Script {
  return {
    kind: 'answer',
    act: ({ opened: { responder, ...opened }, epoch, response }) => {
      const { status, body } = openAiFailure('invalid_value');
      const headers = [
        ['content-type', 'application/json'],
        ['x-should-retry', shouldRetry],
      ] as const;
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(status, headers));
      response.write(responder.data(utf8(JSON.stringify(body))));
      response.write(receiptOf({ responder, ...opened }, epoch).bytes);
      response.end(responder.final());
    },
  };
}

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({
    config: { plaintext: 'operator-can-read' },
    deps: { sealer: plainModeSealer },
  });
  worker = await lab.worker();
});
after(() => lab.close());

for (const mode of ['sealed', 'plain'] as const) {
  for (const said of ['true', 'false', 'TRUE', 'yes'] as const) {
    test(`a refusal with x-should-retry: ${said} is asked once (${mode})`, async () => {
      worker.script = refusing(said);
      const before = worker.seen.count;
      const client = new OpenAI({
        baseURL: `${lab.url}/v1`,
        apiKey: lab.apiKey,
        maxRetries: 2,
        ...(mode === 'sealed' && {
          fetch: sealedFetch({ policy: join(lab.dataDir, 'policy.yaml') }),
        }),
      });
      const asked = { model: DEMO_MODEL, messages: [{ role: 'user' as const, content: 'x' }] };
      await assert.rejects(client.chat.completions.create(asked), (error) => {
        assert.ok(error instanceof BadRequestError);
        assert.equal(error.headers.get('x-should-retry'), said === 'false' ? said : null);
        return true;
      });
      assert.equal(worker.seen.count - before, 1);
    });
  }
}
