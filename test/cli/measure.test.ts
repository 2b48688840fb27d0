/** `veilgate measure snp` as a person and as a program use it: output, exit status, and what it says when it cannot. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { readPolicyText } from '../../attestation/policy/yaml.ts';
import { measureSnpLaunch } from '../../attestation/snp/measure/launch.ts';
import { sha256 } from '#primitives';
import { toHex, utf8 } from '../../core/bytes.ts';
import { buildOvmf, SECTION_TYPES, SECTIONS } from '../support/snp/ovmf.ts';

const FIRMWARE = buildOvmf();
const PLAIN_FIRMWARE = buildOvmf({
  sections: SECTIONS.filter(({ type }) => type !== SECTION_TYPES.kernelHashes),
});

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'veilgate-measure-'));
  writeFileSync(join(folder, 'OVMF.fd'), FIRMWARE);
  writeFileSync(join(folder, 'plain.fd'), PLAIN_FIRMWARE);
  writeFileSync(join(folder, 'vmlinuz'), 'a kernel');
  writeFileSync(join(folder, 'initrd.img'), 'an initrd');
});
after(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function measure(...args: readonly string[]): Ran {
  const at = join(process.cwd(), 'cli/veilgate.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [at, 'measure', ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

/** A command line in which nothing contains a space. */
function line(text: string): readonly string[] {
  return text.split(' ');
}

const KERNEL = ['--kernel', 'vmlinuz', '--initrd', 'initrd.img', '--cmdline', 'console=ttyS0 ro'];

const JSON_FORM = z.strictObject({
  name: z.string().nullable(),
  vmm: z.string(),
  guestFeatures: z.string(),
  ovmf: z.strictObject({ path: z.string(), bytes: z.number(), digest: z.string() }),
  kernel: z.strictObject({ path: z.string(), bytes: z.number(), sha256: z.string() }).nullable(),
  initrd: z.strictObject({ path: z.string(), bytes: z.number(), sha256: z.string() }).nullable(),
  cmdline: z.string().nullable(),
  snp: z.array(
    z.strictObject({
      shape: z.string(),
      vcpus: z.number(),
      cpus: z.array(z.string()),
      measurement: z.string(),
      host_data: z.string(),
      id_key_digest: z.string(),
    }),
  ),
});

function measureJson(...args: readonly string[]): z.output<typeof JSON_FORM> {
  const { status, stdout, stderr } = measure('snp', '--json', ...args);
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trimEnd().split('\n').length, 1);
  return JSON_FORM.parse(JSON.parse(stdout));
}

/** Of the bare firmware under QEMU. */
function digestOf(vcpus: number, cpuSignature: number): string {
  const machine = { vcpus, cpuSignature, guestFeatures: 1n };
  return toHex(measureSnpLaunch({ firmware: FIRMWARE, vmm: 'qemu' }, machine));
}

describe('what it computes', () => {
  test('one measurement for each vCPU count and CPU, whatever names the CPU has', () => {
    const { snp } = measureJson(
      ...line('--ovmf OVMF.fd --vcpus 1,4,1 --cpu EPYC-v4,EPYC-Milan,epyc-v3,0x800f12'),
    );
    assert.deepEqual(
      snp.map(({ shape, cpus, measurement }) => [shape, cpus, measurement]),
      [
        ['1-vcpu-epyc-v4', ['EPYC-v4', 'EPYC-v3', '0x800f12'], digestOf(1, 0x0080_0f12)],
        ['1-vcpu-epyc-milan', ['EPYC-Milan'], digestOf(1, 0x00a0_0f11)],
        ['4-vcpu-epyc-v4', ['EPYC-v4', 'EPYC-v3', '0x800f12'], digestOf(4, 0x0080_0f12)],
        ['4-vcpu-epyc-milan', ['EPYC-Milan'], digestOf(4, 0x00a0_0f11)],
      ],
    );
  });

  test('a program learns what went in', () => {
    const report = measureJson(
      ...line('--ovmf OVMF.fd --vcpus 2 --cpu 25-17-0 --name worker-1 --guest-features 0x21'),
      ...line(`--host-data ${'AB'.repeat(32)} --id-key-digest ${'cd'.repeat(48)}`),
      ...KERNEL,
    );
    assert.equal(report.name, 'worker-1');
    assert.equal(report.guestFeatures, '0x21');
    assert.equal(report.cmdline, 'console=ttyS0 ro');
    assert.deepEqual(
      [report.kernel?.bytes, report.initrd?.bytes, report.ovmf.bytes],
      [8, 9, FIRMWARE.length],
    );
    const [shape] = report.snp;
    assert.equal(shape?.shape, '2-vcpu-25-17-0-0x21');
    assert.equal(shape.host_data, 'ab'.repeat(32));
    assert.equal(shape.id_key_digest, 'cd'.repeat(48));
  });

  test('a kernel of many pieces is hashed as one', () => {
    const large = new Uint8Array(3 * 1024 * 1024 + 1).fill(0x5a);
    large.set(utf8('across two pieces'), 1024 * 1024 - 8);
    writeFileSync(join(folder, 'large'), large);
    const report = measureJson(
      ...line('--ovmf OVMF.fd --vcpus 1 --cpu EPYC --kernel large --initrd /dev/null'),
    );
    assert.equal(report.kernel?.sha256, toHex(sha256(large)));
    assert.equal(report.initrd?.sha256, toHex(sha256()));
  });

  test('the digest of the firmware can be given back to it', () => {
    const args = ['--ovmf', 'OVMF.fd', '--vcpus', '2', '--cpu', 'EPYC'];
    const whole = measureJson(...args);
    assert.deepEqual(measureJson(...args, '--ovmf-hash', whole.ovmf.digest), whole);
    const other = measureJson(...args, '--ovmf-hash', '00'.repeat(48));
    assert.notEqual(other.snp[0]?.measurement, whole.snp[0]?.measurement);
  });

  test('clouds measure no CPU model, and are told apart in the shape', () => {
    const { snp } = measureJson('--ovmf', 'plain.fd', '--vcpus', '2', '--vmm', 'ec2');
    assert.deepEqual([snp[0]?.shape, snp[0]?.cpus], ['2-vcpu-ec2', []]);
  });
});

