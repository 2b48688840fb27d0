/**
 * The list of models in OpenAI's shape. Spec: OpenAI API reference, "Models".
 * @module
 */

import { z } from 'zod';
import { MODEL_ID_MAX_CHARS } from './envelope.ts';

export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  readonly context_length: number;
}

export interface ModelList {
  readonly object: 'list';
  readonly data: readonly ModelObject[];
}

/** What an `AttestedKey` or a registry entry knows of its model. */
export interface ServedModel {
  readonly id: string;
  readonly contextLength: number;
}

const OWNER = 'veilgate';

export function modelObject(model: ServedModel, createdS: number): ModelObject {
  return {
    id: model.id,
    object: 'model',
    created: createdS,
    owned_by: OWNER,
    context_length: model.contextLength,
  };
}

/** One entry per id, sorted, so that two replicas answer alike. */
export function modelList(models: readonly ServedModel[], createdS: number): ModelList {
  const byId = new Map(models.map((model) => [model.id, model]));
  const sorted = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { object: 'list', data: sorted.map((model) => modelObject(model, createdS)) };
}

const MODELS_MAX = 1024;
const NAMES = z.looseObject({
  data: z.array(z.looseObject({ id: z.string().min(1).max(MODEL_ID_MAX_CHARS) })).max(MODELS_MAX),
});

/** The names in somebody else's list; undefined when it is no list. */
export function decodeModelNames(json: unknown): readonly string[] | undefined {
  const decoded = NAMES.safeParse(json);
  return decoded.success ? decoded.data.data.map((entry) => entry.id) : undefined;
}
