/**
 * What a request for a text completion is answered with, whole or in chunks, which have the same shape. Spec: OpenAI API
 * reference "The completion object".
 * @module
 */

import { assert } from '../../core/errors.ts';
import {
  openAiUsage,
  type AnswerIdentity,
  type AnswerShape,
  type FinishReason,
  type OpenAiUsage,
} from './answer-shape.ts';
import { TextLogprobsWriter, type TextLogprobs, type TokenLogprob } from './logprobs.ts';

export interface TextCompletion {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
  readonly choices: readonly TextChoice[];
  readonly usage?: OpenAiUsage;
}

interface TextChoice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: TextLogprobs | null;
  readonly finish_reason: FinishReason | null;
}

export function textShape(answer: AnswerIdentity, topLogprobs: number | undefined): AnswerShape {
  const writers = new Map<number, TextLogprobsWriter>();
  const logprobsOf = (choice: number, tokens: readonly TokenLogprob[]): TextLogprobs | null => {
    if (topLogprobs === undefined) return null;
    const writer = writers.get(choice) ?? new TextLogprobsWriter(topLogprobs);
    writers.set(choice, writer);
    return writer.write(tokens);
  };
  return {
    begin: () => undefined,
    piece: (index, { text, tokens }) =>
      completion(answer, [
        { index, text, logprobs: logprobsOf(index, tokens), finish_reason: null },
      ]),
    reasoning: () => undefined,
    call: () => {
      assert(false, 'a text completion takes no tools');
    },
    finish: (index, reason) =>
      completion(answer, [{ index, text: '', logprobs: null, finish_reason: reason }]),
    usage: (usage) => ({ ...completion(answer, []), usage: openAiUsage(usage) }),
    whole: (choices, usage) => ({
      ...completion(
        answer,
        choices.map(({ text, tokens, finishReason }, index) => ({
          index,
          text,
          logprobs: logprobsOf(index, tokens),
          finish_reason: finishReason,
        })),
      ),
      usage: openAiUsage(usage),
    }),
  };
}

function completion(answer: AnswerIdentity, choices: readonly TextChoice[]): TextCompletion {
  return {
    id: answer.id,
    object: 'text_completion',
    created: answer.created,
    model: answer.model,
    system_fingerprint: answer.systemFingerprint,
    choices,
  };
}
