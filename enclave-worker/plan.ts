/**
 * What an opened request asks of the engine, or why it is refused before the engine hears of it. Each endpoint has a row.
 * Spec: openai-gateway-and-engine §2.1, §2.2.
 * @module
 */

import { parseJson } from '../core/json.ts';
import { hasCode } from '../core/errors.ts';
import type { Card } from '../attestation/card.ts';
import type { AnswerIdentity, AnswerShape } from '../protocol/openai/answer-shape.ts';
import { decodeChatRequest, type ChatRequest } from '../protocol/openai/chat.ts';
import { chatShape } from '../protocol/openai/completion.ts';
import type { Decision } from '../protocol/openai/decode-body.ts';
import { decodeEmbeddingsRequest, type EmbeddingsRequest } from '../protocol/openai/embeddings.ts';
import {
  engineEndpointAt,
  type EngineEndpoint,
  type EnginePath,
} from '../protocol/openai/endpoints.ts';
import { failureOf, openAiFailure, type OpenAiFailure } from '../protocol/openai/errors.ts';
import type { TemplateArguments } from '../protocol/openai/reasoning.ts';
import type { Sampling } from '../protocol/openai/sampling.ts';
import { textShape } from '../protocol/openai/text-completion.ts';
import { decodeTextRequest } from '../protocol/openai/text-request.ts';
import { INNER_REQUEST_MAX_BYTES } from '../protocol/sx/limits.ts';
import type { InnerRequest } from '../protocol/sx/inner.ts';
import { assertRouted, type Opened } from '../protocol/sx/open.ts';
import type { Prelude } from '../protocol/sx/prelude.ts';
import { formOf } from './answer-form.ts';
import { cacheNamespaceOf } from './cache-namespace.ts';
import type { EmbedJob, GenerateJob, Prompt } from './engine.ts';
import {
  lackedMember,
  PLAIN_OFFERS,
  type AskedMembers,
  type EngineOffers,
} from './engine-members.ts';
import { turnsOf } from './tool-turns.ts';

export interface GeneratePlan {
  readonly kind: 'generate';
  readonly path: EnginePath;
  /** The member that a prompt which is too long is named by. */
  readonly promptParam: string;
  readonly job: GenerateJob;
  readonly mode: 'stream' | 'unary';
  readonly includeUsage: boolean;
  /** Present: the text may hold calls of tools, and an answer without calls is of this kind. */
  readonly toolAnswer: 'text' | 'json' | undefined;
  readonly shape: (identity: AnswerIdentity) => AnswerShape;
}

export interface EmbedPlan {
  readonly kind: 'embed';
  readonly path: EnginePath;
  readonly promptParam: string;
  readonly job: EmbedJob;
  readonly request: EmbeddingsRequest;
}

export type RefusedPlan = { readonly kind: 'refused'; readonly failure: OpenAiFailure };
export type Plan = GeneratePlan | EmbedPlan | RefusedPlan;

/** `offers`: of the engine that will serve it. */
export function planOf(
  card: Card,
  { inner, prelude }: Opened,
  offers: EngineOffers = PLAIN_OFFERS,
): Plan {
  if (inner.kind === 'refused') return refused(failureOf(inner.error));
  const endpoint = engineEndpointAt(inner.request.path);
  if (endpoint === undefined) return refused(openAiFailure('unknown_url'));
  let body: unknown;
  try {
    body = parseJson(inner.request.body, INNER_REQUEST_MAX_BYTES);
  } catch (error) {
    return refused(failureOf(error));
  }
  return planAt(endpoint, body, { card, prelude, offers, inner: inner.request });
}

/** `body` is untrusted JSON. */
export function planAt(
  { path, capability }: EngineEndpoint,
  body: unknown,
  bounds: Omit<Bounds, 'path'>,
): Plan {
  const { card, prelude } = bounds;
  const decision = PLANNERS[path](body);
  if (decision.outcome === 'refused') return refused(decision.failure);
  const { request } = decision;
  if (!isRouted(prelude, request.model) || request.model !== card.model.id) {
    return refused(openAiFailure('model_not_found', { param: 'model' }));
  }
  if (!card.model.capabilities.includes(capability)) {
    return refused(openAiFailure('endpoint_not_served', { param: 'model' }));
  }
  return request.plan({ ...bounds, path });
}

interface Bounds {
  readonly path: EnginePath;
  readonly card: Card;
  readonly prelude: Prelude;
  readonly offers: EngineOffers;
  readonly inner: InnerRequest;
}

interface Asked {
  readonly model: string;
  readonly plan: (bounds: Bounds) => Plan;
}

const PLANNERS: Readonly<Record<EnginePath, (body: unknown) => Decision<Asked>>> = {
  '/v1/chat/completions': (body) => asked(decodeChatRequest(body), chatPlan),
  '/v1/completions': (body) =>
    asked(decodeTextRequest(body), (request, bounds) =>
      generatePlan(bounds, {
        ...request,
        asked: { ...request, prompts: request.prompts.length },
        prompts: request.prompts.map((text) => ({ kind: 'text', text })),
        promptParam: 'prompt',
        shape: (identity) => textShape(identity, request.topLogprobs),
      }),
    ),
  '/v1/embeddings': (body) =>
    asked(decodeEmbeddingsRequest(body), (request, { path, card, prelude }) => ({
      kind: 'embed',
      path,
      promptParam: 'input',
      request,
      job: { inputs: request.inputs, maxPromptTokens: promptBound(card, prelude) },
    })),
};

