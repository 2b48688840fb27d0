/**
 * Every surface in front of chat completions. To add one: write it, add its line here. Spec: openai-gateway-and-engine §2.1.
 * @module
 */

import { messagesFront } from './anthropic/messages.ts';
import type { Front } from './openai/chat-front.ts';
import { responsesFront } from './openai/responses.ts';

export const FRONTS: readonly Front[] = [responsesFront, messagesFront];

export function frontAt(path: string): Front | undefined {
  return FRONTS.find((front) => front.path === path);
}
