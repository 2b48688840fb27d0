/** What a worker has to be told of an engine that runs beside it. Spec: docs/engines.md; STYLE §11. @module */

import { z } from 'zod';
import { PATH } from '../../config-fields.ts';
import { UPSTREAM_KIND_NAMES } from './kinds.ts';

const URL_MAX_CHARS = 256;
const MODEL_MAX_CHARS = 256;
const ARGUMENT_MAX_CHARS = 4096;
const ARGUMENTS_MAX = 256;
const FILES_MAX = 16;
const HOUR_MS = 3_600_000;

export const UPSTREAM_CONFIG = z.strictObject({
  kind: z.enum(UPSTREAM_KIND_NAMES),
  /** `http://127.0.0.1:8000`: this machine and no other. With a socket, `http://localhost`. */
  url: z
    .url({ protocol: /^http$/ })
    .max(URL_MAX_CHARS)
    .default('http://localhost'),
  socketPath: PATH.exactOptional(),
  /** As the upstream lists it. */
  model: z.string().min(1).max(MODEL_MAX_CHARS),
  /** Absent: as is best for the kind. `written`: tools and schemas become words of the prompt and a grammar of ours. */
  conversations: z.enum(['taken', 'written']).exactOptional(),
  /** `shared`: what one app asked before may make another's prompt faster, and who measures that learns of it. */
  prefixCache: z.enum(['isolated', 'shared']).default('isolated'),
  /** What the engine is started with, as it is: it becomes part of the digest. */
  arguments: z.array(z.string().max(ARGUMENT_MAX_CHARS)).max(ARGUMENTS_MAX).default([]),
  /** Files that the engine reads beside the weights, such as its configuration or a chat template: the same. */
  files: z.array(PATH).max(FILES_MAX).default([]),
  /** How long it may take to load its model. */
  readyWithinMs: z.int().min(1000).max(HOUR_MS).default(900_000),
  /** From the request to the first piece of an answer. */
  queueMs: z.int().min(100).max(HOUR_MS).default(120_000),
  /** Between two pieces of an answer. */
  idleMs: z.int().min(100).max(HOUR_MS).default(30_000),
});

export type UpstreamConfig = z.output<typeof UPSTREAM_CONFIG>;
