/**
 * The paths that may stand inside a seal, each with the word by which a worker's card promises to serve it. A worker
 * without the word is not asked. To add one: add its line here, its decoder beside this file, its row in
 * enclave-worker/plan.ts; a surface in front of chat has its line in protocol/fronts.ts. Spec: P§7.1; OpenAI API reference.
 * @module
 */

export const CHAT_PATH = '/v1/chat/completions';
export const COMPLETIONS_PATH = '/v1/completions';
export const EMBEDDINGS_PATH = '/v1/embeddings';
export const RESPONSES_PATH = '/v1/responses';
export const MESSAGES_PATH = '/v1/messages';

/** What engines do. */
export const ENGINE_ENDPOINTS = [
  { path: CHAT_PATH, capability: 'chat' },
  { path: COMPLETIONS_PATH, capability: 'completions' },
  { path: EMBEDDINGS_PATH, capability: 'embeddings' },
] as const;

/** Surfaces in front of chat, translated inside the enclave. */
const FRONT_ENDPOINTS = [
  { path: RESPONSES_PATH, capability: 'chat' },
  { path: MESSAGES_PATH, capability: 'chat' },
] as const;

export const ENDPOINTS = [...ENGINE_ENDPOINTS, ...FRONT_ENDPOINTS] as const;

export type EngineEndpoint = (typeof ENGINE_ENDPOINTS)[number];
export type EnginePath = EngineEndpoint['path'];
export type FrontPath = (typeof FRONT_ENDPOINTS)[number]['path'];
export type Endpoint = (typeof ENDPOINTS)[number];
export type EndpointPath = Endpoint['path'];
/** What a card may promise and an engine can do. */
export type Capability = EngineEndpoint['capability'];

/** Undefined: nobody serves it. */
export function endpointAt(path: string): Endpoint | undefined {
  return ENDPOINTS.find((endpoint) => endpoint.path === path);
}

/** Undefined: no engine serves it as it is. */
export function engineEndpointAt(path: string): EngineEndpoint | undefined {
  return ENGINE_ENDPOINTS.find((endpoint) => endpoint.path === path);
}
