/**
 * What a policy says about gateways that run in a TEE and may hold plaintext. Lists of their own beside those of workers, so
 * that neither can act as the other. Spec: docs/attested-gateway.md "Policy"; gateways-and-e2ee §7.8.
 * @module
 */

import { z } from 'zod';
import { CPU } from './cpu-schema.ts';
import { anyOr, listOf, NAME } from './fields.ts';
import { GATEWAY_IMAGE } from './image-schema.ts';

const GATEWAY_RULE = z.strictObject({ id: NAME, images: listOf(NAME), cpu: CPU });

export const GATEWAYS = z.strictObject({
  /** Whether every verifier has the gateway answer a challenge of its own; else the statement is dated by its `iat`. */
  challenge: anyOr(z.literal('required'), 'required'),
  rules: listOf(GATEWAY_RULE),
  images: listOf(GATEWAY_IMAGE),
});
