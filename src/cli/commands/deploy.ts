import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { RegistryAccess } from "../../builder/builder.ts";
import { type BuilderName, findBuilder } from "../../builder/find-builder.ts";
import { CommandFailed } from "../../builder/stream-command.ts";
import { systemClock } from "../../core/clock.ts";
import { type Command, CommandError, UsageError } from "../command.ts";
import { type Balanced, ensureLoadBalancer } from "../deploy/load-balancer.ts";
import { exposedPorts, publicImages, registryAccess } from "../deploy/registry-access.ts";
import { registerDefinition, type RollOut, rollOutService } from "../deploy/roll-out.ts";
import { type DeployFlags, type DeploySettings, parseEnvFile, readSettings, writeSettings } from "../deploy/settings.ts";
import { ensureEksCluster } from "../deploy/eks/cluster.ts";
import { type KubernetesApi, kubernetesApi } from "../deploy/eks/kubernetes-api.ts";
import { NAMESPACE } from "../deploy/eks/objects.ts";
import { rollOutDeployment, urlOf } from "../deploy/eks/roll-out.ts";
import {
  defaultVpc,
  ensureCluster,
  ensureExecutionRole,
  ensureLogGroup,
  ensureNetwork,
  ensureRepository,
  type ServiceNetwork,
} from "../deploy/surroundings.ts";
import { runSteps, type Step } from "../progress.ts";
import type { Session } from "../session.ts";

interface DeployOptions extends DeployFlags {
  readonly builder?: string;
  readonly secret?: readonly string[];
  readonly trustHostCa?: boolean;
  readonly json?: boolean;
}

const HOST_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

/** What the steps find out, for those after them. */
interface Progress {
  registry?: RegistryAccess;
  image?: string;
  digest?: string;
  port?: number;
  executionRoleArn?: string;
  network?: ServiceNetwork;
  balanced?: Balanced;
  taskDefinition?: string;
  /** On EKS. */
  api?: KubernetesApi;
  url?: string;
}

/** From a folder with a Dockerfile to a running service; again, from an edit to its roll-out. */
export const deploy: Command<DeployOptions> = {
  usage: "deploy [folder]",
  summary: "build a folder's Dockerfile and run it as a service behind a URL",
  options: [
    ["--name <name>", "of the service (default: the folder's)"],
    ["--port <port>", "the app listens on (default: the image's EXPOSE; 0: a worker without one)"],
    ["--cpu <units>", "1024 = 1 vCPU (default 256)"],
    ["--memory <MiB>", "(default: the least that goes with the cpu)"],
    ["--count <n>", "how many tasks (default 2)"],
    ["--health-path <path>", "of the load balancer's health check (default /)"],
    ["--env <NAME=value...>", "an environment variable"],
    ["--env-file <file...>", "a file of NAME=value lines"],
    ["--secret <NAME=arn...>", "(not built yet: comes with Secrets Manager)"],
    ["--build-arg <NAME=value...>", "an argument of the build"],
    ["--build-secret <id=file...>", "a secret of the build (RUN --mount=type=secret)"],
    ["--dockerfile <path>", "inside the folder (default Dockerfile)"],
    ["--target <stage>", "of a multi-stage Dockerfile"],
    ["--cluster <name>", "(default `default`; made at the first use)"],
    ["--builder <name>", "buildkit, docker or buildah (default: the first that answers)"],
    ["--on <ecs|eks>", "a service of ECS (default), or a Deployment, Service and Ingress of EKS"],
    ["--trust-host-ca", "RUN steps trust this host's CA bundle"],
    ["--json", "print the result as JSON"],
  ],
  async run({ arguments: [given = "."], options, session }) {
    refuseUnbuilt(options);
    const folder = resolve(given);
    await mustBeFolder(folder);
    const settings = await readSettings(folder, options);
    await mustHaveDockerfile(folder, settings);
    const environment = await readEnvironment(folder, settings);
    await session.connection();
    const progress: Progress = {};
    const interrupt = new AbortController();
    // The second one ends this process at once.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupt.abort());
    const steps: readonly Step[] = [
      { title: `Image repository ${settings.name}`, run: () => prepareRepository(session, settings, progress) },
      buildStep({ session, settings, folder, options, progress, signal: interrupt.signal }),
      ...(settings.on === "eks" ? stepsOnEks : stepsOnEcs)({ session, settings, environment, progress, signal: interrupt.signal }),
    ];
    await runSteps(
      session.output,
      steps.map((step) => unlessInterrupted(step, interrupt.signal)),
    );
    await writeSettings(folder, settings);
    await report(session, settings, progress);
  },
};

type StepParts = Omit<RollOutParts, "say">;

