/**
 * What the checks of a whole appraisal mean, for people: those about the statement, the card and the policy stand here,
 * those about the machine beside its verifier. `explanationOf` knows every check there is.
 * Spec: gpu-and-policy §4.4, §5.3.
 * @module
 */

import { AZURE_EXPLANATIONS } from './azure/explanations.ts';
import {
  byGuest,
  byHost,
  byPolicy,
  bySender,
  byVerifier,
  type Explanation,
  type Explanations,
} from './explanation.ts';
import type { POLICY_CHECK_IDS } from './policy/evaluate.ts';
import type { RULE_CHECK_IDS } from './policy/judge-rule.ts';
import { SNP_EXPLANATIONS } from './snp/explanations.ts';
import type { StatementCheckId } from './statement-checks.ts';
import { TDX_EXPLANATIONS } from './tdx/explanations.ts';
import { TDX_RULE_EXPLANATIONS } from './tdx/policy-explanations.ts';
import type { TeeName } from './verdict.ts';

const CLOCKS =
  'Compare the clocks of the worker and of this machine (and --at); both should follow a time server.';
const NEW_STATEMENT = 'Ask the worker for new evidence: it makes a new statement every half hour.';
const TRANSPORT =
  'Take the evidence again from the worker, and hand the statement on byte for byte.';

const REVOKED =
  'Ask your security team (veilgate revoke list shows who and why). What was taken back by mistake comes back with the signatures of a whole policy.';

const STATEMENT: Explanations<StatementCheckId> = {
  'statement.json': bySender(
    'The statement is strict JSON within its size.',
    'A text that two programs read differently says two things.',
    TRANSPORT,
  ),
  'statement.format': byVerifier(
    'The statement is of the version that this program knows.',
    'In another version the same members may mean something else.',
    'Update this program or the worker, whichever is older.',
  ),
  'statement.schema': bySender(
    'The statement has exactly the members of its format, each in its one encoding.',
    'A member nobody knows would not be judged; one that is missing would be guessed.',
    'Update the worker; if it is current, report it as broken.',
  ),
  'statement.reportData': bySender(
    'The quote covers exactly these bytes of statement.',
    'Otherwise the keys in the statement are not those of the machine: a prompt sealed to them goes to somebody else.',
    'Take statement and quote again, both of one answer. If it stays so, somebody swapped one: do not use the worker.',
  ),
  'statement.tee': bySender(
    'The statement speaks of the kind of machine whose quote came.',
    'A statement made for another kind of machine was put beside this quote.',
    TRANSPORT,
  ),
  'statement.aud': byVerifier(
    'The statement was made for this verifier: the identity of your gateway.',
    'Evidence for another gateway can be passed on by anybody: it does not show that the worker talks to yours.',
    'Ask for evidence through the gateway that you expect, or correct --aud.',
  ),
  'statement.nonce': byVerifier(
    'The statement answers the challenge that this verifier set.',
    'Without one of your own the age of the evidence rests on the worker’s clock alone: it may be a recording.',
    'Set a challenge and give it (--challenge), or let the policy say limits.challenge: gateway.',
  ),
  'statement.notYetValid': byVerifier(
    'The statement is not from the future (one minute is forgiven).',
    'A clock is wrong, or a statement was prepared for later.',
    CLOCKS,
  ),
  'statement.expired': byVerifier(
    'The statement has not expired.',
    'Its keys were erased by then: an old statement is a recording.',
    `${NEW_STATEMENT} If it is new, compare the clocks.`,
  ),
  'statement.lifetime': byGuest(
    'The statement lives an hour at most.',
    'Keys that live longer can be stolen for longer.',
    'Use the released worker: it keeps to the hour.',
  ),
  'devices.present': byGuest(
    'Devices (GPUs) are stated where they are required, and their evidence came where they are stated.',
    'A device that nobody proved may read what the model reads.',
    'Send the device evidence with the bundle, or do not state devices.',
  ),
  'devices.digest': bySender(
    'The device evidence is the one that the statement commits to.',
    'Evidence of another device was put beside this statement.',
    TRANSPORT,
  ),
  'devices.nonce': bySender(
    'The devices answered a challenge that is derived from this statement’s keys.',
    'Otherwise their evidence may be a recording.',
    'Let the worker ask its devices again for this statement.',
  ),
};

const CARD: Explanations<'card.format' | 'card.digest' | 'card.weights'> = {
  'card.format': bySender(
    'The worker card has the form of this version.',
    'From the card come the owner, the model, the limits and the prices.',
    'Update the worker or this program, whichever is older.',
  ),
  'card.digest': bySender(
    'The card is the one that the quoted statement commits to.',
    'Otherwise somebody could change prices, payout address or model on the way.',
    TRANSPORT,
  ),
  'card.weights': bySender(
    'The weights that the card names are those in the quoted statement.',
    'A card that promises one model while the machine states another would bill for what is not served.',
    'The worker’s owner has to make a card for the model that the worker runs.',
  ),
};

