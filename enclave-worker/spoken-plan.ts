/**
 * The plan of an opened request and the voice that its answer has: a surface in front of chat becomes a chat request here,
 * inside the enclave, and is judged as one. Spec: openai-gateway-and-engine §2.1.
 * @module
 */

import { parseJson } from '../core/json.ts';
import type { Card } from '../attestation/card.ts';
import { frontAt } from '../protocol/fronts.ts';
import type { Front, FrontFailure } from '../protocol/openai/chat-front.ts';
import { ENGINE_ENDPOINTS } from '../protocol/openai/endpoints.ts';
import { failureOf, openAiFailure, type OpenAiFailure } from '../protocol/openai/errors.ts';
import { INNER_REQUEST_MAX_BYTES } from '../protocol/sx/limits.ts';
import type { Opened } from '../protocol/sx/open.ts';
import { frontVoice, OPENAI_VOICE, type AnswerVoice } from './answer-voice.ts';
import { PLAIN_OFFERS, type EngineOffers } from './engine-members.ts';
import { planAt, planOf, type Plan } from './plan.ts';

export interface SpokenPlan {
  readonly plan: Plan;
  readonly voice: AnswerVoice;
}

const [CHAT_ENDPOINT] = ENGINE_ENDPOINTS;

/** `offers`: of the engine that will serve it. */
export function spokenPlanOf(
  card: Card,
  opened: Opened,
  offers: EngineOffers = PLAIN_OFFERS,
): SpokenPlan {
  const { inner, prelude } = opened;
  const front = frontOf(opened);
  if (front === undefined || inner.kind !== 'request') {
    return { plan: planOf(card, opened, offers), voice: OPENAI_VOICE };
  }
  let body: unknown;
  try {
    body = parseJson(inner.request.body, INNER_REQUEST_MAX_BYTES);
  } catch (error) {
    return refusedPlan(opened, failureOf(error));
  }
  const decision = front.decode(body);
  if (decision.outcome === 'refused') {
    // The surface has said already what is wrong, in its own words.
    const voice = { ...OPENAI_VOICE, refusal: () => decision.failure };
    return { plan: { kind: 'refused', failure: openAiFailure(decision.code) }, voice };
  }
  const { request } = decision;
  const bounds = { card, prelude, offers, inner: inner.request };
  const plan = planAt(CHAT_ENDPOINT, request.chat, bounds);
  return { plan, voice: frontVoice(front, request) };
}

/** In the words of the path that was asked. */
export function refusedPlan(opened: Opened, failure: OpenAiFailure): SpokenPlan {
  const front = frontOf(opened);
  const refusal = (said: OpenAiFailure): FrontFailure => front?.refusal(said) ?? said;
  return { plan: { kind: 'refused', failure }, voice: { ...OPENAI_VOICE, refusal } };
}

function frontOf({ inner }: Opened): Front | undefined {
  return inner.kind === 'request' ? frontAt(inner.request.path) : undefined;
}