function asked<Request extends { readonly model: string }>(
  decision: Decision<Request>,
  plan: (request: Request, bounds: Bounds) => Plan,
): Decision<Asked> {
  if (decision.outcome === 'refused') return decision;
  const { request } = decision;
  return {
    outcome: 'decoded',
    request: { model: request.model, plan: (bounds) => plan(request, bounds) },
  };
}

function chatPlan(request: ChatRequest, bounds: Bounds): Plan {
  // OpenAI tells probabilities of words; which of the tokens are words is not known before all is read.
  if (request.toolChoice.kind !== 'none' && request.topLogprobs !== undefined) {
    return refused(openAiFailure('unsupported_parameter', { param: 'logprobs' }));
  }
  return bounds.offers.conversations === 'taken'
    ? conversationPlan(request, bounds)
    : writtenPlan(request, bounds);
}

/** The engine has forms of its own for tools and schemas. */
function conversationPlan(request: ChatRequest, bounds: Bounds): Plan {
  const { messages, tools, toolChoice, parallelToolCalls, format } = request;
  const unkept = toolChoice.kind === 'none' ? -1 : tools.findIndex(({ strict }) => strict === true);
  if (unkept !== -1) {
    // Engines let a model write what it likes where it may also answer without a call.
    const param = `tools.${unkept}.function.strict`;
    return refused(openAiFailure('unsupported_parameter', { param }));
  }
  // Compiled only to refuse by name what no engine is known to keep to.
  const formed = formOf({ ...request, toolChoice: { kind: 'none' } });
  if (formed.outcome === 'refused') return refused(formed.failure);
  const tooling = { tools, toolChoice, parallelToolCalls, format };
  return generatePlan(bounds, {
    ...commonOf(request),
    prompts: [{ kind: 'conversation', messages, tooling }],
  });
}

/** Tools and schemas become words of the prompt and a grammar. */
function writtenPlan(request: ChatRequest, bounds: Bounds): Plan {
  const formed = formOf(request);
  if (formed.outcome === 'refused') return refused(formed.failure);
  const { grammar, tools, toolAnswer } = formed.form;
  return generatePlan(bounds, {
    ...commonOf(request),
    grammar,
    toolAnswer,
    prompts: [{ kind: 'chat', messages: turnsOf(request.messages, tools) }],
  });
}

function commonOf(request: ChatRequest): Omit<Generating, 'prompts'> {
  return {
    ...request,
    asked: { ...request, prompts: 1 },
    promptParam: 'messages',
    shape: (identity) => chatShape(identity, request.topLogprobs),
  };
}

function refused(failure: OpenAiFailure): RefusedPlan {
  return { kind: 'refused', failure };
}

/** The clear route tag was priced and admitted; the sealed model must be the same. */
function isRouted(prelude: Prelude, model: string): boolean {
  try {
    assertRouted(prelude, model);
    return true;
  } catch (error) {
    if (hasCode(error, 'sx.model')) return false;
    throw error;
  }
}

function promptBound(card: Card, prelude: Prelude): number {
  return Math.min(card.limits.maxPromptTokens, prelude.maxPrompt);
}

interface Generating {
  readonly asked: AskedMembers;
  readonly prompts: readonly Prompt[];
  readonly choices: number;
  readonly promptParam: string;
  readonly maxOutputTokens: number | undefined;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly topLogprobs: number | undefined;
  readonly grammar?: string | undefined;
  readonly cacheKey?: string | undefined;
  readonly toolAnswer?: GeneratePlan['toolAnswer'];
  readonly reasoningEffort?: string;
  readonly templateArguments?: TemplateArguments;
  readonly mode: 'stream' | 'unary';
  readonly includeUsage: boolean;
  readonly shape: GeneratePlan['shape'];
}

/** The smallest of what the client signed for, what the card allows and what the request asks; each choice its equal part. */
function generatePlan(bounds: Bounds, request: Generating): Plan {
  const { path, card, prelude, offers, inner } = bounds;
  const lacked = lackedMember(request.asked, offers);
  if (lacked !== undefined) {
    return refused(openAiFailure('unsupported_parameter', { param: lacked }));
  }
  const { prompts, choices, sampling, stop, topLogprobs } = request;
  const { maxOutputTokens } = card.limits;
  const signedFor = Math.floor(prelude.maxOutput / (prompts.length * choices));
  if (signedFor < 1) return refused(openAiFailure('invalid_value', { param: 'n' }));
  return {
    kind: 'generate',
    path,
    promptParam: request.promptParam,
    mode: request.mode,
    includeUsage: request.includeUsage,
    toolAnswer: request.toolAnswer,
    shape: request.shape,
    job: {
      prompts,
      choices,
      maxPromptTokens: promptBound(card, prelude),
      maxOutputTokens: Math.min(
        maxOutputTokens,
        signedFor,
        request.maxOutputTokens ?? maxOutputTokens,
      ),
      sampling,
      stop,
      topLogprobs,
      grammar: request.grammar,
      ...(!offers.lacks.has('reasoning_effort') && { reasoningEffort: request.reasoningEffort }),
      templateArguments: request.templateArguments,
      cacheNamespace: cacheNamespaceOf(inner, request.cacheKey),
    },
  };
}
