/**
 * Leaves of an installed node_modules what the named packages need, and deletes the rest: what is not there cannot be used by
 * whoever gets in. Dependencies by package-lock.json, as Node resolves them; optional ones only if they are named.
 *
 *   node deploy/keep-packages.mjs NAME…        in the folder of package-lock.json
 *
 * Exit status: 0 done, 1 a name is not in the lock; then nothing was deleted.
 */

import { readFileSync, rmSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));

/** Upwards through the folders, as Node looks for it. */
function placeOf(name, from) {
  for (let folder = from; folder !== ''; folder = parentOf(folder)) {
    const place = `${folder}/node_modules/${name}`;
    if (packages[place] !== undefined) return place;
  }
  const place = `node_modules/${name}`;
  return packages[place] === undefined ? undefined : place;
}

function parentOf(folder) {
  const at = folder.lastIndexOf('/node_modules/');
  return at === -1 ? '' : folder.slice(0, at);
}

/** Peers are installed by npm; one that is optional was asked for by somebody else, if at all. */
function needsOf({
  dependencies = {},
  optionalDependencies = {},
  peerDependencies = {},
  peerDependenciesMeta = {},
}) {
  const peers = Object.keys(peerDependencies).filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  );
  return [...Object.keys(dependencies).filter((name) => !(name in optionalDependencies)), ...peers];
}

const kept = new Set();

function keep(name, from) {
  const place = placeOf(name, from);
  if (place === undefined) {
    process.stderr.write(
      `${name} is not in package-lock.json (needed by ${from || 'the command line'})\n`,
    );
    process.exit(1);
  }
  if (kept.has(place)) return;
  kept.add(place);
  for (const need of needsOf(packages[place])) keep(need, place);
}

for (const name of process.argv.slice(2)) keep(name, '');
rmSync('node_modules/.bin', { recursive: true, force: true });
for (const place of Object.keys(packages)) {
  if (place.startsWith('node_modules/') && !kept.has(place))
    rmSync(place, { recursive: true, force: true });
}
process.stdout.write(`kept ${kept.size} packages\n`);
