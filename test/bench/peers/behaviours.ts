/**
 * Three things that a proxy of streams must do, as pass or fail: a stream works as installed, a reset of the upstream is not
 * an end for the client, and a client that leaves stops the upstream. Spec: openai-gateway-and-engine §3.3.
 * @module
 */

import { request as httpRequest } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { utf8 } from '../../../core/bytes.ts';
import { plainModeSealer } from '../../../cli/plain-mode.ts';
import { openLab } from '../../support/gateway-lab.ts';
import { receiptOf, type Script } from '../../support/sx-worker.ts';

export interface Behaviours {
  readonly streams: boolean;
  readonly resetVisible: boolean;
  readonly abortPropagated: boolean;
}

export interface Subject {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Streams that the upstream still writes. */
  readonly open: () => Promise<number>;
  /** Makes the upstream behave so, where the body does not. */
  readonly set?: (what: What) => void;
}

type What = 'whole' | 'reset' | 'forever';
const PATH = '/v1/chat/completions';
/** Portkey's was still open after eight seconds. */
const ABORT_WAIT_MS = 8000;
const ANSWER_WAIT_MS = 15_000;

export async function behavioursOf(subject: Subject): Promise<Behaviours> {
  subject.set?.('whole');
  const whole = await ask(subject, 'whole');
  subject.set?.('reset');
  const reset = await ask(subject, 'reset');
  subject.set?.('forever');
  const left = await leave(subject);
  return {
    streams: whole.status === 200 && whole.complete && whole.text.includes('data: [DONE]'),
    resetVisible: reset.status !== 200 || !reset.complete || reset.text.includes('"error"'),
    abortPropagated: left,
  };
}

interface Answer {
  readonly status: number;
  readonly complete: boolean;
  readonly text: string;
}

function bodyOf(what: What): string {
  // A model of ours, whoever asks: others pass it on.
  const messages = [{ role: 'user', content: what }];
  return JSON.stringify({ model: 'veilgate-demo', stream: true, max_tokens: 64, messages });
}

function open({ port, headers }: Subject, what: What) {
  const body = bodyOf(what);
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port,
    path: PATH,
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': String(body.length),
    },
    agent: false,
  });
  outgoing.end(body);
  return outgoing;
}

function ask(subject: Subject, what: What): Promise<Answer> {
  return new Promise((resolve) => {
    const outgoing = open(subject, what);
    const broken = { status: 200, complete: false, text: '' };
    outgoing.setTimeout(ANSWER_WAIT_MS, () => outgoing.destroy());
    outgoing.once('error', () => resolve(broken));
    outgoing.once('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
      });
      response.on('error', () => undefined);
      response.once('close', () =>
        resolve({ status: response.statusCode ?? 0, complete: response.complete, text }),
      );
    });
  });
}

async function leave(subject: Subject): Promise<boolean> {
  const outgoing = open(subject, 'forever');
  outgoing.on('error', () => undefined);
  const isBegun = await new Promise<boolean>((resolve) => {
    outgoing.once('error', () => resolve(false));
    outgoing.setTimeout(ANSWER_WAIT_MS, () => resolve(false));
    outgoing.once('response', (response) => {
      response.on('error', () => undefined);
      if (response.statusCode === 200) response.once('data', () => resolve(true));
      else resolve(false);
    });
  });
  if (!isBegun) return false;
  outgoing.destroy();
  for (let waitedMs = 0; waitedMs < ABORT_WAIT_MS; waitedMs += 50) {
    if ((await subject.open()) === 0) return true;
    await pause(50);
  }
  return false;
}

const EVENT = utf8('data: {"n":1}\n\n');

function script(what: What): Script {
  return {
    kind: 'answer',
    act: ({ opened, epoch, response }) => {
      const { responder } = opened;
      response.writeHead(200, { 'content-type': 'application/vnd.sx1.res' });
      response.write(responder.head(200, [['content-type', 'text/event-stream']]));
      response.write(responder.data(EVENT));
      if (what === 'reset') setTimeout(() => response.destroy(), 50);
      if (what === 'forever') {
        const ticking = setInterval(() => response.write(responder.data(EVENT)), 50);
        response.once('close', () => clearInterval(ticking));
      }
      if (what !== 'whole') return;
      response.write(responder.data(utf8('data: [DONE]\n\n')));
      response.write(receiptOf(opened, epoch).bytes);
      response.end(responder.final());
    },
  };
}

/** Of this gateway in the convenience mode, where an app that knows nothing of sealing sees it. */
export async function ourBehaviours(): Promise<Behaviours> {
  const lab = await openLab({
    config: { plaintext: 'operator-can-read' },
    deps: { sealer: plainModeSealer },
  });
  try {
    const worker = await lab.worker();
    let abortedBefore = 0;
    return await behavioursOf({
      port: lab.port,
      headers: { authorization: `Bearer ${lab.apiKey}` },
      open: () => Promise.resolve(worker.seen.aborted > abortedBefore ? 0 : 1),
      set: (what) => {
        abortedBefore = worker.seen.aborted;
        worker.script = script(what);
      },
    });
  } finally {
    await lab.close();
  }
}
