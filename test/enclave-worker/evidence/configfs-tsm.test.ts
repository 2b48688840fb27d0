/** Quotes from the kernel's report interface: what is asked, what is handed over, and what is refused. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTdxQuote } from '../../../attestation/tdx/quote.ts';
import { concat, fixed, toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { openConfigfsTsm } from '../../../enclave-worker/evidence/configfs-tsm.ts';
import type { Guest } from '../../../enclave-worker/evidence/guest.ts';
import { thisGuest } from '../../../enclave-worker/evidence/guest.ts';
import type { CollectedEvidence } from '../../../enclave-worker/evidence/provider.ts';
import {
  fakeGuest,
  systemError,
  type FakeGuest,
  type FakeKernel,
} from '../../support/tsm/fake-kernel.ts';
import { snpReport, tdxQuote } from '../../support/tsm/quotes.ts';

const REPORT_DATA: Bytes<64> = fixed(
  Uint8Array.from({ length: 64 }, (_, at) => at + 1),
  64,
);
const OTHER_DATA: Bytes<64> = fixed(new Uint8Array(64).fill(9), 64);
const SIGNAL = new AbortController().signal;
const KIB = 1024;

function tdxGuest(change?: (kernel: FakeKernel) => void): FakeGuest {
  return fakeGuest(change);
}

function snpGuest(change: (kernel: FakeKernel) => void = () => undefined): FakeGuest {
  return fakeGuest((kernel) => {
    kernel.provider = 'sev_guest';
    change(kernel);
  });
}

async function collectFrom(guest: Guest, privlevel = 0): Promise<CollectedEvidence> {
  const provider = await openConfigfsTsm({ privlevel }, guest, SIGNAL);
  return provider.collect(REPORT_DATA);
}

async function assertRefused(
  { guest, kernel }: FakeGuest,
  code: string,
  privlevel?: number,
): Promise<void> {
  await assert.rejects(collectFrom(guest, privlevel), (error) => hasCode(error, code));
  assert.equal(kernel.entries.size, 0, 'no entry is left');
}

test('a TDX guest gives a quote over the report data, and no entry is left', async () => {
  const { guest, kernel, waits } = tdxGuest();
  const provider = await openConfigfsTsm({ privlevel: 0 }, guest, SIGNAL);
  assert.equal(provider.name, 'configfs-tsm');
  assert.equal(provider.tee, 'tdx');
  assert.equal(provider.simulated, false);
  const evidence = await provider.collect(REPORT_DATA);
  assert.deepEqual(Object.keys(evidence), ['tee', 'quote']);
  assert.equal(toHex(parseTdxQuote(evidence.quote).td.reportData), toHex(REPORT_DATA));
  assert.equal(kernel.entries.size, 0);
  assert.deepEqual(waits, []);
});

test('a quote of version 5 has its report data at another place', async () => {
  const { guest } = tdxGuest((kernel) => {
    kernel.quote = (entry) => tdxQuote(fixed(entry.inblob, 64), 5);
  });
  assert.equal(parseTdxQuote((await collectFrom(guest)).quote).version, 5);
});

test('a quote with padding behind it is handed over as it came', async () => {
  const padded = concat(tdxQuote(REPORT_DATA), new Uint8Array(2000));
  const { guest } = tdxGuest((kernel) => {
    kernel.quote = () => padded;
  });
  assert.equal((await collectFrom(guest)).quote.length, padded.length);
});

test('an SNP guest asks for VMPL 0 before it asks for the report', async () => {
  const { guest, kernel } = snpGuest();
  const provider = await openConfigfsTsm({ privlevel: 0 }, guest, SIGNAL);
  assert.equal(provider.tee, 'snp');
  kernel.steps.length = 0;
  const evidence = await provider.collect(REPORT_DATA);
  assert.equal(toHex(evidence.quote), toHex(snpReport(REPORT_DATA)));
  assert.deepEqual(
    kernel.steps.filter((step) => /^(mkdir|rmdir|write|read (outblob|auxblob))/.test(step)),
    ['mkdir', 'write privlevel', 'write inblob', 'read outblob', 'read auxblob', 'rmdir'],
  );
});

test('the certificate table of the host comes along, untouched', async () => {
  const table = utf8('whatever the host likes');
  const { guest } = snpGuest((kernel) => {
    kernel.auxblob = table;
  });
  assert.deepEqual((await collectFrom(guest)).certificates, table);
});

test('a host without a certificate table is normal', async () => {
  const absent = snpGuest();
  assert.equal('certificates' in (await collectFrom(absent.guest)), false);
  const empty = snpGuest((kernel) => {
    kernel.auxblob = new Uint8Array();
  });
  assert.equal('certificates' in (await collectFrom(empty.guest)), false);
});

test('the event log of a TDX guest comes along when it can be read', async () => {
  const log = utf8('event log');
  const { guest } = tdxGuest((kernel) => {
    kernel.files.set(thisGuest.paths.ccel, log);
  });
  assert.deepEqual((await collectFrom(guest)).eventLog, { kind: 'ccel', bytes: log });
  for (const content of ['EACCES', 'EPERM', 'ENOENT', new Uint8Array()]) {
    const { guest: without } = tdxGuest((kernel) => {
      kernel.files.set(thisGuest.paths.ccel, content);
    });
    assert.equal('eventLog' in (await collectFrom(without)), false);
  }
});

test('an SNP guest has no event log, whatever lies there', async () => {
  const { guest } = snpGuest((kernel) => {
    kernel.files.set(thisGuest.paths.ccel, utf8('event log'));
  });
  assert.equal('eventLog' in (await collectFrom(guest)), false);
});

test('an event log of more than a mebibyte, or one that breaks, fails the call', async () => {
  await assertRefused(
    tdxGuest((kernel) => {
      kernel.files.set(thisGuest.paths.ccel, new Uint8Array(KIB * KIB + 1));
    }),
    'evidence.oversized',
  );
  await assertRefused(
    tdxGuest((kernel) => {
      kernel.files.set(thisGuest.paths.ccel, 'EIO');
    }),
    'evidence.unavailable',
  );
});

test('a quote over other report data is not handed over', async () => {
  await assertRefused(
    tdxGuest((kernel) => {
      kernel.quote = () => tdxQuote(OTHER_DATA);
    }),
    'evidence.foreign',
  );
  await assertRefused(
    snpGuest((kernel) => {
      kernel.quote = () => snpReport(OTHER_DATA);
    }),
    'evidence.foreign',
  );
});

test('one flipped bit of the report data makes a quote foreign', async () => {
  const flipped = new Uint8Array(REPORT_DATA);
  flipped[63] = 0x80;
  await assertRefused(
    snpGuest((kernel) => {
      kernel.quote = () => snpReport(flipped);
    }),
    'evidence.foreign',
  );
});

test('an answer that is no quote is refused', async () => {
  const cases: readonly (readonly [make: typeof tdxGuest, quote: Uint8Array])[] = [
    [tdxGuest, tdxQuote(REPORT_DATA).subarray(0, 700)],
    [tdxGuest, new Uint8Array(5000)],
    [tdxGuest, snpReport(REPORT_DATA)],
    [snpGuest, snpReport(REPORT_DATA).subarray(0, 1183)],
    [snpGuest, concat(snpReport(REPORT_DATA), new Uint8Array(1))],
    [snpGuest, tdxQuote(REPORT_DATA)],
  ];
  for (const [make, quote] of cases) {
    await assertRefused(
      make((kernel) => {
        kernel.quote = () => quote;
      }),
      'evidence.malformed',
    );
  }
});

test('an empty answer is a failure of the host, as where its quoting service is down', async () => {
  for (const make of [tdxGuest, snpGuest]) {
    await assertRefused(
      make((kernel) => {
        kernel.quote = () => new Uint8Array();
      }),
      'evidence.host',
    );
  }
});

test('answers past their caps are refused', async () => {
  await assertRefused(
    tdxGuest((kernel) => {
      kernel.quote = () => concat(tdxQuote(REPORT_DATA), new Uint8Array(128 * KIB));
    }),
    'evidence.oversized',
  );
  await assertRefused(
    snpGuest((kernel) => {
      kernel.auxblob = new Uint8Array(64 * KIB + 1);
    }),
    'evidence.oversized',
  );
});

test('a certificate table of the largest size is taken', async () => {
  const { guest } = snpGuest((kernel) => {
    kernel.auxblob = new Uint8Array(64 * KIB);
  });
  assert.equal((await collectFrom(guest)).certificates?.length, 64 * KIB);
});

test('a provider of another vendor is refused, and so is one that is no name', async () => {
  for (const name of ['arm_cca_guest', 'tdx_guest2', 'sev-guest']) {
    await assertRefused(
      tdxGuest((kernel) => {
        kernel.provider = name;
      }),
      name === 'sev-guest' ? 'evidence.malformed' : 'evidence.unsupported',
    );
  }
  for (const name of ['', 'tdx_guest\ntdx_guest', 'TDX', '\u00e9', 'x'.repeat(65)]) {
    await assertRefused(
      tdxGuest((kernel) => {
        kernel.provider = name;
      }),
      'evidence.malformed',
    );
  }
});

test('a provider that becomes another one is refused', async () => {
  const { guest, kernel } = tdxGuest();
  const provider = await openConfigfsTsm({ privlevel: 0 }, guest, SIGNAL);
  kernel.provider = 'sev_guest';
  await assert.rejects(provider.collect(REPORT_DATA), (error) =>
    hasCode(error, 'evidence.unsupported'),
  );
});

test('below its own level a guest may not ask, and does not try', async () => {
  const low = snpGuest((kernel) => {
    kernel.floor = 2;
  });
  await assertRefused(low, 'evidence.privilege_level');
  assert.ok(!low.kernel.steps.includes('write privlevel'));
  const evidence = await collectFrom(low.guest, 2);
  assert.equal(new DataView(evidence.quote.buffer).getUint32(0x30, true), 2);
});

test('a floor that rises later is noticed', async () => {
  const { guest, kernel } = snpGuest();
  const provider = await openConfigfsTsm({ privlevel: 0 }, guest, SIGNAL);
  kernel.floor = 1;
  await assert.rejects(provider.collect(REPORT_DATA), (error) =>
    hasCode(error, 'evidence.privilege_level'),
  );
  assert.ok(!kernel.steps.includes('write privlevel'));
});

test('a level that the kernel does not take is refused', async () => {
  await assertRefused(
    snpGuest((kernel) => {
      kernel.before = (step) => {
        if (step === 'write privlevel') throw systemError('EINVAL');
      };
    }),
    'evidence.privilege_level',
  );
});

test('a report of another level than the one asked for is refused', async () => {
  await assertRefused(
    snpGuest((kernel) => {
      kernel.quote = (entry) => snpReport(entry.inblob, 1);
    }),
    'evidence.privilege_level',
  );
});

test('a counter that is no number is refused', async () => {
  for (const text of ['', '-1', '0x1', '1 2', '123456789012345678901', '\u0661']) {
    const fake = tdxGuest();
    const read = fake.kernel.read.bind(fake.kernel);
    fake.kernel.read = async (path, maxBytes) =>
      path.endsWith('/generation') ? utf8(text) : read(path, maxBytes);
    await assertRefused(fake, 'evidence.malformed');
  }
});

const SYSTEM_ERRORS: readonly (readonly [step: string, error: string, code: string])[] = [
  ['mkdir', 'EACCES', 'evidence.permission'],
  ['mkdir', 'EPERM', 'evidence.permission'],
  ['mkdir', 'EROFS', 'evidence.permission'],
  ['mkdir', 'ENOENT', 'evidence.unavailable'],
  ['mkdir', 'ENXIO', 'evidence.unavailable'],
  ['mkdir', 'ENOMEM', 'evidence.unavailable'],
  ['read provider', 'EACCES', 'evidence.permission'],
  ['read generation', 'EIO', 'evidence.unavailable'],
  ['write inblob', 'EACCES', 'evidence.permission'],
  ['write inblob', 'EFBIG', 'evidence.oversized'],
  ['read outblob', 'EACCES', 'evidence.permission'],
  ['read outblob', 'EIO', 'evidence.host'],
  ['read outblob', 'ETIMEDOUT', 'evidence.host'],
  ['read outblob', 'ENXIO', 'evidence.host'],
  ['read outblob', 'EINVAL', 'evidence.malformed'],
  ['read outblob', 'ENOTTY', 'evidence.unavailable'],
  ['read outblob', 'EFBIG', 'evidence.oversized'],
  ['read auxblob', 'EIO', 'evidence.unavailable'],
  ['rmdir', 'EIO', 'evidence.unavailable'],
];

test('each error of the system has its meaning, and is not tried again', async () => {
  for (const [failing, error, code] of SYSTEM_ERRORS) {
    const fake = snpGuest();
    const provider = await openConfigfsTsm({ privlevel: 0 }, fake.guest, SIGNAL);
    let failures = 0;
    fake.kernel.before = (step) => {
      if (step !== failing) return;
      failures++;
      throw systemError(error);
    };
    await assert.rejects(
      provider.collect(REPORT_DATA),
      (thrown) => hasCode(thrown, code),
      `${failing} ${error}`,
    );
    assert.equal(failures, 1, `${failing} ${error}`);
    assert.deepEqual(fake.waits, []);
  }
});

test('no module, or no interface, is told at the start', async () => {
  await assertRefused(
    tdxGuest((kernel) => {
      kernel.provider = undefined;
    }),
    'evidence.unavailable',
  );
  await assertRefused(
    tdxGuest((kernel) => {
      kernel.present = false;
    }),
    'evidence.unavailable',
  );
});
