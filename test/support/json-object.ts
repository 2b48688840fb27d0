/** One line of JSON that a command wrote for programs. @module */

import { z } from 'zod';

const OBJECT = z.record(z.string(), z.unknown());

export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  return OBJECT.parse(JSON.parse(text));
}
