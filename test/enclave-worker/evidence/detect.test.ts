/** What `auto` finds, what it takes, and what it tells the operator of a machine where it finds nothing. @module */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fixed, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { detect, type Detection } from '../../../enclave-worker/evidence/detect.ts';
import {
  AZURE_PAGE,
  WORKERS_PAGE,
  type Finding,
} from '../../../enclave-worker/evidence/finding.ts';
import { thisGuest, type Guest } from '../../../enclave-worker/evidence/guest.ts';
import { openProvider } from '../../../enclave-worker/evidence/open-provider.ts';
import { startFakeAgent, type FakeAgent } from '../../support/dstack/fake-agent.ts';
import { fakeGuest, systemError, type FakeKernel } from '../../support/tsm/fake-kernel.ts';

const { paths } = thisGuest;
const SIGNAL = new AbortController().signal;
const AZURE_TAG = '7783-7084-3265-9085-8269-3286-77';
const MIB = 1_048_576;

let agent: FakeAgent;
before(async () => {
  agent = await startFakeAgent();
});
after(() => agent.close());

/** A machine with nothing, but what `change` puts there. */
function machine(change: (kernel: FakeKernel) => void = () => undefined): Guest {
  const { guest } = fakeGuest((kernel) => {
    kernel.present = false;
    kernel.files.set(paths.kernelRelease, utf8('6.8.0-31-generic\n'));
    kernel.files.set(paths.cpuInfo, cpuInfo('fpu vme hypervisor'));
    kernel.files.set(paths.mounts, utf8('proc /proc proc rw 0 0\n'));
    change(kernel);
  });
  return guest;
}

function cpuInfo(flags: string): Uint8Array {
  return utf8(`processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t:\n`);
}

const MOUNTED = utf8(`configfs ${paths.configfs} configfs rw,nosuid 0 0\n`);
const tdxFlags = (kernel: FakeKernel) =>
  kernel.files.set(paths.cpuInfo, cpuInfo('fpu hypervisor tdx_guest'));

function findingOf({ tried }: Detection, name: string): Finding {
  const finding = tried.find((candidate) => candidate.name === name);
  assert.ok(finding !== undefined);
  return finding;
}

async function tsmFinding(change: (kernel: FakeKernel) => void): Promise<Finding> {
  const detection = await detect(machine(change), SIGNAL);
  assert.equal(detection.provider, undefined);
  return findingOf(detection, 'configfs-tsm');
}

test('a machine that is none finds nothing, says so about every way, and takes no simulator', async () => {
  const detection = await detect(machine(), SIGNAL);
  assert.equal(detection.provider, undefined);
  assert.deepEqual(
    detection.tried.map(({ name, found, reason }) => ({ name, found, reason })),
    [
      { name: 'dstack', found: false, reason: 'absent' },
      { name: 'configfs-tsm', found: false, reason: 'not-confidential' },
      { name: 'azure', found: false, reason: 'absent' },
    ],
  );
});

test('the kernel is used where it answers', async () => {
  for (const [provider, tee] of [
    ['tdx_guest', 'tdx'],
    ['sev_guest', 'snp'],
  ] as const) {
    const guest = machine((kernel) => {
      kernel.present = true;
      kernel.provider = provider;
    });
    const detection = await detect(guest, SIGNAL);
    assert.equal(detection.provider?.name, 'configfs-tsm');
    assert.equal(detection.provider?.tee, tee);
    const { found, reason, remedy } = findingOf(detection, 'configfs-tsm');
    assert.deepEqual(
      { found, reason, remedy },
      { found: true, reason: 'works', remedy: undefined },
    );
  }
});

test('the finding says whether the event log can be had', async () => {
  const detailWith = async (content: Uint8Array | string): Promise<string> => {
    const guest = machine((kernel) => {
      kernel.present = true;
      kernel.files.set(paths.ccel, content);
    });
    return findingOf(await detect(guest, SIGNAL), 'configfs-tsm').detail;
  };
  assert.match(await detailWith(utf8('log')), /can be read/);
  assert.match(await detailWith('EACCES'), /cannot be read by this process/);
  assert.match(await detailWith('ENOENT'), /no event log/);
});

test('the agent comes before the kernel, and both are told', async () => {
  const guest: Guest = {
    ...machine((kernel) => {
      kernel.present = true;
      kernel.sockets.add(agent.socketPath);
    }),
    paths: { ...paths, dstackSockets: [agent.socketPath] },
  };
  const detection = await detect(guest, SIGNAL);
  assert.equal(detection.provider?.name, 'dstack');
  const collected = await detection.provider.collect(fixed(new Uint8Array(64), 64));
  assert.equal(collected.eventLog?.kind, 'dstack');
  assert.deepEqual(
    detection.tried.map(({ reason }) => reason),
    ['works', 'works', 'absent'],
  );
});

