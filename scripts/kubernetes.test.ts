import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type IScaledObject, ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { Deployment, type IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IProbe } from 'kubernetes-models/v1/Probe';
import ts from 'typescript';
import { parse, parseAllDocuments } from 'yaml';
import { healthServer, Worker } from '../packages/core/src/index.ts';
import { fakeKafka } from '../packages/core/src/testing/index.ts';
import { root } from './child.ts';

const folder = join(root, 'deploy', 'kubernetes');
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const readme = read('README.md');
const program = readFileSync(join(root, 'packages/core/src/run-until-signal.ts'), 'utf8');
/** How long `runUntilSignal` waits past its deadline before it ends the process. */
const killAfterS = Number(/KILL_AFTER_MS = ([\d_]+)/.exec(program)?.[1]?.replaceAll('_', '')) / 1_000;

/** The only document of a file. */
function document(name: string): unknown {
  const documents = parseAllDocuments(read(name), { strict: true, uniqueKeys: true });
  expect(documents.map((each) => 'errors' in each && [...each.errors, ...each.warnings])).toEqual([[]]);
  return documents[0]?.toJS();
}

const deployment = document('deployment.yaml') as IDeployment;
const scaled = document('scaled-object.yaml') as IScaledObject;
const pod = deployment.spec?.template.spec;
const container = pod?.containers[0];
const byFile = (parse(/```yaml\n(.*?)```/s.exec(readme)?.[1] ?? '') as { livenessProbe: IProbe }).livenessProbe;

