/**
 * The engine process: loads one verified model into llama.cpp and generates for a fixed pool of sequences. It has no
 * standard streams, no environment but a home, and no secrets; what it knows arrives over IPC and leaves over IPC. A native crash
 * ends this process and nothing else. Spec: openai-gateway-and-engine §5.3, §5.4.
 * @module
 */

import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { hasCode } from '../../../core/errors.ts';
import type { RunningJob } from './choice.ts';
import { embed } from './embed.ts';
import { generate } from './generate.ts';
import {
  CHILD_ERRORS,
  TO_CHILD,
  type ChildError,
  type EmbedMessage,
  type FromChild,
  type GenerateMessage,
  type LoadMessage,
} from './messages.ts';
import { loadModel, type LoadedModel } from './model.ts';
import { assertGgufHeader, copyVerified } from './model-file.ts';

function send(message: FromChild): void {
  // The parent is gone when the channel is: nobody is left to work for.
  if (process.send === undefined || !process.connected) process.exit(0);
  process.send(message);
}

function childErrorOf(error: unknown, otherwise: ChildError): ChildError {
  return CHILD_ERRORS.find((code) => hasCode(error, code)) ?? otherwise;
}

const running = new Map<number, RunningJob>();
let loaded: LoadedModel | undefined;
let privateDir: string | undefined;

async function load(message: LoadMessage): Promise<void> {
  ({ privateDir } = message);
  setInterval(() => {
    send({ kind: 'beat' });
    loaded?.pool.forgetIdle(performance.now());
  }, message.beatMs);
  try {
    const path = await copyVerified(message.modelPath, message.privateDir, message.modelSha256Hex);
    await assertGgufHeader(path);
    loaded = await loadModel(path, message);
    // The parent starts another one.
    void loaded.pool.broken.then(() => process.exit(1));
    // The mapping stays; the name goes, so nothing is left on any file system when this process ends.
    await rm(path, { force: true });
    send({ kind: 'ready' });
  } catch (error) {
    send({ kind: 'load-failed', code: childErrorOf(error, 'engine.load') });
  }
}

async function run(model: LoadedModel, message: GenerateMessage | EmbedMessage): Promise<void> {
  const { id } = message;
  const job: RunningJob = { aborted: false, unread: 0, wake: undefined };
  running.set(id, job);
  try {
    if (message.kind === 'embed') await embed(model, message, job, send);
    else await generate(model, message, job, send);
  } catch (error) {
    send({ kind: 'failed', id, code: childErrorOf(error, 'engine.failed') });
  } finally {
    running.delete(id);
  }
}

function wake(job: RunningJob): void {
  const { wake: waiting } = job;
  job.wake = undefined;
  waiting?.();
}

const WITH_ID = z.looseObject({ id: z.int() });

function receive(raw: unknown): void {
  const decoded = TO_CHILD.safeParse(raw);
  if (!decoded.success) {
    // One generation that this process does not understand must not end the others.
    const { data } = WITH_ID.safeParse(raw);
    if (data !== undefined) send({ kind: 'failed', id: data.id, code: 'engine.failed' });
    return;
  }
  const message = decoded.data;
  if (message.kind === 'load') {
    void load(message);
    return;
  }
  if (message.kind === 'generate' || message.kind === 'embed') {
    if (loaded === undefined) send({ kind: 'failed', id: message.id, code: 'engine.failed' });
    else void run(loaded, message);
    return;
  }
  const job = running.get(message.id);
  if (job === undefined) return;
  if (message.kind === 'abort') job.aborted = true;
  else job.unread -= message.count;
  wake(job);
}

process.on('message', receive);
process.on('disconnect', () => {
  // A parent that was killed cannot tidy up after us; without this a copy of the model could stay in memory.
  if (privateDir !== undefined) rmSync(privateDir, { recursive: true, force: true });
  process.exit(0);
});
// A terminal's Ctrl-C reaches the whole process group; the parent decides when this process ends.
process.on('SIGINT', () => undefined);
