/**
 * The OpenAI-compatible paths of the gateway, on raw requests. To add one: write its file, add its line here.
 * Spec: OpenAI API reference; openai-gateway-and-engine §2.1.
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import { ENDPOINTS } from '../../protocol/openai/endpoints.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { modelList, modelObject, type ServedModel } from '../../protocol/openai/models.ts';
import { handlePlain, type ChatDeps } from './chat.ts';
import { respondFailure, respondJson } from './respond.ts';

export interface OpenAiDeps extends ChatDeps {
  readonly clock: Clock;
  /** Models that some admitted worker serves now. */
  readonly models: () => readonly ServedModel[];
}

interface Exchange {
  readonly deps: OpenAiDeps;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Without the query. */
  readonly path: string;
}

interface Route {
  readonly method: string;
  readonly matches: (path: string) => boolean;
  readonly handle: (exchange: Exchange) => Promise<void> | void;
}

const MODELS_PATH = '/v1/models';
const MODEL_PREFIX = `${MODELS_PATH}/`;

const ROUTES: readonly Route[] = [
  ...ENDPOINTS.map((endpoint): Route => ({
    method: 'POST',
    matches: (path) => path === endpoint.path,
    handle: ({ deps, request, response }) =>
      handlePlain(deps, endpoint.path, { request, response }),
  })),
  { method: 'GET', matches: (path) => path === MODELS_PATH, handle: listModels },
  { method: 'GET', matches: (path) => path.startsWith(MODEL_PREFIX), handle: showModel },
];

/** False: the path is not of this surface, and the caller answers. Otherwise the response is taken care of. */
export function serveOpenAi(
  deps: OpenAiDeps,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const [path = ''] = (request.url ?? '').split('?', 1);
  const known = ROUTES.filter((route) => route.matches(path));
  if (known.length === 0) return false;
  const route = known.find((candidate) => candidate.method === request.method);
  if (route === undefined) {
    respondFailure(response, openAiFailure('method_not_allowed'));
    return true;
  }
  void route.handle({ deps, request, response, path });
  return true;
}

/** For whoever owns the last word on a path. */
export function respondUnknownUrl(response: ServerResponse): void {
  respondFailure(response, openAiFailure('unknown_url'));
}

const MS_PER_S = 1000;

function createdS(deps: OpenAiDeps): number {
  return Math.floor(deps.clock() / MS_PER_S);
}

function listModels({ deps, response }: Exchange): void {
  respondJson(response, 200, modelList(deps.models(), createdS(deps)));
}

/** Ids may contain a slash, which SDKs percent-encode. */
function showModel({ deps, response, path }: Exchange): void {
  const id = decodedId(path.slice(MODEL_PREFIX.length));
  const model = deps.models().find((served) => served.id === id);
  if (model === undefined) {
    respondFailure(response, openAiFailure('model_not_found'));
    return;
  }
  respondJson(response, 200, modelObject(model, createdS(deps)));
}

function decodedId(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Malformed escapes name no model.
    return undefined;
  }
}
