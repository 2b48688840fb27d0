/**
 * What each rule about an SEV-SNP guest and its machine means, for people. A policy's rule uses the same texts: its
 * `cpu.*` checks are the verifier's `policy.*` with the rule's lines.
 * Spec: AMD SEV-SNP Firmware ABI (56860) tables "Guest Policy", "PLATFORM_INFO"; sev-snp.md §1.2 to §1.4, §4.
 * @module
 */

import {
  byGuest,
  byHost,
  byPolicy,
  bySender,
  type Explanation,
  type Explanations,
} from '../explanation.ts';
import type { SNP_POLICY_CHECKS } from './check-list.ts';

type PolicyCheck = (typeof SNP_POLICY_CHECKS)[number];

const RELAUNCH =
  'Launch the guest with a policy that has the bit as demanded: it is fixed at launch.';

/** What the guest's owner demanded of the machine; the firmware enforces it. */
const GUEST_POLICY: Explanations<Extract<PolicyCheck, `policy.guestPolicy.${string}`>> = {
  'policy.guestPolicy.smt': byGuest(
    'SMT: whether the guest allows two threads to share a core.',
    'A neighbour on the same core can watch through the shared parts.',
    RELAUNCH,
  ),
  'policy.guestPolicy.migrateMa': byGuest(
    'MIGRATE_MA: whether a migration agent may move the guest.',
    'The agent receives the guest’s memory: it would have to be trusted like the guest itself.',
    RELAUNCH,
  ),
  'policy.guestPolicy.debug': byGuest(
    'DEBUG: whether the host may debug the guest.',
    'The host reads and writes the whole memory of a debug guest: every prompt, every key.',
    'Launch the guest without DEBUG. Never send anything to this one.',
  ),
  'policy.guestPolicy.singleSocket': byGuest(
    'SINGLE_SOCKET: whether the guest insists on one processor.',
    'Across sockets the guest’s memory travels over a link that can be attacked from outside.',
    RELAUNCH,
  ),
  'policy.guestPolicy.cxlAllow': byGuest(
    'CXL_ALLOW: whether the guest may have memory on CXL devices.',
    'Memory behind a device is protected less than memory at the processor.',
    RELAUNCH,
  ),
  'policy.guestPolicy.memAes256Xts': byGuest(
    'MEM_AES_256_XTS: whether the guest insists on AES-256 for its memory.',
    'Without it the machine may encrypt memory with shorter keys.',
    RELAUNCH,
  ),
  'policy.guestPolicy.raplDis': byGuest(
    'RAPL_DIS: whether the guest insists that power measurement is off.',
    'The host can learn about data from the power it takes (PwrLeak).',
    RELAUNCH,
  ),
  'policy.guestPolicy.ciphertextHidingDram': byGuest(
    'CIPHERTEXT_HIDING_DRAM: whether the guest insists that the host cannot see its encrypted memory.',
    'From encrypted memory that changes the host can learn what the guest does (CipherLeaks, Heracles).',
    RELAUNCH,
  ),
  'policy.guestPolicy.pageSwapDisable': byGuest(
    'PAGE_SWAP_DISABLE: whether the guest forbids the host to move or swap its pages.',
    'By moving pages the host can compare and guess contents (Heracles).',
    RELAUNCH,
  ),
};

const BIOS = 'Change it in the BIOS or hypervisor of the host, restart, and take a new report.';

