/**
 * The report interface of a kernel, in memory: entries count writes, make quotes when they are read, and do it for
 * whoever writes to them. What goes wrong is up to the test. It follows the kernel where the kernel is odd: a blob is
 * taken when its file is closed, and nobody is told when it was not.
 * Spec: Linux drivers/virt/coco (report interface), fs/configfs (binary attributes).
 * @module
 */

import { fixed, fromUtf8, utf8 } from '../../../core/bytes.ts';
import { providerError } from '../../../enclave-worker/errors.ts';
import { thisGuest, type Guest, type GuestFiles } from '../../../enclave-worker/evidence/guest.ts';
import { snpReport, tdxQuote } from './quotes.ts';

export interface FakeEntry {
  generation: bigint;
  /** The generation that the cached report belongs to. */
  made: bigint;
  privlevel: number;
  inblob: Uint8Array;
  outblob: Uint8Array;
}

/** `mkdir`, `rmdir`, the name of an attribute with `read` or `write` before it, or the path of any other file. */
export type Step = string;

const INBLOB_MAX_BYTES = 64;
const PRIVLEVEL_MAX = 3;
const COUNTER_BITS = 64;

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: made up`), { code });
}

export class FakeKernel implements GuestFiles {
  /** Undefined: no module has registered. */
  provider: string | undefined = 'tdx_guest';
  /** False: nothing at the path of the interface. */
  present = true;
  floor = 0;
  auxblob: Uint8Array | undefined = undefined;
  firstGeneration = 0n;
  /** Runs before each step: may throw as the system does, act as another process, or not come back. */
  before: (step: Step, entry: FakeEntry | undefined) => void | Promise<void> = () => undefined;
  /** What the host makes of a request. */
  quote: (entry: FakeEntry) => Uint8Array = (entry) =>
    this.provider === 'sev_guest'
      ? snpReport(entry.inblob, entry.privlevel)
      : tdxQuote(fixed(entry.inblob, INBLOB_MAX_BYTES));
  /** True: the blob is lost on close. */
  loses: (entry: FakeEntry) => boolean = () => false;

  readonly entries = new Map<string, FakeEntry>();
  /** Everything else there is: bytes, or the system's error. */
  readonly files = new Map<string, Uint8Array | string>();
  readonly sockets = new Set<string>();
  readonly steps: Step[] = [];
  /** How many entries were there at one time. */
  entriesMax = 0;
  readonly #root = thisGuest.paths.reports;

  async mkdir(path: string): Promise<void> {
    await this.#step('mkdir', undefined);
    if (!this.present) throw systemError('ENOENT');
    if (this.provider === undefined) throw systemError('ENXIO');
    if (this.entries.has(path)) throw systemError('EEXIST');
    this.entries.set(path, {
      generation: this.firstGeneration,
      made: -1n,
      privlevel: 0,
      inblob: new Uint8Array(),
      outblob: new Uint8Array(),
    });
    this.entriesMax = Math.max(this.entriesMax, this.entries.size);
  }

  async rmdir(path: string): Promise<void> {
    await this.#step('rmdir', this.entries.get(path));
    if (!this.entries.delete(path)) throw systemError('ENOENT');
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    const { entry, attribute } = this.#find(path);
    await this.#step(`write ${attribute}`, entry);
    if (entry === undefined || !this.entries.has(this.#folderOf(path))) throw systemError('ENOENT');
    if (attribute === 'privlevel') this.#setPrivlevel(entry, bytes);
    else if (attribute === 'inblob') this.setInblob(entry, bytes);
    else throw systemError('EACCES');
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array> {
    const { entry, attribute } = this.#find(path);
    await this.#step(attribute === '' ? path : `read ${attribute}`, entry);
    const bytes = attribute === '' ? this.#plain(path) : this.#attribute(path, entry, attribute);
    if (bytes.length > maxBytes) throw providerError('evidence.oversized');
    return bytes;
  }

  kindOf(path: string): Promise<'folder' | 'file' | 'socket' | undefined> {
    if (path === this.#root) return Promise.resolve(this.present ? 'folder' : undefined);
    if (this.sockets.has(path)) return Promise.resolve('socket');
    return Promise.resolve(this.files.has(path) ? 'file' : undefined);
  }

  /** Also for a test that plays another process. */
  setInblob(entry: FakeEntry, bytes: Uint8Array): void {
    if (bytes.length > INBLOB_MAX_BYTES) throw systemError('EFBIG');
    if (this.loses(entry)) return;
    entry.inblob = new Uint8Array(bytes);
    this.touch(entry);
  }

  touch(entry: FakeEntry): void {
    entry.generation = BigInt.asUintN(COUNTER_BITS, entry.generation + 1n);
  }

  #setPrivlevel(entry: FakeEntry, bytes: Uint8Array): void {
    if (this.provider !== 'sev_guest') throw systemError('ENOENT');
    const level = Number(fromUtf8(bytes));
    if (level < this.floor || level > PRIVLEVEL_MAX) throw systemError('EINVAL');
    entry.privlevel = level;
    this.touch(entry);
  }

  #attribute(path: string, entry: FakeEntry | undefined, attribute: string): Uint8Array {
    if (entry === undefined || !this.entries.has(this.#folderOf(path))) throw systemError('ENOENT');
    const snp = this.provider === 'sev_guest';
    if (attribute === 'provider') return utf8(`${this.provider}\n`);
    if (attribute === 'generation') return utf8(`${entry.generation}\n`);
    if (attribute === 'privlevel_floor' && snp) return utf8(`${this.floor}\n`);
    if (attribute === 'outblob') return this.#outblob(entry);
    if (attribute === 'auxblob' && snp && this.auxblob !== undefined) return this.auxblob;
    throw systemError('ENOENT');
  }

  #outblob(entry: FakeEntry): Uint8Array {
    if (entry.inblob.length !== INBLOB_MAX_BYTES) throw systemError('EINVAL');
    if (entry.made !== entry.generation) {
      entry.outblob = this.quote(entry);
      entry.made = entry.generation;
    }
    return entry.outblob;
  }

  #plain(path: string): Uint8Array {
    const content = this.files.get(path);
    if (content === undefined) throw systemError('ENOENT');
    if (typeof content === 'string') throw systemError(content);
    return content;
  }

  #folderOf(path: string): string {
    return path.slice(0, path.lastIndexOf('/'));
  }

  #find(path: string): { readonly entry: FakeEntry | undefined; readonly attribute: string } {
    if (!path.startsWith(`${this.#root}/`)) return { entry: undefined, attribute: '' };
    const attribute = path.slice(path.lastIndexOf('/') + 1);
    return { entry: this.entries.get(this.#folderOf(path)), attribute };
  }

  async #step(step: Step, entry: FakeEntry | undefined): Promise<void> {
    this.steps.push(step);
    await this.before(step, entry);
  }
}

export interface FakeGuest {
  readonly guest: Guest;
  readonly kernel: FakeKernel;
  /** How long was waited, each time. No time passes. */
  readonly waits: number[];
}

export function fakeGuest(change: (kernel: FakeKernel) => void = () => undefined): FakeGuest {
  const kernel = new FakeKernel();
  change(kernel);
  const waits: number[] = [];
  const wait: Guest['wait'] = (ms, signal) => {
    waits.push(ms);
    return Promise.resolve(!signal.aborted);
  };
  return { guest: { files: kernel, paths: thisGuest.paths, wait }, kernel, waits };
}
