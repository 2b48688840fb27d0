/**
 * The paths that may stand inside a seal, each with the word by which a worker's card promises to serve it. A worker
 * without the word is not asked. To add one: add its line here, its decoder beside this file, its row in
 * enclave-worker/plan.ts. Spec: P§7.1; OpenAI API reference.
 * @module
 */

export const CHAT_PATH = '/v1/chat/completions';
export const COMPLETIONS_PATH = '/v1/completions';
export const EMBEDDINGS_PATH = '/v1/embeddings';

export const ENDPOINTS = [
  { path: CHAT_PATH, capability: 'chat' },
  { path: COMPLETIONS_PATH, capability: 'completions' },
  { path: EMBEDDINGS_PATH, capability: 'embeddings' },
] as const;

export type Endpoint = (typeof ENDPOINTS)[number];
export type EndpointPath = Endpoint['path'];
/** What a card may promise and an engine can do. */
export type Capability = Endpoint['capability'];

/** Undefined: nobody serves it. */
export function endpointAt(path: string): Endpoint | undefined {
  return ENDPOINTS.find((endpoint) => endpoint.path === path);
}