function stepsOnEcs(parts: StepParts): readonly Step[] {
  const { session, settings, progress } = parts;
  return [
    { title: "Role, log group, cluster, security groups", run: () => prepareSurroundings(session, settings, progress) },
    { title: "Load balancer", run: () => prepareBalancer(session, settings, progress) },
    {
      title: `Service ${settings.name}`,
      run: async (say) => {
        const rollOut = await rollOutOf({ ...parts, say });
        progress.taskDefinition = await registerDefinition(session, rollOut);
        await rollOutService(session, rollOut, progress.taskDefinition);
        return `Service ${settings.name}: ${settings.count} running (${progress.taskDefinition.split("/").at(-1)})`;
      },
    },
  ];
}

function stepsOnEks({ session, settings, environment, progress, signal }: StepParts): readonly Step[] {
  return [
    {
      title: `EKS cluster ${settings.cluster}`,
      async run(say) {
        const { subnetIds } = await defaultVpc(session);
        const access = await ensureEksCluster(session, { name: settings.cluster, namespace: NAMESPACE, subnetIds, say, signal });
        progress.api = await kubernetesApi(session, access);
        return `EKS cluster ${settings.cluster} at ${access.endpoint}`;
      },
    },
    {
      title: `Deployment ${settings.name}`,
      async run(say) {
        const { port } = progress;
        const shipped = { settings, image: `${progress.image}@${progress.digest}`, environment: withPort(environment, port), port };
        const rollOut = { api: known(progress.api), shipped, say, signal };
        await rollOutDeployment(rollOut);
        if (port !== undefined) progress.url = await urlOf(rollOut);
        return `Deployment ${settings.name}: ${settings.count} running`;
      },
    },
  ];
}

/** Until the service itself is changed, an interrupted deploy has changed nothing that runs. */
function unlessInterrupted(step: Step, signal: AbortSignal): Step {
  const interrupted = (): CommandError => new CommandError("Interrupted. Nothing that runs was changed.", 130);
  return {
    ...step,
    async run(say) {
      if (signal.aborted) throw interrupted();
      return step.run(say);
    },
  };
}

/** Before anything is made. @throws UsageError */
function refuseUnbuilt(options: DeployOptions): void {
  builderName(options.builder);
  if (options.secret !== undefined) throw new UsageError("--secret is not built yet: it comes with Secrets Manager. --env and --env-file work.");
}

async function mustBeFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new UsageError(`${folder} is no folder`);
}

async function mustHaveDockerfile(folder: string, settings: DeploySettings): Promise<void> {
  const path = join(folder, settings.dockerfile);
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) throw new UsageError(`there is no ${path}; --dockerfile says another`);
}

async function readEnvironment(folder: string, settings: DeploySettings): Promise<Readonly<Record<string, string>>> {
  const variables: Record<string, string> = {};
  for (const file of settings.envFiles) {
    const path = resolve(folder, file);
    const text = await readFile(path, "utf8").catch(() => {
      throw new UsageError(`cannot read the env file ${path}`);
    });
    Object.assign(variables, parseEnvFile(path, text));
  }
  return { ...variables, ...settings.environment };
}

async function prepareRepository(session: Session, settings: DeploySettings, progress: Progress): Promise<string> {
  progress.image = await ensureRepository(session, settings.name);
  progress.registry = await registryAccess(session);
  return `Image repository ${progress.image}`;
}