/** What the machine is like. */
const PLATFORM_INFO: Explanations<Extract<PolicyCheck, `policy.platformInfo.${string}`>> = {
  'policy.platformInfo.smtEn': byHost(
    'SMT_EN: whether the machine runs two threads per core.',
    'A neighbour on the same core can watch through the shared parts.',
    BIOS,
  ),
  'policy.platformInfo.tsmeEn': byHost(
    'TSME_EN: whether the machine encrypts all of its memory.',
    'A fact about the machine; guests are encrypted either way.',
    BIOS,
  ),
  'policy.platformInfo.eccEn': byHost(
    'ECC_EN: whether the memory corrects errors.',
    'Without it bits can be flipped on purpose.',
    BIOS,
  ),
  'policy.platformInfo.raplDis': byHost(
    'RAPL_DIS: whether power measurement is off.',
    'The host can learn about data from the power it takes (PwrLeak).',
    BIOS,
  ),
  'policy.platformInfo.ciphertextHidingDramEn': byHost(
    'CIPHERTEXT_HIDING_DRAM_EN: whether the host cannot see the guests’ encrypted memory.',
    'From encrypted memory that changes the host can learn what the guest does (CipherLeaks, Heracles).',
    `${BIOS} Genoa and Turin with firmware ABI 1.58 or later.`,
  ),
  'policy.platformInfo.aliasCheckComplete': byHost(
    'ALIAS_CHECK_COMPLETE: whether the firmware found no two addresses for one piece of memory.',
    'A memory module that lies about its size lets the host overwrite protected memory (BadRAM).',
    'Update the firmware (1.55.22 or later on Milan, 1.55.38 on Genoa), restart, and take a new report.',
  ),
  'policy.platformInfo.iommuWriteSafe': byHost(
    'IOMMU_WRITE_SAFE: whether late writes of devices cannot hit protected memory.',
    'Without it the host can change guest memory through the IOMMU (AMD-SB-3016).',
    'Update BIOS, firmware and the host’s operating system. Only some silicon reports this bit.',
  ),
  'policy.platformInfo.tioEn': byHost(
    'TIO_EN: whether trusted devices may reach guest memory.',
    'A device becomes part of what has to be trusted.',
    BIOS,
  ),
  'policy.platformInfo.unknownBits': byPolicy(
    'The report has no platform bits that nobody has explained.',
    'Such a bit may stand for something that weakens the guest.',
    'Find out what the bit means: newer firmware defines new ones. Then update this program or the policy.',
  ),
};

const UPDATE =
  'Update BIOS (it carries microcode and firmware), restart the host, commit the firmware (SNP_COMMIT), fetch the VCEK for the new TCB.';

const TCB: Explanations<
  | 'policy.tcbFloor'
  | 'policy.tcbMinimum'
  | 'policy.launchTcb'
  | 'policy.firmware'
  | 'policy.provisionalFirmware'
  | 'policy.abi'
  | `policy.mitigations.${'launch' | 'current'}`
> = {
  'policy.tcbFloor': byPolicy(
    'The policy has a floor for this silicon line.',
    'Each line counts its microcode apart: a floor of another line would refuse good machines or admit broken ones.',
    'Add a floor for the line with its source, or do not admit the line.',
  ),
  'policy.tcbMinimum': byHost(
    'CURRENT_TCB, COMMITTED_TCB and REPORTED_TCB reach the floor of this silicon line.',
    'Below the floor published weaknesses apply: keys can leak, memory can be changed.',
    UPDATE,
  ),
  'policy.launchTcb': byHost(
    'LAUNCH_TCB, what the machine had when the guest started, reaches the floor.',
    'What old firmware did at launch, such as loading the guest, is not repaired by a later update.',
    'Update the host, then relaunch the guest.',
  ),
  'policy.firmware': byHost(
    'The SNP firmware that runs, and the one that cannot be gone back behind, reach the demanded version.',
    'Older firmware has known weaknesses.',
    UPDATE,
  ),
  'policy.provisionalFirmware': byHost(
    'The running firmware is committed.',
    'Firmware that is not committed can be taken back to an older one while guests run.',
    'Commit it on the host (snphost commit) and take a new report.',
  ),
  'policy.abi': byGuest(
    'The guest demanded at launch a firmware of at least this interface version.',
    'A guest that asks for less can be run by firmware that lacks protections it counts on.',
    'Launch the guest with the higher version in its policy.',
  ),
  'policy.mitigations.launch': byHost(
    'The mitigations that were active when the guest started include those that are demanded.',
    'A fix applied under a running guest does not undo what was possible before.',
    'Update the host, then relaunch the guest. Reports before version 5 cannot show mitigations.',
  ),
  'policy.mitigations.current': byHost(
    'The mitigations that are active now include those that are demanded.',
    'A missing one leaves a published weakness open.',
    'Update BIOS and firmware of the host. Reports before version 5 cannot show mitigations.',
  ),
};

