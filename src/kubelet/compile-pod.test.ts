import type { V1Container, V1EnvVar, V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { ContainerSpec, Workload } from "../contracts/workload.ts";
import { compileDebugger, compilePod } from "./compile-pod.ts";
import { expand } from "./environment.ts";
import { sourceNames, type PodSources } from "./pod-files.ts";
import { CLUSTER, PLACEMENT, testContainer, testPod } from "./testing.ts";

const NO_SOURCES: PodSources = { configMaps: new Map(), secrets: new Map(), tokens: new Map() };
const PARTS = {
  cluster: CLUSTER,
  placement: PLACEMENT,
  services: { KUBERNETES_SERVICE_HOST: "10.100.0.1" },
  vpc: { servers: ["10.0.0.2"], searches: ["ec2.internal"] },
};
const compile = (pod: V1Pod, sources = NO_SOURCES): Workload => compilePod({ ...PARTS, pod, sources });
const compileOne = (container: Partial<V1Container>, sources = NO_SOURCES): ContainerSpec | undefined =>
  compile(testPod({ containers: [testContainer(container)] }), sources).containers[0];
const variables = (spec: ContainerSpec | undefined): Readonly<Record<string, unknown>> =>
  Object.fromEntries((spec?.environment ?? []).map((each) => [each.name, "value" in each ? each.value : each.producer]));

it("compiles a pod to one workload at the address that it holds", () => {
  const workload = compile(testPod());
  expect(workload).toMatchObject({
    id: "11111111222233334444555555555555",
    network: { attachmentId: "attachment-1", kept: true, securityGroupIds: ["sg-cluster"] },
    cpuUnits: 256,
    memoryMiB: 512,
    hostname: "web",
    system: false,
    dns: { servers: ["10.100.0.10"] },
    hooks: ["eks-services", "eks-target-drain"],
  });
  expect(compilePod({ ...PARTS, placement: { ...PLACEMENT, attempt: 2 }, pod: testPod(), sources: NO_SOURCES }).id).toMatch(/-2$/);
});

it("keeps init containers and sidecars before the rest, and restarts each by the pod's policy", () => {
  const inits = [testContainer({ name: "first" }), testContainer({ name: "side", restartPolicy: "Always" })];
  const shown = (restartPolicy: string): unknown =>
    compile(testPod({ initContainers: inits, restartPolicy })).containers.map(({ name, kind, restart, essential }) => [
      name,
      kind,
      restart.policy,
      essential,
    ]);
  expect(shown("Always")).toEqual([
    ["first", "init", "on-failure", false],
    ["side", "sidecar", "always", false],
    ["app", "main", "always", false],
  ]);
  expect(compile(testPod({ initContainers: inits, restartPolicy: "Never" })).containers.map(({ restart }) => restart.policy)).toEqual([
    "never",
    "always",
    "never",
  ]);
  expect(compile(testPod()).containers[0]?.restart.backoff).toEqual({ initialSeconds: 10, maximumSeconds: 300, resetAfterSeconds: 600 });
});

it("takes none of the image's arguments with a command of its own", () => {
  expect(compileOne({ command: ["run"] })).toMatchObject({ entryPoint: ["run"], command: [] });
  expect(compileOne({ args: ["-v"] })).toMatchObject({ command: ["-v"] });
  expect(compileOne({ args: ["-v"] })).not.toHaveProperty("entryPoint");
});

describe("a container's environment", () => {
  it("has envFrom before env, the last of a name, and what leads to the API server", () => {
    const sources = { ...NO_SOURCES, configMaps: new Map([["words", { A: "map", B: "map" }]]), secrets: new Map([["hidden", { S: "secret" }]]) };
    const spec = compileOne(
      {
        envFrom: [
          { configMapRef: { name: "words" }, prefix: "" },
          { secretRef: { name: "hidden" }, prefix: "X_" },
        ],
        env: [
          { name: "A", value: "own" },
          { name: "C", value: "$(A)-$(B)-$(NONE)-$$(A)" },
          { name: "S", valueFrom: { secretKeyRef: { name: "hidden", key: "S" } } },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
          { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
        ],
        args: ["--a=$(A)"],
      },
      sources,
    );
    expect(variables(spec)).toMatchObject({
      KUBERNETES_SERVICE_HOST: "10.100.0.1",
      A: "own",
      B: "map",
      X_S: "secret",
      C: "own-map-$(NONE)-$(A)",
      S: "secret",
      IP: "10.0.1.2",
      APP: "web",
      NODE: "fargate-ip-10-0-1-2.ec2.internal",
    });
    expect(spec?.command).toEqual(["--a=own"]);
  });

  it("says in the kubelet's words what is not there, unless it is optional", () => {
    const from = (optional: boolean): Partial<V1Container> => ({
      env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "words", key: "a", optional } } }],
    });
    expect(() => compileOne(from(false))).toThrow(`configmap "words" not found`);
    expect(variables(compileOne(from(true)))).not.toHaveProperty("A");
    const sources = { ...NO_SOURCES, configMaps: new Map([["words", {}]]) };
    expect(() => compileOne(from(false), sources)).toThrow("couldn't find key a in ConfigMap default/words");
  });

  it("has resources in units of their divisor, the pod's size where no limit is set", () => {
    const value = (resource: string, divisor?: string): unknown =>
      variables(
        compileOne({
          resources: { requests: { cpu: "100m" }, limits: { memory: "64Mi" } },
          env: [{ name: "A", valueFrom: { resourceFieldRef: { resource, divisor } } }],
        }),
      )["A"];
    expect(value("requests.cpu")).toBe("1");
    expect(value("requests.cpu", "1m")).toBe("100");
    expect(value("limits.memory", "1Mi")).toBe("64");
    expect(value("limits.memory")).toBe("67108864");
    expect(value("limits.cpu", "1m")).toBe("250");
    expect(value("requests.memory")).toBe("0");
    expect(value("limits.ephemeral-storage", "1Gi")).toBe("20");
    const large = compileOne({
      resources: { requests: { "ephemeral-storage": "100Gi" } },
      env: [{ name: "A", valueFrom: { resourceFieldRef: { resource: "limits.ephemeral-storage", divisor: "1Gi" } } }],
    });
    expect(variables(large)["A"]).toBe("100");
    expect(() => value("limits.gpu")).toThrow("unsupported container resource : limits.gpu");
  });

  it("takes no bytes that are no text", () => {
    const sources = { ...NO_SOURCES, secrets: new Map([["s", { k: { base64: "/w==" } }]]) };
    expect(() => compileOne({ envFrom: [{ secretRef: { name: "s" } }] }, sources)).toThrow("no UTF-8 text");
  });

  it("expands only what is known", () => {
    expect(expand("$(A)$(B)$$(A)$A", { A: "1" })).toBe("1$(B)$(A)$A");
  });
});