interface BuildStep {
  readonly session: Session;
  readonly settings: DeploySettings;
  readonly folder: string;
  readonly options: DeployOptions;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

function buildStep({ session, settings, folder, options, progress, signal }: BuildStep): Step {
  return {
    title: "Build and push",
    async run(say) {
      const registry = known(progress.registry);
      const builder = await findBuilder(builderName(options.builder));
      say(builder.version);
      const tag = new Date(systemClock.nowMs()).toISOString().replaceAll(/[-:]|\..*/g, "");
      const building = builder.build({
        contextFolder: folder,
        dockerfile: join(folder, settings.dockerfile),
        image: `${progress.image}:${tag}`,
        registry,
        publicImages: await publicImages(registry),
        buildArguments: settings.buildArgs,
        buildSecrets: Object.fromEntries(Object.entries(settings.buildSecrets).map(([id, file]) => [id, resolve(folder, file)])),
        target: settings.target,
        caBundle: options.trustHostCa === true ? HOST_CA_BUNDLE : undefined,
        stateFolder: join(session.dataDir, "builder"),
        onLine: say,
        signal,
      });
      const { digest } = await building.catch((error: unknown) => {
        if (signal.aborted) throw new CommandError("Interrupted while building. Nothing that runs was changed.", 130);
        // Where all lines were printed, the last ones need no repeating.
        if (error instanceof CommandFailed && !session.output.terminal)
          throw new CommandError(`${error.summary}. Nothing that runs was changed.${error.advice}`);
        throw error;
      });
      progress.digest = digest;
      progress.port = await portOf(settings, { registry, digest });
      return `Built by ${builder.version} and pushed: ${settings.name}:${tag} (${digest.slice(0, 19)})`;
    },
  };
}

function builderName(text: string | undefined): BuilderName | undefined {
  if (text === undefined || text === "buildkit" || text === "docker" || text === "buildah") return text;
  throw new UsageError(`--builder takes buildkit, docker or buildah, not "${text}"`);
}

async function portOf(settings: DeploySettings, image: { readonly registry: RegistryAccess; readonly digest: string }): Promise<number | undefined> {
  if (settings.port !== undefined) return settings.port === 0 ? undefined : settings.port;
  const ports = await exposedPorts(image.registry, { repository: settings.name, digest: image.digest });
  if (ports.length > 1)
    throw new CommandError(`The image exposes the ports ${ports.join(", ")}: say which one the load balancer shall use with --port.`);
  return ports[0];
}

async function prepareSurroundings(session: Session, settings: DeploySettings, progress: Progress): Promise<void> {
  progress.executionRoleArn = await ensureExecutionRole(session);
  await ensureLogGroup(session, logGroupOf(settings));
  await ensureCluster(session, settings.cluster);
  progress.network = await ensureNetwork(session, { name: settings.name, port: progress.port });
}

async function prepareBalancer(session: Session, settings: DeploySettings, progress: Progress): Promise<string> {
  if (progress.port === undefined) return "No load balancer: a worker without a port";
  const network = known(progress.network);
  progress.balanced = await ensureLoadBalancer(session, { name: settings.name, port: progress.port, healthPath: settings.healthPath, network });
  return `Load balancer ${progress.balanced.dnsName}`;
}

interface RollOutParts {
  readonly session: Session;
  readonly settings: DeploySettings;
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: Progress;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

async function rollOutOf({ session, settings, environment, progress, say, signal }: RollOutParts): Promise<RollOut> {
  const { region } = await session.connection();
  return {
    settings,
    image: `${progress.image}@${progress.digest}`,
    environment: withPort(environment, progress.port),
    executionRoleArn: known(progress.executionRoleArn),
    logGroup: logGroupOf(settings),
    region,
    port: progress.port,
    network: known(progress.network),
    targetGroupArn: progress.balanced?.targetGroupArn,
    onProgress: say,
    signal,
  };
}

function withPort(environment: Readonly<Record<string, string>>, port: number | undefined): Readonly<Record<string, string>> {
  return port === undefined ? environment : { PORT: String(port), ...environment };
}

function logGroupOf(settings: DeploySettings): string {
  return `/tidegate/${settings.name}`;
}

const ASK_TIMES = 4;
const ASK_TIMEOUT_MS = 30_000;

async function report(session: Session, settings: DeploySettings, progress: Progress): Promise<void> {
  const url = progress.url ?? (progress.balanced === undefined ? undefined : `http://${progress.balanced.dnsName}/`);
  const answers = url === undefined ? [] : await askSeveralTimes(url);
  if (session.json) {
    return session.output.json({
      name: settings.name,
      url,
      image: `${progress.image}@${progress.digest}`,
      taskDefinition: progress.taskDefinition,
      answers,
    });
  }
  const { name, cluster } = settings;
  const logs =
    settings.on === "eks" ? `aws eks update-kubeconfig --name ${cluster} && kubectl logs -f deployment/${name}` : `tidegate logs -f ${name}`;
  if (url === undefined) return session.output.line(`${name} runs. \`${logs}\` shows what it writes.`);
  session.output.line();
  session.output.line(session.output.style("bold", url));
  for (const answer of answers) session.output.line(`  ${answer}`);
  session.output.line(`\`${logs}\` shows what it writes.`);
}

/** What the URL answers, each time on a connection of its own. */
async function askSeveralTimes(url: string): Promise<readonly string[]> {
  const answers: string[] = [];
  for (let time = 0; time < ASK_TIMES; time++) {
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const response = await fetch(url, { headers: { connection: "close" }, signal }).catch((error: unknown) => error as Error);
    if (response instanceof Error) answers.push(`no answer: ${response.message} ${(response.cause as Error | undefined)?.message ?? ""}`);
    else answers.push(`${response.status} ${(await response.text()).slice(0, 300)}`);
  }
  return answers;
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new CommandError("a step before this one did not do its work");
  return value;
}
