/**
 * How likely the token that was just drawn was, and the likeliest beside it, in the model's own distribution. The library
 * samples a place once, and then with temperature, penalties and bias in it; so the last token is taken back and evaluated
 * again without them. Spec: openai-gateway-and-engine §5.3 "logprobs".
 * @module
 */

import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { assert } from '../../../core/errors.ts';
import type { LoadedModel } from './model.ts';
import { lastOf } from './prompt.ts';
import type { TrailToken } from './token-trail.ts';

/** JSON has no minus infinity. */
const LOGPROB_MIN = -9999;

/** Between two steps of a generation: `drawn` is not evaluated yet. */
export async function tokenChances(
  { bytes }: LoadedModel,
  sequence: LlamaContextSequence,
  { drawn, top }: { readonly drawn: Token; readonly top: number },
): Promise<TrailToken> {
  const at = sequence.nextTokenIndex;
  const last = lastOf(sequence.contextTokens);
  await sequence.eraseContextTokenRanges([{ start: at - 1, end: at }]);
  const [result] = await sequence.controlledEvaluate([
    [
      last,
      {
        generateNext: {
          token: true,
          logits: { filter: { tokens: [drawn], includeTop: Math.max(1, top) } },
          totalLogitWeight: true,
          options: { temperature: 0, topK: 0, topP: 1, minP: 0 },
        },
      },
    ],
  ]);
  const { logits, totalLogitWeight: total = 0 } = result?.next ?? {};
  assert(logits !== undefined && logits.size > 0, 'the library told the logits');
  const max = Math.max(...logits.values());
  // In single precision the whole may come out smaller than the parts that are told.
  const told = [...logits.values()].reduce((sum, logit) => sum + Math.exp(logit - max), 0);
  const logWeight = Math.log(Math.max(total, told));
  const logprob = (logit: number): number =>
    Math.min(0, Math.max(LOGPROB_MIN, logit - max - logWeight));
  const ranked = [...logits].sort((a, b) => b[1] - a[1]).slice(0, top);
  return {
    bytes: bytes.written(drawn),
    logprob: logprob(logits.get(drawn) ?? -Infinity),
    top: ranked.map(([token, logit]) => ({
      bytes: [...bytes.named(token)],
      logprob: logprob(logit),
    })),
  };
}
