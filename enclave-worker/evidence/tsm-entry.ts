/**
 * One request at the kernel's report interface: a directory, 64 bytes in, a quote out. Every write raises a counter of
 * the directory, and exactly ours may have raised it.
 * Spec: Linux Documentation/ABI/testing/configfs-tsm-report; tdx.md §8; sev-snp.md §5.
 * @module
 */

import { randomBytes } from '#primitives';
import type { TeeName } from '../../attestation/verdict.ts';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { providerError } from '../errors.ts';
import { ATTRIBUTE_MAX_BYTES, COLLECT_BACK_OFF_FIRST_MS } from '../limits.ts';
import { systemCodeOf, type Guest } from './guest.ts';
import { stopErrorOf } from './lane.ts';

/** What the attribute `provider` says, which is the name of the kernel module. */
const VENDORS: ReadonlyMap<string, TeeName> = new Map([
  ['tdx_guest', 'tdx'],
  ['sev_guest', 'snp'],
]);

const NAME_BYTES = 16;
const REMOVE_ATTEMPTS_MAX = 3;

/** Whatever happens, the directory is gone afterwards. */
export async function withEntry<Value>(
  guest: Guest,
  signal: AbortSignal,
  use: (entry: Entry) => Promise<Value>,
): Promise<Value> {
  const { files, paths } = guest;
  const folder = `${paths.reports}/veilgate-${toHex(randomBytes(NAME_BYTES))}`;
  if (signal.aborted) throw stopErrorOf(signal);
  try {
    await files.mkdir(folder);
  } catch (error) {
    throw translated(error, 'mkdir');
  }
  let value: Value;
  try {
    value = await use(new Entry(files, folder, signal));
  } catch (error) {
    // The first failure says more than one that may follow from it.
    await remove(guest, folder).catch(() => undefined);
    throw error;
  }
  await remove(guest, folder);
  return value;
}

/** Not subject to the caller's signal: a caller who left must not leave a directory. */
async function remove({ files, wait }: Guest, folder: string): Promise<void> {
  for (let left = REMOVE_ATTEMPTS_MAX; ; left--) {
    try {
      await files.rmdir(folder);
      return;
    } catch (cause) {
      const error = translated(cause, 'rmdir');
      if (error.code !== 'evidence.busy') throw error;
      // Another attempt would only leave another directory.
      if (left <= 1) throw providerError('evidence.unavailable', 'rmdir', { cause });
    }
    await wait(COLLECT_BACK_OFF_FIRST_MS, new AbortController().signal);
  }
}

/** One directory of the report interface, and how often it was written to. */
export class Entry {
  readonly #files: Guest['files'];
  readonly #folder: string;
  readonly #signal: AbortSignal;
  /** After our last write. */
  #generation: bigint | undefined;

  constructor(files: Guest['files'], folder: string, signal: AbortSignal) {
    this.#files = files;
    this.#folder = folder;
    this.#signal = signal;
  }

  /** Throws `evidence.unsupported` for machines that nobody here can verify. */
  async vendor(): Promise<TeeName> {
    const name = await this.#text('provider', /^[a-z0-9_]{1,64}$/);
    const tee = VENDORS.get(name);
    if (tee === undefined) throw providerError('evidence.unsupported', `provider ${name}`);
    return tee;
  }