test('a kernel from before the interface', async () => {
  for (const release of ['6.6.30', '5.15.0-1055-gcp', '6.1']) {
    const finding = await tsmFinding((kernel) => {
      tdxFlags(kernel);
      kernel.files.set(paths.kernelRelease, utf8(release));
    });
    assert.equal(finding.reason, 'kernel-too-old', release);
    assert.match(finding.remedy ?? '', /Linux 6\.7 or later/);
  }
  for (const release of ['6.7.0', '6.10.1', '7.0', 'unreadable']) {
    const finding = await tsmFinding((kernel) => {
      tdxFlags(kernel);
      kernel.files.set(paths.kernelRelease, utf8(release));
    });
    assert.equal(finding.reason, 'not-mounted', release);
  }
});

test('a configfs that is not mounted', async () => {
  const finding = await tsmFinding(tdxFlags);
  assert.equal(finding.found, false);
  assert.match(finding.remedy ?? '', /mount -t configfs none \/sys\/kernel\/config/);
});

test('a module that is not loaded, before and after configfs knows the interface', async () => {
  const before = await tsmFinding((kernel) => {
    tdxFlags(kernel);
    kernel.files.set(paths.mounts, MOUNTED);
  });
  assert.equal(before.reason, 'module-missing');
  assert.equal(before.found, false);
  assert.match(before.remedy ?? '', /modprobe tdx_guest/);
  const behind = await tsmFinding((kernel) => {
    kernel.files.set(paths.snpPlatformDevice, new Uint8Array());
    kernel.present = true;
    kernel.provider = undefined;
  });
  assert.equal(behind.reason, 'module-missing');
  assert.equal(behind.found, true);
  assert.match(behind.remedy ?? '', /modprobe sev-guest/);
});

test('what speaks of a confidential guest, and what only looks like it', async () => {
  const reasonOf = async (change: (kernel: FakeKernel) => void): Promise<string> =>
    (await tsmFinding(change)).detail;
  const flags = (text: string) => (kernel: FakeKernel) =>
    kernel.files.set(paths.cpuInfo, cpuInfo(text));
  const device = (path: string) => (kernel: FakeKernel) => kernel.files.set(path, new Uint8Array());
  assert.match(await reasonOf(flags('hypervisor tdx_guest')), /a TDX guest/);
  assert.match(await reasonOf(device(paths.tdxDevice)), /a TDX guest/);
  assert.match(await reasonOf(flags('sev sev_es sev_snp hypervisor')), /a SEV-SNP guest/);
  assert.match(await reasonOf(device(paths.snpDevice)), /a SEV-SNP guest/);
  assert.match(await reasonOf(device(paths.snpPlatformDevice)), /a SEV-SNP guest/);
  assert.match(await reasonOf(flags('sev sev_es sev_snp')), /Neither/, 'that is a host');
  assert.match(await reasonOf(flags('not_tdx_guest tdx_guest_not')), /Neither/);
});

test('an interface that this process may not use', async () => {
  for (const error of ['EACCES', 'EPERM', 'EROFS']) {
    const finding = await tsmFinding((kernel) => {
      kernel.present = true;
      kernel.before = (step) => {
        if (step === 'mkdir') throw systemError(error);
      };
    });
    assert.equal(finding.reason, 'permission');
    assert.equal(finding.found, true);
    assert.match(finding.remedy ?? '', /root.*CAP_DAC_OVERRIDE.*container/);
  }
});

test('a guest below VMPL 0', async () => {
  const finding = await tsmFinding((kernel) => {
    kernel.present = true;
    kernel.provider = 'sev_guest';
    kernel.floor = 2;
  });
  assert.equal(finding.reason, 'privilege-level');
});

test('a machine of another vendor, without its words', async () => {
  const finding = await tsmFinding((kernel) => {
    kernel.present = true;
    kernel.provider = 'arm_cca_guest';
  });
  assert.equal(finding.reason, 'unsupported');
  assert.doesNotMatch(JSON.stringify(finding), /arm/);
});

test('an interface that answers nonsense', async () => {
  const finding = await tsmFinding((kernel) => {
    kernel.present = true;
    kernel.provider = '<b>';
  });
  assert.equal(finding.reason, 'failed');
  assert.doesNotMatch(JSON.stringify(finding), /<b>/);
});

