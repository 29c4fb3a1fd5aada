import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { StepError, step } from './step.mjs';

/**
 * The native part of the Kafka client. Its own install script downloads a prebuilt binary and, where the release
 * page cannot be reached, builds librdkafka from source; that build needs a compiler and these libraries.
 */
const debianPackages = [
  'g++',
  'libcurl4-openssl-dev',
  'liblz4-dev',
  'libsasl2-dev',
  'libssl-dev',
  'libzstd-dev',
  'make',
  'python3',
  'zlib1g-dev',
];

const probeTimeoutMs = 5_000;

/** What the client's install script has to find in its environment for a build from source. */
export function buildEnvironment(env = process.env) {
  // Statically linked, the build would download the sources of zlib, openssl, zstd and curl; a parallel make breaks it.
  const { MAKEFLAGS, JOBS, npm_config_jobs, ...rest } = env;
  // node-gyp downloads Node's headers unless it is told where this Node has its own.
  const prefix = join(dirname(process.execPath), '..');
  const headers = existsSync(join(prefix, 'include', 'node', 'node.h')) ? { npm_config_nodedir: prefix } : {};
  return { ...headers, ...rest, CKJS_LINKING: 'dynamic' };
}

/** Whether the client loads: asked in a child process, because a broken native module can take its process along. */
export function nativeClientLoads(root) {
  const code = "require('@confluentinc/kafka-javascript').librdkafkaVersion || process.exit(1)";
  return spawnSync(process.execPath, ['-e', code], { cwd: root, stdio: 'ignore' }).status === 0;
}

/** Makes the build from source possible where no prebuilt binary can be had, or says how a person does. */
export async function prepareNativeBuild(root) {
  const missing = missingDebianPackages();
  if (missing?.length === 0) return;
  if (await prebuiltBinaryCanBeDownloaded(root)) return;
  if (missing === undefined) {
    console.error(
      'set-up: no prebuilt binary of the Kafka client can be downloaded, so it is built from source. Should that fail: ' +
        'it needs python3, make, a C++ compiler and the headers of curl, openssl, cyrus-sasl, zstd, lz4 and zlib ' +
        `(on Debian: sudo apt-get install ${debianPackages.join(' ')})`,
    );
    return;
  }
  const asRoot = commandPrefixForRoot();
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (asRoot === undefined) {
    throw new StepError(
      'no prebuilt binary of the Kafka client can be downloaded, and the packages to build it from source are missing. ' +
        `Install them and run this again:\n  sudo apt-get update && sudo ${command}`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = async (title, ...args) => {
    const [program, ...rest] = [...asRoot, 'apt-get', '-o', 'DPkg::Lock::Timeout=120', ...args];
    await step(title, program, rest, env);
  };
  await aptGet('refreshing the list of Debian packages', 'update');
  await aptGet(
    `installing ${missing.join(' ')} (the Kafka client is built from source: its prebuilt binary cannot be downloaded)`,
    ...['install', '-y', '--no-install-recommends', ...missing],
  );
}

/** `undefined` where there is no dpkg to ask. */
function missingDebianPackages() {
  if (!isOnPath('dpkg-query') || !isOnPath('apt-get')) return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const query = spawnSync('dpkg-query', ['-W', '-f=${db:Status-Abbrev} ${Package}\\n', ...debianPackages], {
    encoding: 'utf8',
  });
  const installed = new Set(query.stdout.split('\n').flatMap((line) => /^.i\S* +(\S+)/.exec(line)?.[1] ?? []));
  return debianPackages.filter((name) => !installed.has(name));
}

async function prebuiltBinaryCanBeDownloaded(root) {
  const version = /'@confluentinc\/kafka-javascript': (\S+)/.exec(
    readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'),
  )?.[1];
  const libc =
    process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime ? 'musl' : 'glibc';
  const target = `node-v${process.versions.modules}-${process.platform}-${process.platform === 'linux' ? libc : 'unknown'}-${process.arch}`;
  const release = `https://github.com/confluentinc/confluent-kafka-javascript/releases/download/v${version}`;
  try {
    const response = await fetch(`${release}/confluent-kafka-javascript-v${version}-${target}.tar.gz`, {
      method: 'HEAD',
      signal: AbortSignal.timeout(probeTimeoutMs),
    });
    return response.ok;
  } catch {
    return false;
  }
}

/** How a command is run as root without asking for a password; `undefined` if it cannot be. */
function commandPrefixForRoot() {
  if (process.getuid?.() === 0) return [];
  if (isOnPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return undefined;
}

function isOnPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