it("gives volumes their files: ConfigMaps, Secrets, tokens and what is known of the pod", () => {
  const pod = testPod({
    containers: [
      testContainer({
        volumeMounts: [
          { name: "token", mountPath: "/var/run/secrets" },
          { name: "scratch", mountPath: "/tmp" },
        ],
      }),
    ],
    volumes: [
      { name: "scratch", emptyDir: { sizeLimit: "64Mi" } },
      { name: "config", configMap: { name: "words", items: [{ key: "a", path: "sub/a", mode: 0o400 }] } },
      { name: "hidden", secret: { secretName: "hidden", defaultMode: 0o440 } },
      {
        name: "token",
        projected: {
          sources: [
            { serviceAccountToken: { path: "token", expirationSeconds: 3607 } },
            { configMap: { name: "kube-root-ca.crt" } },
            { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
          ],
        },
      },
    ],
  });
  const names = sourceNames(pod);
  expect([...names.configMaps, ...names.secrets, ...names.tokens]).toEqual(["words", "kube-root-ca.crt", "hidden", { audience: "", seconds: 3607 }]);
  const workload = compile(pod, {
    configMaps: new Map<string, Readonly<Record<string, string>>>([
      ["words", { a: "A", b: "B" }],
      ["kube-root-ca.crt", { "ca.crt": "PEM" }],
    ]),
    secrets: new Map([["hidden", { key: "value" }]]),
    tokens: new Map([["3607/", "jwt"]]),
  });
  expect(workload.volumes).toEqual([
    { name: "scratch", type: "ephemeral", sizeLimit: { bytes: 64 * 2 ** 20, words: "64Mi" } },
    { name: "config", type: "files", files: [{ path: "sub/a", mode: 0o400, value: "A" }] },
    { name: "hidden", type: "files", files: [{ path: "key", mode: 0o440, value: "value" }] },
    {
      name: "token",
      type: "files",
      files: [
        { path: "token", mode: 0o644, value: "jwt" },
        { path: "ca.crt", mode: 0o644, value: "PEM" },
        { path: "namespace", mode: 0o644, value: "default" },
      ],
    },
  ]);
  expect(workload.containers[0]?.mounts).toMatchObject([
    { volume: "token", readOnly: true },
    { volume: "scratch", readOnly: false },
  ]);
});

it("gives a token to the pod's only user, or its group, alone; bytes as they are; subPathExpr expanded", () => {
  const volumes = [
    { name: "token", projected: { sources: [{ serviceAccountToken: { path: "t", audience: "vault", expirationSeconds: 600 } }] } },
    { name: "raw", secret: { secretName: "raw" } },
  ];
  const mounts = [{ name: "raw", mountPath: "/raw", subPathExpr: "$(NAME)/x" }];
  const env = [{ name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }];
  const sources = { ...NO_SOURCES, secrets: new Map([["raw", { k: { base64: "/w==" } }]]), tokens: new Map([["600/vault", "jwt"]]) };
  const filesOf = (securityContext: object): unknown =>
    compile(testPod({ volumes, containers: [testContainer({ env, volumeMounts: mounts })], securityContext }), sources).volumes.flatMap((volume) =>
      volume.type === "files" ? volume.files : [],
    );
  expect(filesOf({ runAsUser: 7 })).toEqual([
    { path: "t", mode: 0o600, userId: 7, value: "jwt" },
    { path: "k", mode: 0o644, base64: "/w==" },
  ]);
  expect(filesOf({ fsGroup: 7 })).toMatchObject([{ mode: 0o600 }, { mode: 0o644 }]);
  expect(filesOf({})).toMatchObject([{ mode: 0o644 }, { mode: 0o644 }]);
  const container = compile(testPod({ volumes, containers: [testContainer({ env, volumeMounts: mounts })] }), sources).containers[0];
  expect(container?.mounts).toEqual([{ volume: "raw", containerPath: "/raw", readOnly: true, subPath: "web/x" }]);
  const none = [{ name: "NONE", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['none']" } } }];
  const refusalOf = (subPathExpr: string, variables: V1EnvVar[] = []) => {
    const bad = testContainer({ env: variables, volumeMounts: [{ name: "raw", mountPath: "/raw", subPathExpr }] });
    return () => compile(testPod({ volumes, containers: [bad] }), sources);
  };
  expect(refusalOf("$(NONE)")).toThrow('missing value for "NONE"');
  expect(refusalOf("$(NONE)/x", none)).toThrow('missing value for "NONE"');
  expect(refusalOf("$(P)", [{ name: "P", value: "/tmp" }])).toThrow("must not be an absolute path");
  expect(refusalOf("$(P)", [{ name: "P", value: ".." }])).toThrow("must not contain '..'");
});

it("names the volume that cannot be made, in the kubelet's words", () => {
  const volumes = [{ name: "v", configMap: { name: "none" } }];
  expect(() => compile(testPod({ volumes }))).toThrow('MountVolume.SetUp failed for volume "v" : configmap "none" not found');
});

it("finds a probe's port by its name, and says when there is none", () => {
  const ports = [{ name: "http", containerPort: 8080 }];
  expect(compileOne({ ports, readinessProbe: { httpGet: { port: "http", path: "/ready" } } })?.probes.readiness).toMatchObject({
    action: { type: "http", port: 8080, path: "/ready", scheme: "http" },
    periodSeconds: 10,
    failureThreshold: 3,
  });
  expect(() => compileOne({ livenessProbe: { tcpSocket: { port: "http" } } })).toThrow("container app has no port named http");
});

it("has probes of all kinds, hooks that sleep, rules by exit codes, last words, and its full name", () => {
  expect(compileOne({ startupProbe: { grpc: { port: 9, service: "s" }, terminationGracePeriodSeconds: 3 } })?.probes.startup).toMatchObject({
    action: { type: "grpc", port: 9, service: "s" },
    stopTimeoutSeconds: 3,
  });
  expect(compileOne({ lifecycle: { preStop: { sleep: { seconds: 2 } } } })?.hooks).toEqual({ preStop: { type: "sleep", seconds: 2 } });
  const rules = [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }];
  expect(compileOne({ restartPolicy: "Never", restartPolicyRules: rules })?.restart).toMatchObject({
    policy: "never",
    exitCodeRules: [{ operator: "In", values: [42] }],
  });
  expect(compileOne({ terminationMessagePolicy: "FallbackToLogsOnError" })).toMatchObject({
    terminationMessagePath: "/dev/termination-log",
    terminationMessageFromLog: true,
  });
  expect(compile(testPod({ hostname: "me", subdomain: "sub" }))).toMatchObject({ hostname: "me", fullHostname: "me.sub.default.svc.cluster.local" });
  expect(compile(testPod({ subdomain: "sub", setHostnameAsFQDN: true })).hostname).toBe("web.sub.default.svc.cluster.local");
});

it("takes user, group, capabilities and limits from the container, else from the pod", () => {
  const pod = testPod({
    securityContext: { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000 },
    containers: [
      testContainer({
        securityContext: { runAsUser: 5, capabilities: { drop: ["ALL"], add: ["CAP_NET_RAW"] }, allowPrivilegeEscalation: false },
        resources: { requests: { cpu: "100m" }, limits: { cpu: "200m", memory: "64Mi" } },
      }),
    ],
  });
  const workload = compile(pod);
  expect(workload.fsGroup).toBe(3000);
  expect(workload.containers[0]).toMatchObject({
    user: "5:2000",
    dropCapabilities: ["ALL"],
    addCapabilities: ["NET_RAW"],
    noNewPrivileges: true,
    cpuUnits: 102,
    cpuLimitUnits: 205,
    memoryMiB: 64,
  });
});

it("a debugger is refused what a container of the pod would be", () => {
  const debug = (more: Partial<V1Container>): unknown =>
    compileDebugger(testContainer({ ...more, name: "debug" }), {
      cluster: CLUSTER,
      placement: PLACEMENT,
      pod: testPod(),
      sources: NO_SOURCES,
      services: {},
    });
  expect(debug({})).toMatchObject({ name: "debug", kind: "ephemeral" });
  expect(() => debug({ securityContext: { privileged: true } })).toThrow("invalid SecurityContext fields: Privileged");
  expect(() => debug({ securityContext: { seccompProfile: { type: "Unconfined" } } })).toThrow("not built yet: securityContext.seccompProfile");
});