function exactField(name: string, meaning: string): Explanation {
  return byGuest(
    `${name} is the expected value.`,
    meaning,
    'Launch the guest with the expected value, or expect the one that is right.',
  );
}

const IDENTITY: Explanations<
  Exclude<PolicyCheck, keyof typeof GUEST_POLICY | keyof typeof PLATFORM_INFO | keyof typeof TCB>
> = {
  'policy.product': byPolicy(
    'The processor is a product that is listed.',
    'Milan’s root secrets were extracted by software alone: a forger makes Milan reports of any TCB, and no floor helps.',
    'Use a listed product.',
  ),
  'policy.signer': byPolicy(
    'The report was signed by the kind of key (chip or cloud) that is listed.',
    'A chip’s key proves one chip; a cloud’s key proves that this cloud vouches for one of its chips.',
    'Have the host use the other key, or list this kind.',
  ),
  'policy.reportVersion': byHost(
    'The report has at least the demanded version.',
    'Version 2 does not name the processor, versions before 5 no mitigations: what is not there cannot be judged.',
    'Update the SNP firmware of the host.',
  ),
  'policy.maskedChipId': byHost(
    'The report names its chip.',
    'Without a name the report proves some genuine chip, and a machine that was banned cannot be told apart.',
    'Switch MASK_CHIP_ID off on the host.',
  ),
  'policy.chipId': byPolicy(
    'The chip is one that is listed.',
    'Evidence of an unknown chip may come from anybody who owns one, or has stolen its key.',
    'If the machine is yours, add its CHIP_ID; a report signed with a VLEK names no chip that counts.',
  ),
  'policy.cspId': byPolicy(
    'The cloud whose key signed is one that is listed.',
    'Another cloud’s key was not agreed on.',
    'List the cloud by its exact name in the certificate, or use a listed one.',
  ),
  'policy.vmpl': byGuest(
    'The report was asked for at a privilege level that is listed.',
    'Software at a lower level, such as the guest below a paravisor, must not speak for the level above.',
    'Take the report at the expected level.',
  ),
  'policy.guestSvn': byGuest(
    'The security version in the guest’s ID block reaches the demanded one.',
    'An older version of the guest has weaknesses that its author knows.',
    'Launch the current version of the guest.',
  ),
  'policy.measurement': byGuest(
    'MEASUREMENT, the digest of what the guest was launched with, is one that is listed.',
    'Another digest means other firmware, kernel or command line: it may do anything with a prompt.',
    'Compute the digest of the release for this number of CPUs and processor (veilgate measure snp), and compare; list new releases.',
  ),
  'policy.reportData': bySender(
    'The 64 bytes that the guest put into the report are the expected ones.',
    'They tie the report to a key or a challenge. Others mean: an old report, or one made for somebody else.',
    'Ask the guest for a report over the value you expect. The report of another conversation does not count.',
  ),
  'policy.hostData': exactField(
    'HOST_DATA',
    'The host sets it at launch, often the digest of a configuration: another one is another configuration.',
  ),
  'policy.familyId': exactField('FAMILY_ID', 'It names the family of guests in the ID block.'),
  'policy.imageId': exactField('IMAGE_ID', 'It names the image in the ID block.'),
  'policy.reportId': exactField(
    'REPORT_ID',
    'It names this one start of the guest: another one is another start.',
  ),
  'policy.reportIdMa': exactField(
    'REPORT_ID_MA',
    'It names the migration agent; all ones when there is none.',
  ),
  'policy.idKey': byGuest(
    'The key that signed the guest’s ID block is one that is listed.',
    'Who signed the ID block decides which guest may be launched under its name.',
    'Sign the ID block with a listed key, or list this one.',
  ),
  'policy.authorKey': byGuest(
    'The author’s key behind the ID block is one that is listed.',
    'It vouches for the key that signed the ID block.',
    'Launch the guest with an author key that is listed, or list this one.',
  ),
};

export const SNP_POLICY_EXPLANATIONS: Explanations<PolicyCheck> = {
  ...IDENTITY,
  ...GUEST_POLICY,
  ...PLATFORM_INFO,
  ...TCB,
};