const WHOLE: Explanations<'evidence.size' | 'gpu.unsupported' | 'gateway.identity'> = {
  'evidence.size': bySender(
    'The evidence and each part of it keep their size limits.',
    'Larger evidence is not read, so that nobody can fill this machine’s memory.',
    'Send only what is needed: one quote, one set of documents.',
  ),
  'gpu.unsupported': byGuest(
    'The statement names no devices.',
    'GPU evidence is not verified yet, and a statement that names GPUs is not half believed.',
    'Run the worker without stated devices until GPU evidence is verified.',
  ),
  'gateway.identity': byVerifier(
    'The gateway has the identity that you expect.',
    'Another identity is another gateway, or somebody between you and it. Without --aud the first one met is believed.',
    'Get the identity (gw1.…) from the operator on another channel and give it as --aud.',
  ),
};

const POLICY: Explanations<(typeof POLICY_CHECK_IDS)[number] | (typeof RULE_CHECK_IDS)[number]> = {
  'policy.issued': byVerifier(
    'The policy has begun: it was issued before now.',
    'A policy from the future means a wrong clock, or a policy that is meant for later.',
    'Look at the clock of this machine, or use the policy that is in force.',
  ),
  'policy.expires': byPolicy(
    'The policy has not expired.',
    'An old policy does not know what was learned since; after its end it admits nobody.',
    'Get the current policy from your security team.',
  ),
  'policy.evidenceAge': byVerifier(
    'The statement is younger than the policy allows (limits.evidence_age).',
    'What was true of the machine then need not be true now.',
    `${NEW_STATEMENT} ${CLOCKS}`,
  ),
  'policy.simulated': byPolicy(
    'The machine is hardware, or the policy is a development policy that names its root.',
    'A simulated machine protects nothing.',
    'In production: use real machines. In development: use the policy that veilgate up wrote.',
  ),
  'revocation.fresh': byVerifier(
    'Somebody signed lately that nothing newer was revoked.',
    'Whoever holds back a revocation keeps a machine in service that your team has put out.',
    'Look at the timestamp service and at the way to it (veilgate revoke list); offline use has to be written down.',
  ),
  'revocation.policy': byPolicy(
    'The policy itself has not been revoked.',
    'Your team has taken this policy back: it admits nobody.',
    'Get the current policy from your security team.',
  ),
  'revocation.cpu': byPolicy(
    'The machine has not been revoked.',
    'Your team has taken this machine out of service.',
    REVOKED,
  ),
  'revocation.measurement': byPolicy(
    'Nothing the machine measured has been revoked.',
    'Firmware, kernel or image with this measurement was taken out of service.',
    REVOKED,
  ),
  'revocation.key': byPolicy(
    'The owner of the worker has not been revoked.',
    'Your team has put out every worker of this owner.',
    REVOKED,
  ),
  'revocation.kid': byPolicy(
    'The key of this statement has not been revoked.',
    'Somebody may hold the secret half of it.',
    'The worker has to make a new statement with new keys.',
  ),
  'revocation.rule': byPolicy(
    'The rule has not been revoked.',
    'Your team has taken back everything that this rule admits.',
    REVOKED,
  ),
  'revocation.image': byPolicy(
    'The release has not been revoked.',
    'Your team has taken this release out of service.',
    'Update the worker to a release that is in service.',
  ),
  'gpu.evidence': byPolicy(
    'The rule demands no GPU evidence.',
    'GPU evidence is not verified yet: a rule that demands it admits nobody, rather than half believe a GPU.',
    'Use a rule with gpu: none until GPU evidence is verified.',
  ),
  'policy.rule': byPolicy(
    'The policy has a rule at all.',
    'Without rules nobody is admitted.',
    'Write a rule; policies/production.yaml shows one.',
  ),
  'cpu.tee': byPolicy(
    'The rule is about this kind of machine (TDX or SEV-SNP).',
    'A rule about another kind says nothing about this one.',
    'Add a rule for this kind of machine, or use a machine of a kind that has one.',
  ),
  'workload.model': byPolicy(
    'The model that the card names is one that the rule lists.',
    'Another model may behave differently, or not be what was asked for.',
    'List the model by its exact name, with the digest of its weights.',
  ),
  'workload.weights': byPolicy(
    'The weights in the quoted statement are those that the policy has for the model.',
    'Other weights under a known name are another model: cheaper, or made to misbehave.',
    'Compare the digests: serve the listed file, or list the new one after review.',
  ),
  'workload.image': byPolicy(
    'Image and configuration in the quoted statement are those of an image that the rule lists.',
    'Another worker program or configuration may log or send away what it reads.',
    'Run a listed release with its configuration, or list the new one after review.',
  ),
  'workload.imageExpires': byPolicy(
    'The release that runs has not reached the end that the policy sets for it.',
    'Old releases leave by themselves, with the weaknesses that were found in them.',
    'Update the worker to a current release, or extend the date after review.',
  ),
};

