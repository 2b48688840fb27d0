/** A disk in memory, for stores under test: copies in and out, and can be made to fail. @module */

import type { BlobStore } from '../../../attestation/collateral/ports.ts';
import { defineErrors } from '../../../core/errors.ts';

const failed = defineErrors({
  'blob.test': { status: 500, recovery: 'stop', public: 'Internal error.' },
});

export class MemoryBlobs implements BlobStore {
  readonly files = new Map<string, Uint8Array>();
  isBroken = false;
  puts = 0;

  async get(key: string): Promise<Uint8Array | undefined> {
    await this.#turn();
    return this.files.get(key)?.slice();
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#turn();
    this.puts++;
    this.files.set(key, bytes.slice());
  }

  async delete(key: string): Promise<void> {
    await this.#turn();
    this.files.delete(key);
  }

  async list(): Promise<readonly string[]> {
    await this.#turn();
    return [...this.files.keys()];
  }

  async #turn(): Promise<void> {
    await Promise.resolve();
    if (this.isBroken) throw failed('blob.test');
  }
}