describe('what it prints for a policy', () => {
  test('is YAML as a whole, with the tuples and nothing that was not given', () => {
    const { status, stdout } = measure(
      ...line('snp --ovmf OVMF.fd --vcpus 2 --cpu EPYC-Milan --name worker-1'),
      ...line(`--host-data ${'00'.repeat(32)}`),
      ...KERNEL,
    );
    assert.equal(status, 0);
    const [measured] = measureJson(
      ...line('--ovmf OVMF.fd --vcpus 2 --cpu EPYC-Milan'),
      ...KERNEL,
    ).snp;
    assert.deepEqual(readPolicyText(utf8(stdout), 'stdout').value, [
      {
        name: 'worker-1',
        snp: [
          {
            shape: '2-vcpu-epyc-milan',
            measurement: measured?.measurement,
            host_data: '00'.repeat(32),
            id_key_digest: 'zero',
          },
        ],
      },
    ]);
    for (const member of ['source', 'expires', 'workload']) {
      assert.match(stdout, new RegExp(`^  # ${member}: .*<.*>`, 'm'));
    }
  });

  test('leaves the name open when there is none', () => {
    const { stdout } = measure('snp', '--ovmf', 'OVMF.fd', '--vcpus', '1', '--cpu', 'EPYC');
    assert.match(stdout, /^- # name: <.*>$/m);
    const entries = z.array(z.strictObject({ snp: z.array(z.unknown()) }));
    assert.equal(entries.parse(readPolicyText(utf8(stdout), 'stdout').value).length, 1);
  });

  test('says in ASCII to programs what a file is called', () => {
    const path = 'OVMF\u009b2J\u202e\u2028.fd';
    writeFileSync(join(folder, path), FIRMWARE);
    const { stdout } = measure(...line('snp --vcpus 1 --cpu EPYC --json'), '--ovmf', path);
    assert.match(stdout, /^[ -~]+\n$/);
    assert.equal(JSON_FORM.parse(JSON.parse(stdout)).ovmf.path, path);
  });

  test('keeps a name a name where YAML would read something else', () => {
    for (const name of ['null', 'true', '1e3', '2026.10', '0x1f', '7']) {
      const { stdout } = measure(
        ...line(`snp --ovmf plain.fd --vcpus 1 --cpu EPYC --name ${name}`),
      );
      const [entry] = z
        .array(z.object({ name: z.unknown() }))
        .parse(readPolicyText(utf8(stdout), 'stdout').value);
      assert.equal(entry?.name, name);
    }
  });

  test('stays YAML whatever a file or a command line is called', () => {
    const path = 'OVMF\n- name: forged\u001b[2K.fd';
    writeFileSync(join(folder, path), FIRMWARE);
    const { status, stdout } = measure(
      ...line('snp --vcpus 1 --cpu EPYC --kernel vmlinuz'),
      '--ovmf',
      path,
      '--cmdline',
      'ro\n- name: forged \u2028\u009b',
    );
    assert.equal(status, 0);
    const entries = z.array(z.strictObject({ snp: z.array(z.unknown()) }));
    assert.equal(entries.parse(readPolicyText(utf8(stdout), 'stdout').value).length, 1);
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Zl}]/u);
  });
});

