/**
 * `GET /v1/verification`: the verdict on every worker, check by check; JSON, or text for whoever asks for text. Nothing in it
 * is the gateway's word. Spec: STYLE §5 "Nothing is unchecked by omission".
 * @module
 */

import type { ServerResponse } from 'node:http';
import { formatInstant } from '../../core/clock.ts';
import { jsonLine } from '../../core/node/terminal.ts';
import type { WorkerVerdict } from '../../client/session.ts';
import { verdictJson, verdictText } from './worker-rows.ts';

export const VERIFICATION_PATH = '/v1/verification';
const FORMAT = 'veilgate.verification/1';

export interface VerificationView {
  readonly verdicts: readonly WorkerVerdict[];
  readonly gatewayUrl: string;
  readonly nowMs: number;
}

export function respondVerification(
  response: ServerResponse,
  view: VerificationView,
  accept: string | undefined,
): void {
  const isText = /^text\/plain\b/.test(accept ?? '');
  response.setHeader('content-type', isText ? 'text/plain; charset=utf-8' : 'application/json');
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.end(isText ? text(view) : json(view));
}

function json({ verdicts, gatewayUrl, nowMs }: VerificationView): string {
  return jsonLine({
    format: FORMAT,
    at: formatInstant(nowMs),
    gateway: gatewayUrl,
    workers: verdicts.map((verdict) => verdictJson(verdict, nowMs)),
  });
}

function text({ verdicts, gatewayUrl, nowMs }: VerificationView): string {
  const lines =
    verdicts.length === 0
      ? ['No worker has been looked at yet.']
      : verdicts.flatMap((verdict) => [...verdictText(verdict), '']);
  return [`${gatewayUrl} at ${formatInstant(nowMs)}`, '', ...lines, ''].join('\n');
}
