/** The model that a fresh clone serves: small, ours, and good for showing the whole path. How it was made: README.md. @module */

import { fileURLToPath } from 'node:url';
import { sha256 } from '#primitives';
import { fixed, fromHex, utf8, type Bytes } from '../../core/bytes.ts';

export interface DemoModel {
  readonly id: string;
  readonly path: string;
  readonly sha256: Bytes<32>;
  readonly contextLength: number;
}

/** What the demo worker runs in, as the development policy lists it: digests of texts, because there is no image. */
export const DEMO_WORKLOAD: { readonly image: Bytes<32>; readonly config: Bytes<32> } = {
  image: sha256(utf8('veilgate demo image/1 workload image')),
  config: sha256(utf8('veilgate demo image/1 workload config')),
};

export const DEMO_MODEL: DemoModel = {
  id: 'veilgate-demo',
  path: fileURLToPath(new URL('veilgate-demo-q8_0.gguf', import.meta.url)),
  sha256: fixed(fromHex('197beee7c827ab974ec70d12a4381f779fafa9ad65ba48f7f0a42f2d168a28a3'), 32),
  contextLength: 192,
};