describe('what a reader must not overlook', () => {
  const notes: readonly (readonly [args: readonly string[], note: RegExp])[] = [
    [['--cpu', 'EPYC'], /any operating system may follow/],
    [['--vmm', 'ec2', ...KERNEL], /boots no kernel directly/],
    [['--vmm', 'ec2', '--cpu', 'EPYC'], /does not measure the CPU model/],
    [['--vmm', 'gce'], /on Milan/],
    [['--cpu', 'EPYC', '--ovmf-hash', '00'.repeat(48)], /not compared with --ovmf/],
  ];
  for (const [args, note] of notes) {
    test(args.join(' ').slice(0, 60), () => {
      const { status, stderr } = measure('snp', '--ovmf', 'OVMF.fd', '--vcpus', '1', ...args);
      assert.equal(status, 0);
      assert.match(stderr, note);
    });
  }
  test('nothing, where a kernel is measured', () => {
    const { stderr } = measure(
      'snp',
      '--ovmf',
      'OVMF.fd',
      '--vcpus',
      '1',
      '--cpu',
      'EPYC',
      ...KERNEL,
    );
    assert.equal(stderr, '');
  });
});

describe('exit status 1: a file that cannot be read or measured', () => {
  const failures: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['--ovmf', 'absent.fd'], /cannot read firmware absent\.fd: there is no such file/],
    [['--ovmf', '.'], /cannot read firmware \.: it is a directory/],
    [['--ovmf', '/dev/zero'], /has over 16777216 bytes/],
    [['--ovmf', 'vmlinuz'], /measure\.firmware_size/],
    [['--ovmf', 'OVMF.fd', '--kernel', 'absent'], /cannot read kernel absent/],
    [['--ovmf', 'OVMF.fd', '--kernel', 'vmlinuz', '--initrd', 'absent'], /cannot read initrd/],
    [['--ovmf', 'plain.fd', '--kernel', 'vmlinuz'], /no page for kernel hashes/],
  ];
  for (const [args, message] of failures) {
    test(args.join(' '), () => {
      const { status, stdout, stderr } = measure('snp', '--vcpus', '1', '--cpu', 'EPYC', ...args);
      assert.equal(status, 1);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    });
  }
});

describe('exit status 2: wrong usage', () => {
  const sound = ['snp', '--ovmf', 'OVMF.fd', '--vcpus', '1', '--cpu', 'EPYC'];
  const many = Array.from({ length: 257 }, (_, at) => at + 1).join(',');
  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /Usage: veilgate measure/],
    [['sgx'], /unknown command/],
    [['snp', '--vcpus', '1', '--cpu', 'EPYC'], /--ovmf/],
    [['snp', '--ovmf', 'OVMF.fd', '--cpu', 'EPYC'], /--vcpus/],
    [['snp', '--ovmf', 'OVMF.fd', '--vcpus', '1'], /name it, for example --cpu EPYC-Milan/],
    [[...sound, '--vcpus', '0'], /from 1 to 4096/],
    [[...sound, '--vcpus', '1,,2'], /from 1 to 4096/],
    [[...sound, '--vcpus', many], /at most 256 combinations/],
    [[...sound, '--cpu', 'Xeon'], /QEMU model/],
    [[...sound, '--vmm', 'xen'], /qemu, ec2, gce/],
    [[...sound, '--guest-features', '0x2'], /SNPActive/],
    [[...sound, '--ovmf-hash', 'ab'], /96 hex digits/],
    [[...sound, '--host-data', 'ab'], /64 hex digits, or zero/],
    [[...sound, '--id-key-digest', 'ab'], /96 hex digits, or zero/],
    [[...sound, '--name', 'Worker'], /lower-case/],
    [[...sound, '--initrd', 'initrd.img'], /only together with --kernel/],
    [[...sound, '--cmdline', 'ro'], /only together with --kernel/],
    [[...sound, '--nonsense'], /unknown option/],
  ];
  for (const [args, message] of wrong) {
    test(args.join(' ').slice(0, 70) || 'nothing', () => {
      const { status, stdout, stderr } = measure(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    });
  }
});

test('help shows an example and the CPU models', () => {
  const { status, stdout } = measure('snp', '--help');
  assert.equal(status, 0);
  assert.match(stdout, /Example/);
  assert.match(stdout, /EPYC-Turin/);
});

test('a command of the same name as an option’s value is not mistaken for the command', () => {
  const { snp, name } = measureJson(...line('--ovmf OVMF.fd --vcpus 1 --cpu EPYC --name up'));
  assert.equal(name, 'up');
  assert.equal(snp.length, 1);
});
