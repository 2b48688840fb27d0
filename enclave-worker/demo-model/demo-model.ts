/** The model that a fresh clone serves: small, ours, and good for showing the whole path. How it was made: README.md. @module */

import { fileURLToPath } from 'node:url';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';

export interface DemoModel {
  readonly id: string;
  readonly path: string;
  readonly sha256: Bytes<32>;
  readonly contextLength: number;
}

export const DEMO_MODEL: DemoModel = {
  id: 'veilgate-demo',
  path: fileURLToPath(new URL('veilgate-demo-q8_0.gguf', import.meta.url)),
  sha256: fixed(fromHex('e893b457d3e8d884ff181e321580c31c64aee9e7a33b839044dacc7324b11a85'), 32),
  contextLength: 192,
};
