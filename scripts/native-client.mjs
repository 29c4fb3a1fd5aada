import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
// biome-ignore lint/correctness/useImportExtensions: its types are beside it, in a file of their own
import { installDebianPackages, missingDebianPackages } from './debian-packages.mjs';

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
  const missing = missingDebianPackages(debianPackages);
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
  await installDebianPackages(missing, {
    title: `installing ${missing.join(' ')} (the Kafka client is built from source: its prebuilt binary cannot be downloaded)`,
    otherwise:
      'no prebuilt binary of the Kafka client can be downloaded, and the packages to build it from source are missing.',
  });
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
