/**
 * How much a model is to think, and the variables that the template of some models takes for it. Which engines honour them is
 * in enclave-worker/engine-members.ts. Spec: OpenAI API reference `reasoning_effort`; openai-gateway-and-engine §2.2.
 * @module
 */

import { z } from 'zod';

const ARGUMENTS_MAX = 16;
const TEXT_MAX_CHARS = 256;

export const REASONING_EFFORT = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh']);

/** What an engine renders a template with itself: a request that could set these would write the template's own text. */
const RESERVED: ReadonlySet<string> = new Set([
  'add_generation_prompt',
  'bos_token',
  'chat_template',
  'continue_final_message',
  'conversation',
  'documents',
  'eos_token',
  'messages',
  'padding',
  'return_dict',
  'tokenize',
  'tool_choice',
  'tools',
  'truncation',
]);

/** Plain values only, so that no template finds a structure in it that it would walk. */
const VALUE = z.union([z.boolean(), z.number(), z.string().max(TEXT_MAX_CHARS)]);

export type TemplateArguments = Readonly<Record<string, z.infer<typeof VALUE>>>;

export const TEMPLATE_ARGUMENTS = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,63}$/), VALUE)
  .refine((given) => Object.keys(given).length <= ARGUMENTS_MAX)
  .refine((given) => !Object.keys(given).some((name) => RESERVED.has(name)));