describe('the manifests', () => {
  it('are what the schemas of Kubernetes and KEDA demand', () => {
    new Deployment(deployment).validate();
    new ScaledObject(scaled).validate();
    expect([deployment.apiVersion, deployment.kind]).toEqual(['apps/v1', 'Deployment']);
    expect([scaled.apiVersion, scaled.kind]).toEqual(['keda.sh/v1alpha1', 'ScaledObject']);
  });

  it('have no field that those do not know', () => {
    const found = unknownFields([
      ['kubernetes-models/apps/v1/Deployment', 'IDeployment', deployment],
      ['@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject', 'IScaledObject', scaled],
      ['kubernetes-models/v1/Probe', 'IProbe', byFile],
    ]);
    expect(found).toEqual([]);
    const misspelt = { ...deployment, spec: { ...deployment.spec, minReadySecond: 1 } };
    expect(unknownFields([['kubernetes-models/apps/v1/Deployment', 'IDeployment', misspelt]])).toEqual([
      expect.stringContaining('minReadySecond'),
    ]);
  });

  it('belong together: selector and labels, target and name, ports and volumes by their names', () => {
    expect(deployment.spec?.template.metadata?.labels).toMatchObject(deployment.spec?.selector.matchLabels ?? {});
    expect(Object.keys(deployment.spec?.selector.matchLabels ?? {})).not.toEqual([]);
    expect(scaled.spec.scaleTargetRef.name).toBe(deployment.metadata?.name);
    expect(deployment.spec).not.toHaveProperty('replicas');
    const ports = container?.ports?.map(({ name }) => name);
    for (const probe of probes()) expect(ports).toContain(probe.httpGet?.port);
    const volumes = pod?.volumes?.map(({ name }) => name);
    for (const { name } of container?.volumeMounts ?? []) expect(volumes).toContain(name);
  });

  it('run as nobody, who may write to nothing but the health file', () => {
    expect(pod?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const [mount] = container?.volumeMounts ?? [];
    expect(/healthFile\(worker, \{ path: '(.*)' }/.exec(readme)?.[1]).toBe(`${mount?.mountPath}/live`);
  });

  it('leave more time than the program takes to stop', () => {
    const drainS = Number(/timeoutMs: ([\d_]+)/.exec(readme)?.[1]?.replaceAll('_', '')) / 1_000;
    const preStopS = Number(container?.lifecycle?.preStop?.sleep?.seconds);
    expect({ drainS, preStopS }).toEqual({ drainS: 25, preStopS: 5 });
    expect(pod?.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStopS + drainS + killAfterS + 5);
  });

  it('bear a start that takes connectTimeoutMs, and a stall that takes stallMs', () => {
    const lasts = ({ periodSeconds = 10, failureThreshold = 3 }: IProbe = {}): number =>
      periodSeconds * failureThreshold;
    expect(lasts(container?.startupProbe)).toBeGreaterThan(30 + 60);
    expect(lasts(container?.livenessProbe)).toBeGreaterThanOrEqual(60);
  });

  it('keep the heap inside the memory limit, with room beside it', () => {
    const heap = Number(/--max-old-space-size=(\d+)/.exec(JSON.stringify(container?.env))?.[1]);
    const limit = Number(/^(\d+)Mi$/.exec(String(container?.resources?.limits?.memory))?.[1]);
    expect(limit - heap).toBeGreaterThanOrEqual(128);
    expect(container?.resources?.requests?.memory).toBe(container?.resources?.limits?.memory);
  });

  it('scale on the lag of the group and topic that the program reads, never beyond its partitions', () => {
    const [trigger] = scaled.spec.triggers;
    const [, groupId, topic] = /groupId: '(\w+)', topics: '(\w+)'/.exec(readme) ?? [];
    expect(trigger).toMatchObject({ type: 'kafka', metadata: { consumerGroup: groupId, topic } });
    expect(trigger?.metadata).toMatchObject({ allowIdleConsumers: 'false', excludePersistentLag: 'true' });
    const brokers = container?.env?.find(({ name }) => name === 'KAFKA_BROKERS')?.value;
    expect(trigger?.metadata.bootstrapServers).toBe(brokers);
    const { minReplicaCount = 0, maxReplicaCount = 0, fallback } = scaled.spec;
    expect(minReplicaCount).toBeGreaterThanOrEqual(1);
    expect(fallback?.replicas).toBeLessThanOrEqual(maxReplicaCount);
  });
});

describe('the probes', () => {
  it('ask for paths that a health server answers', async () => {
    const kafka = fakeKafka({ topics: { orders: { partitions: 1 } } });
    const worker = new Worker({ kafka, clock: kafka.clock, groupId: 'g', topics: 'orders', handler: () => {} });
    await using server = await healthServer(worker, { port: 0, host: '127.0.0.1' });
    const started = worker.start();
    await kafka.clock.advance(100);
    await started;
    expect(probes()).toHaveLength(3);
    for (const { httpGet } of probes())
      expect({ path: httpGet?.path, ...(await status(server.url, httpGet?.path)) }).toMatchObject({ status: 200 });
    expect(/port: (\d+)/.exec(readme)?.[1]).toBe(String(container?.ports?.[0]?.containerPort));
    const stopped = worker.stop();
    await kafka.clock.advance(10_000);
    await stopped;
    expect(await status(server.url, container?.readinessProbe?.httpGet?.path)).toEqual({ status: 503 });
  });

  describe('by file', () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'probe-'));
    });
    afterAll(() => rmSync(directory, { recursive: true }));

    it('succeed with a file that was just touched, fail with an old one, and without one', () => {
      const [sh = '', flag = '', script = ''] = byFile.exec?.command ?? [];
      const path = join(directory, 'live');
      const succeeds = (): boolean => {
        try {
          execFileSync(sh, [flag, script.replace('/run/health/live', path)], { stdio: 'ignore' });
          return true;
        } catch {
          return false;
        }
      };
      expect(succeeds()).toBe(false);
      writeFileSync(path, '');
      expect(succeeds()).toBe(true);
      const longAgo = new Date(Date.now() - 120_000);
      utimesSync(path, longAgo, longAgo);
      expect(succeeds()).toBe(false);
    });
  });
});

function probes(): IProbe[] {
  const { startupProbe, readinessProbe, livenessProbe } = container ?? {};
  return [startupProbe, readinessProbe, livenessProbe].flatMap((probe) => probe ?? []);
}

async function status(url: string, path = '/missing'): Promise<{ readonly status: number }> {
  return { status: (await fetch(`${url}${path}`)).status };
}

/** The schemas allow fields that they do not know, as servers do. Types do not, in a literal: so each is written as one, and compiled. */
function unknownFields(literals: readonly (readonly [module: string, type: string, value: unknown])[]): string[] {
  const file = join(root, 'scripts', 'manifest-literals.ts');
  const source = literals.map(
    ([module, type, value], i) =>
      `import type { ${type} as Type${i} } from '${module}';\nexport const value${i}: Type${i} = ${JSON.stringify(value)};\n`,
  );
  const options: ts.CompilerOptions = {
    ...{ module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, strict: true, noEmit: true },
    ...{ skipLibCheck: true, types: [] },
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.getSourceFile = (path, version, ...rest) =>
    path === file ? ts.createSourceFile(file, source.join(''), version) : getSourceFile(path, version, ...rest);
  const program = ts.createProgram([file], options, host);
  return program
    .getSemanticDiagnostics(program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
