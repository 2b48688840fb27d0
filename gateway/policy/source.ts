/** Where published documents come from. Whoever answers can withhold them, and nothing else. Registry: sources.ts. @module */

export interface PublicationSource {
  /**
   * The newest bytes under this name, such as `root/2.json`. Undefined: there is none, or it has not changed since the last
   * answer. Throws `http.*` or `publication_source.*` when nobody can tell.
   */
  fetch(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Asked again, `fetch` answers although nothing has changed. */
  forget(name: string): void;
  /** Resolves when it is worth asking again, at the latest after its interval; false when the signal ended it. */
  changed(signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}
