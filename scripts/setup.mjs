// Sets up whatever is missing, and only that: run before every npm script of this repository.
// It runs before anything is installed, so it and what it imports use Node alone.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildEnvironment, nativeClientLoads, prepareNativeBuild } from './native-client.mjs';
import { StepError, step } from './step.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampFile = join(root, 'node_modules', '.kafka-ts-worker-setup');
const started = performance.now();

try {
  const [argument] = process.argv.slice(2);
  if (argument !== undefined) throw new StepError(`it takes no arguments, received ${argument}`);
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  checkNode(manifest.engines.node.replace('>=', ''));
  const stamp = stampOfInstallation();
  if (readIfThere(stampFile) !== stamp) {
    await install(manifest.packageManager);
    mkdirSync(join(root, 'node_modules'), { recursive: true });
    writeFileSync(stampFile, stampOfInstallation());
    console.error(`set-up: ready after ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  }
} catch (error) {
  console.error(`set-up failed: ${error instanceof StepError ? error.message : error.stack}`);
  process.exitCode = 1;
}

async function install(pnpm) {
  await prepareNativeBuild(root);
  const npx = (title, ...args) => step(title, 'npx', ['-y', pnpm, ...args], buildEnvironment());
  const lockfile = process.env.CI ? '--frozen-lockfile' : '--prefer-frozen-lockfile';
  await npx(
    'installing dependencies (the first time on a machine the Kafka client may be built: about two minutes)',
    ...['install', lockfile, '--config.confirmModulesPurge=false', '--reporter=append-only'],
  );
  // Installed for another version of Node, the dependencies are up to date but the binary is not.
  if (!nativeClientLoads(root)) {
    await npx('building the Kafka client for this version of Node', 'rebuild', '@confluentinc/kafka-javascript');
  }
  if (!nativeClientLoads(root)) {
    throw new StepError(
      'the native part of @confluentinc/kafka-javascript does not load. To see why:\n' +
        `  node -e "require('@confluentinc/kafka-javascript')"`,
    );
  }
}

/** Whatever changes what an installation would do: manifests, lockfile, and the Node that native code is built for. */
function stampOfInstallation() {
  const hash = createHash('sha256');
  const packages = readdirSync(join(root, 'packages')).map((name) => join('packages', name));
  const manifests = ['.', 'examples', 'bench', ...packages].map((directory) => join(directory, 'package.json'));
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests])
    hash.update(readIfThere(join(root, file)));
  return [process.platform, process.arch, process.versions.modules, hash.digest('hex')].join(' ');
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function checkNode(floor) {
  const [have, need] = [process.versions.node, floor].map((version) => version.split('.').map(Number));
  const difference = have.map((part, index) => part - need[index]).find((part) => part !== 0) ?? 0;
  if (difference < 0) {
    throw new StepError(
      `Node ${floor} or newer is needed, this is ${process.versions.node}. Install one from nodejs.org.`,
    );
  }
}