/** Of gateways that are in a TEE themselves; all other checks of theirs have the words of workers’. */
const GATEWAY: Explanations<'statement.identity' | 'statement.host' | 'policy.gateways'> = {
  'statement.identity': bySender(
    'The gateway in the statement is the hash of the identity key in it.',
    'Otherwise a gateway would take the name of another one whose key it has not.',
    'Do not use it: a gateway of this project cannot say so.',
  ),
  'statement.host': byVerifier(
    'The host name that was asked for is one that the statement lists.',
    'The evidence was made for other addresses: somebody may be showing it in another place.',
    'Use an address of the statement, or have the operator list this one (listen.hostNames).',
  ),
  'policy.gateways': byPolicy(
    'The policy has a section about gateways with a rule in it.',
    'Without one no gateway may hold plaintext, whatever workers may.',
    'Write the section; policies/production.yaml shows one. Or seal: then the gateway reads nothing.',
  ),
};

const GENERAL: ReadonlyMap<string, Explanation> = new Map(
  // Azure’s checks say the same whichever hardware is under the paravisor.
  Object.entries({ ...STATEMENT, ...GATEWAY, ...CARD, ...WHOLE, ...POLICY, ...AZURE_EXPLANATIONS }),
);

const TDX: ReadonlyMap<string, Explanation> = new Map(
  Object.entries({ ...TDX_EXPLANATIONS, ...TDX_RULE_EXPLANATIONS }),
);
const SNP: ReadonlyMap<string, Explanation> = new Map(Object.entries(SNP_EXPLANATIONS));

const SNP_RULE: ReadonlyMap<string, Explanation> = new Map([
  [
    'cpu.measurements',
    byGuest(
      'MEASUREMENT, HOST_DATA and ID_KEY_DIGEST together are those of a listed image and machine shape.',
      'Other measurements mean other software, firmware or configuration: it may do anything with a prompt.',
      'Compute the launch digest of the release for this shape (veilgate measure snp) and compare; list new releases.',
    ),
  ],
]);

/** Warnings never refuse; they say what to look at. */
const WARNINGS: ReadonlyMap<string, Explanation> = new Map(
  Object.entries({
    'quote.trailing': bySender(
      'After the quote come bytes that are not zero.',
      'They are not signed and mean nothing, but somebody put them there.',
      'Look at where the quote was stored or transported.',
    ),
    'collateral.evaluationNumberMismatch': byVerifier(
      'TCB info and QE identity are of different TCB recoveries.',
      'One of them is older than it could be.',
      'Fetch both anew, with the same update setting.',
    ),
    'pck.cpuSvnMismatch': byHost(
      'The components in the machine’s certificate differ from the raw CPUSVN beside them.',
      'Intel issues such certificates for some platforms; the components are what counts.',
      'Nothing to do; mention it if you ask Intel about this machine.',
    ),
    'report.maskChipKey': byHost(
      'The report says that the chip key is not used, and is signed with it.',
      'The two contradict each other; AMD does not say which is meant.',
      'Ask the host’s operator about MASK_CHIP_KEY.',
    ),
    'report.chipIdUnproven': byHost(
      'A cloud’s key signed the report, and it names a chip.',
      'A cloud’s key does not prove the chip: the name is the host’s word.',
      'Do not rely on CHIP_ID here.',
    ),
    'report.provisionalFirmware': byHost(
      'Newer firmware runs than is committed.',
      'The host can go back to the committed firmware while guests run.',
      'Commit it on the host (snphost commit).',
    ),
  }),
);

/** Undefined only for an id that no list has. */
export function explanationOf(tee: TeeName, id: string): Explanation | undefined {
  const general = GENERAL.get(id);
  if (general !== undefined) return general;
  if (tee === 'tdx') return TDX.get(id);
  return SNP.get(id) ?? SNP_RULE.get(id) ?? SNP.get(id.replace(/^cpu\./, 'policy.'));
}

export function warningExplanationOf(id: string): Explanation | undefined {
  return WARNINGS.get(id);
}
