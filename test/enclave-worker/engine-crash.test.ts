/** An engine process that dies: its streams fail with a code, and it comes back. @module */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { toHex } from '../../core/bytes.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { startLlamaCpp } from '../../enclave-worker/engines/llama-cpp/engine.ts';

/** Processes of this test that run the engine's file. */
function enginePids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = /\nPPid:\t(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return Number(parent) === process.pid && command.includes('llama-cpp/child.ts');
      } catch {
        // Gone while we looked.
        return false;
      }
    })
    .map(Number);
}

test('a crash fails the running stream in-band and the engine is started again', async () => {
  const states: string[] = [];
  const back = Promise.withResolvers<void>();
  const engine = await startLlamaCpp({
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: toHex(DEMO_MODEL.sha256),
    contextTokens: DEMO_MODEL.contextLength,
    sequences: 2,
    threads: 1,
    gpu: false,
    environment: {},
    onState: (state) => {
      states.push(state);
      if (state === 'restarted') back.resolve();
    },
  });
  const job = {
    prompts: [
      { kind: 'chat', messages: [{ role: 'user', content: 'Tell me a story about a fox.' }] },
    ],
    choices: 1,
    maxPromptTokens: 100,
    maxOutputTokens: 100,
    sampling: {
      temperature: 0,
      topP: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      logitBias: [],
      seed: undefined,
    },
    stop: [],
  } as const;
  const { signal } = new AbortController();
  try {
    const [pid] = enginePids();
    assert.ok(pid !== undefined);
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .filter((entry) => !/^(NODE_CHANNEL_.*|PWD=.*)?$/.test(entry));
    assert.match(
      environment.join('\n'),
      /^HOME=\/[^\n]*\/veilgate-model-\w+$/,
      'the engine process inherits no environment; its home is its own folder',
    );
    assert.match(readFileSync(`/proc/${pid}/limits`, 'latin1'), /Max core file size\s+0\s+0/);

    const generation = engine.generate(job, signal);
    let seen = 0;
    await assert.rejects(
      async () => {
        for await (const event of generation.events) {
          if (event.kind === 'text' && ++seen === 3) process.kill(pid, 'SIGKILL');
          // Reads slowly, so that the engine cannot have finished.
          if (seen >= 3) await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
      { code: 'engine.crashed' },
    );
    assert.ok(generation.usage().completion >= 3, 'what was generated stays counted');
    assert.throws(() => engine.generate(job, signal), { code: 'engine.down' });
    assert.equal(engine.healthy(), false);
    await back.promise;
    assert.deepEqual(states, ['crashed', 'restarted']);
    let text = '';
    for await (const event of engine.generate(job, signal).events) {
      if (event.kind === 'text') text += event.text;
    }
    assert.match(text, /^Once there was a \w+ fox/);
  } finally {
    await engine.close();
  }
  assert.deepEqual(enginePids(), []);
});
