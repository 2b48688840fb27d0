/**
 * One question, sealed to a worker that was verified here, and its answer. What an app does, without an SDK:
 *
 *   node deploy/ask.mjs --url https://gateway:8443/v1 --root root.json --model veilgate-demo 'What is remote attestation?'
 *
 * Exit status: 0 answered, 1 not.
 */

import { parseArgs } from 'node:util';
import { sealedFetch } from 'veilgate';

/** Others had a hand in it: nothing in it may move a cursor. */
function printable(text) {
  return String(text).replaceAll(/[^\P{C}\n\t]/gu, ' ');
}

const { values, positionals } = parseArgs({
  options: { url: { type: 'string' }, root: { type: 'string' }, model: { type: 'string' } },
  allowPositionals: true,
});
const { url, root, model } = values;
const fetch = sealedFetch({ policy: { root } });
const response = await fetch(`${url}/chat/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model, messages: [{ role: 'user', content: positionals.join(' ') }] }),
});
const answer = await response.json();
if (response.ok) {
  const { headers } = response;
  const machine = headers.get('sx-simulated') === 'true' ? 'a simulated machine' : 'an enclave';
  process.stderr.write(
    `${headers.get('sx-privacy')}, by ${machine}, worker ${headers.get('sx-worker')}\n`,
  );
  process.stdout.write(`${printable(answer.choices[0].message.content)}\n`);
} else {
  process.stderr.write(
    `not answered: ${printable(answer.error?.code ?? response.status)}: ${printable(answer.error?.message)}\n`,
  );
  process.exitCode = 1;
}
await fetch.close();