  /** The floor is the level that this guest itself runs at. */
  async assertPrivlevel(wanted: number): Promise<void> {
    const floor = Number(await this.#text('privlevel_floor', /^[0-9]{1,4}$/));
    if (wanted < floor) {
      throw providerError('evidence.privilege_level', `wanted ${wanted}, allowed from ${floor}`);
    }
  }

  /**
   * Writes, and sees that this write and no other was taken. For a blob that is the only way to know: configfs hands it
   * over when the file is closed, and forgets what came of it.
   */
  async set(attribute: 'privlevel' | 'inblob', bytes: Uint8Array): Promise<void> {
    const before = this.#generation ?? (await this.#readGeneration());
    await this.#step(attribute, () => this.#files.write(this.#path(attribute), bytes));
    const after = await this.#readGeneration();
    if (after === before) throw providerError('evidence.busy', `${attribute} was not taken`);
    if (after !== next(before)) throw providerError('evidence.raced');
    this.#generation = after;
  }

  /** Nobody has written since our last write: everything read since then belongs to it. */
  async assertUntouched(): Promise<void> {
    if ((await this.#readGeneration()) !== this.#generation) throw providerError('evidence.raced');
  }

  blob(attribute: 'outblob' | 'auxblob', maxBytes: number): Promise<Uint8Array> {
    return this.#step(attribute, () => this.#files.read(this.#path(attribute), maxBytes));
  }

  /** Undefined when the machine has none. */
  async optionalBlob(attribute: 'auxblob', maxBytes: number): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.blob(attribute, maxBytes);
      return bytes.length === 0 ? undefined : bytes;
    } catch (error) {
      // A directory that vanished is noticed at the next read of the counter.
      if (error instanceof VeilError && systemCodeOf(error.cause) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #readGeneration(): Promise<bigint> {
    return BigInt(await this.#text('generation', /^[0-9]{1,20}$/));
  }

  async #text(attribute: string, form: RegExp): Promise<string> {
    const bytes = await this.#step(attribute, () =>
      this.#files.read(this.#path(attribute), ATTRIBUTE_MAX_BYTES),
    );
    const text = textOf(bytes);
    if (!form.test(text)) throw providerError('evidence.malformed', attribute);
    return text;
  }

  #path(attribute: string): string {
    return `${this.#folder}/${attribute}`;
  }

  async #step<Value>(attribute: string, action: () => Promise<Value>): Promise<Value> {
    if (this.#signal.aborted) throw stopErrorOf(this.#signal);
    try {
      return await action();
    } catch (error) {
      throw translated(error, attribute);
    }
  }
}

/** The counter is an `unsigned long` of the kernel. */
function next(generation: bigint): bigint {
  return BigInt.asUintN(64, generation + 1n);
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes).replace(/\n$/, '');
  } catch {
    // Not text: no form that is asked for allows the empty string.
    return '';
  }
}

type ProviderCode = Parameters<typeof providerError>[0];

interface SystemErrors {
  readonly codes: Readonly<Record<string, ProviderCode>>;
  readonly otherwise: ProviderCode;
}

const EVERYWHERE: SystemErrors['codes'] = {
  EACCES: 'evidence.permission',
  EPERM: 'evidence.permission',
  /** As containers mount what is not theirs. */
  EROFS: 'evidence.permission',
  EBUSY: 'evidence.busy',
  EAGAIN: 'evidence.busy',
  EINTR: 'evidence.busy',
  EFBIG: 'evidence.oversized',
};
/** Of every file in a directory that is there. ENOENT: somebody has removed it. */
const IN_ENTRY: SystemErrors = {
  codes: { ...EVERYWHERE, ENOENT: 'evidence.raced' },
  otherwise: 'evidence.unavailable',
};
const STEPS: ReadonlyMap<string, SystemErrors> = new Map<string, SystemErrors>([
  // ENOENT: no such interface. ENXIO: the interface without a module behind it.
  [
    'mkdir',
    { codes: { ...EVERYWHERE, EEXIST: 'evidence.raced' }, otherwise: 'evidence.unavailable' },
  ],
  ['privlevel', { ...IN_ENTRY, codes: { ...IN_ENTRY.codes, EINVAL: 'evidence.privilege_level' } }],
  // What is left are failures of the host: EIO, ETIMEDOUT, ENXIO, and what else it may think of.
  [
    'outblob',
    {
      codes: {
        ...IN_ENTRY.codes,
        EINVAL: 'evidence.malformed',
        ENOTTY: 'evidence.unavailable',
      },
      otherwise: 'evidence.host',
    },
  ],
]);

/** What the system's error means at this step. Errors of ours pass through. */
export function translated(cause: unknown, step: string): VeilError {
  if (cause instanceof VeilError) return cause;
  const { codes, otherwise } = STEPS.get(step) ?? IN_ENTRY;
  const code = systemCodeOf(cause);
  return providerError(codes[code] ?? otherwise, `${step} ${code}`, { cause });
}