test('Azure is recognised, explained, and not used', async () => {
  const finding = async (change: (kernel: FakeKernel) => void): Promise<Finding> => {
    const detection = await detect(machine(change), SIGNAL);
    assert.equal(detection.provider, undefined);
    return findingOf(detection, 'azure');
  };
  const tagged = (kernel: FakeKernel) =>
    kernel.files.set(paths.chassisAssetTag, utf8(`${AZURE_TAG}\n`));
  const withTpm = (kernel: FakeKernel) => kernel.files.set(paths.tpm, new Uint8Array());
  const both = await finding((kernel) => {
    tagged(kernel);
    withTpm(kernel);
  });
  assert.equal(both.found, true);
  assert.equal(both.reason, 'not-built-in');
  assert.match(both.remedy ?? '', /docs\/azure\.md, and not built in/);
  assert.equal((await finding(tagged)).reason, 'no-tpm');
  const vendor = (kernel: FakeKernel) =>
    kernel.files.set(paths.systemVendor, utf8('Microsoft Corporation\n'));
  const hyperV = await finding((kernel) => {
    vendor(kernel);
    withTpm(kernel);
  });
  assert.match(hyperV.detail, /Hyper-V/);
  assert.equal((await finding(vendor)).found, false);
  assert.equal((await finding(withTpm)).found, false);
});

function withSockets(dstackSockets: readonly string[], legacyDstackSockets: readonly string[]) {
  return (guest: Guest): Guest => ({
    ...guest,
    paths: { ...paths, dstackSockets, legacyDstackSockets },
  });
}

test('an agent that is dead, forbidden or too old', async () => {
  const gone = '/run/veilgate-test/dstack.sock';
  const tappd = '/run/veilgate-test/tappd.sock';
  const socket = (path: string) => machine((kernel) => kernel.sockets.add(path));
  const silent = await detect(withSockets([gone], [])(socket(gone)), SIGNAL);
  assert.equal(findingOf(silent, 'dstack').reason, 'silent');
  const legacy = await detect(withSockets([gone], [tappd])(socket(tappd)), SIGNAL);
  assert.equal(findingOf(legacy, 'dstack').reason, 'legacy');
  assert.match(findingOf(legacy, 'dstack').remedy ?? '', /dstack image of version 0\.5/);
  const guest = machine();
  const forbidden: Guest = {
    ...guest,
    files: {
      mkdir: (path) => guest.files.mkdir(path),
      rmdir: (path) => guest.files.rmdir(path),
      read: (path, maxBytes) => guest.files.read(path, maxBytes),
      write: (path, bytes) => guest.files.write(path, bytes),
      kindOf: () => Promise.reject(systemError('EACCES')),
    },
  };
  assert.equal(findingOf(await detect(forbidden, SIGNAL), 'dstack').reason, 'permission');
});

test('texts of the system that are too long, missing or no text change the wording only', async () => {
  for (const content of [new Uint8Array(4 * MIB + 1), Uint8Array.of(0xff), 'EACCES', 'ENOENT']) {
    const { tried } = await detect(
      machine((kernel) => {
        for (const path of [paths.cpuInfo, paths.mounts, paths.kernelRelease, paths.systemVendor]) {
          kernel.files.set(path, content);
        }
      }),
      SIGNAL,
    );
    assert.equal(tried.length, 3);
  }
});

test('the pages that remedies name are there', () => {
  for (const page of [AZURE_PAGE, WORKERS_PAGE]) {
    assert.ok(existsSync(new URL(`../../../${page}`, import.meta.url)), page);
  }
});

test('looking stops when it is told to', async () => {
  await assert.rejects(detect(machine(), AbortSignal.abort()), (error) =>
    hasCode(error, 'evidence.aborted'),
  );
  const caller = new AbortController();
  const guest = machine((kernel) => {
    kernel.present = true;
    kernel.before = () => caller.abort();
  });
  await assert.rejects(detect(guest, caller.signal), (error) => hasCode(error, 'evidence.aborted'));
});

test('`auto` hands out what was found, and tells every finding', async () => {
  const findings: Finding[] = [];
  const context = {
    signal: SIGNAL,
    onFinding: (finding: Finding) => void findings.push(finding),
  };
  const guest = machine((kernel) => {
    kernel.present = true;
  });
  const provider = await openProvider({ provider: 'auto' }, { ...context, guest });
  assert.equal(provider.name, 'configfs-tsm');
  assert.equal(findings.length, 3);
});

test('`auto` on a machine without evidence fails with the reasons, and never simulates', async () => {
  const findings: Finding[] = [];
  await assert.rejects(
    openProvider(
      { provider: 'auto' },
      {
        guest: machine(),
        signal: SIGNAL,
        onFinding: (finding) => void findings.push(finding),
      },
    ),
    (error: Error) => {
      assert.match(error.message, /dstack: absent; configfs-tsm: not-confidential; azure: absent/);
      return hasCode(error, 'evidence.none_found');
    },
  );
  assert.equal(findings.length, 3);
});
