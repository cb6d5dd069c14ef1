import type { ECSClient, Service } from "@aws-sdk/client-ecs";
import { systemClock } from "../../core/clock.ts";
import { CommandError } from "../command.ts";
import type { Session } from "../session.ts";
import { explainFailure } from "./explain-failure.ts";
import type { DeploySettings } from "./settings.ts";
import type { ServiceNetwork } from "./surroundings.ts";

export interface RollOut {
  readonly settings: DeploySettings;
  /** With digest: `localhost:4566/shop@sha256:…`. */
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly executionRoleArn: string;
  readonly logGroup: string;
  readonly region: string;
  readonly port?: number;
  readonly network: ServiceNetwork;
  readonly targetGroupArn?: string;
  readonly onProgress: (text: string) => void;
}

const POLL_MS = 500;

/** Registers a revision of the task definition. Answers its ARN. */
export async function registerDefinition(session: Session, rollOut: RollOut): Promise<string> {
  const { RegisterTaskDefinitionCommand } = await import("@aws-sdk/client-ecs");
  const ecs = await session.ecs();
  const { settings } = rollOut;
  const registered = await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: settings.name,
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: String(settings.cpu),
      memory: String(settings.memory),
      executionRoleArn: rollOut.executionRoleArn,
      containerDefinitions: [
        {
          name: settings.name,
          image: rollOut.image,
          essential: true,
          portMappings: rollOut.port === undefined ? [] : [{ containerPort: rollOut.port, protocol: "tcp" }],
          environment: Object.entries(rollOut.environment).map(([name, value]) => ({ name, value })),
          logConfiguration: {
            logDriver: "awslogs",
            options: { "awslogs-group": rollOut.logGroup, "awslogs-region": rollOut.region, "awslogs-stream-prefix": "ecs" },
          },
        },
      ],
    }),
  );
  return registered.taskDefinition?.taskDefinitionArn ?? "";
}

/** Creates the service or rolls it over, and waits for the steady state. @throws CommandError that explains the failed tasks; what was there before serves on. */
export async function rollOutService(session: Session, rollOut: RollOut, taskDefinition: string): Promise<void> {
  const ecs = await session.ecs();
  const existing = await activeService(ecs, rollOut.settings);
  if (existing === undefined) await createService(ecs, rollOut, taskDefinition);
  else await updateService(ecs, rollOut, taskDefinition);
  const failure = await waitUntilSteady(ecs, rollOut, taskDefinition);
  if (failure === undefined) return;
  const why = await explainFailure(session, {
    cluster: rollOut.settings.cluster,
    service: rollOut.settings.name,
    taskDefinition,
    logGroup: rollOut.logGroup,
  });
  if (existing === undefined) {
    const { DeleteServiceCommand } = await import("@aws-sdk/client-ecs");
    await ecs.send(new DeleteServiceCommand({ cluster: rollOut.settings.cluster, service: rollOut.settings.name, force: true }));
    throw new CommandError(`${failure}\n${why}\nThe new service ${rollOut.settings.name} was removed again.`);
  }
  throw new CommandError(`${failure}\n${why}\nThe revision before it (${nameOf(existing.taskDefinition)}) serves on.`);
}

async function activeService(ecs: ECSClient, settings: DeploySettings): Promise<Service | undefined> {
  const { DescribeServicesCommand } = await import("@aws-sdk/client-ecs");
  const answer = await ecs.send(new DescribeServicesCommand({ cluster: settings.cluster, services: [settings.name] }));
  return answer.services?.find((service) => service.status === "ACTIVE");
}

function networkConfiguration(network: ServiceNetwork) {
  return { awsvpcConfiguration: { subnets: [...network.subnetIds], securityGroups: [network.taskGroupId], assignPublicIp: "ENABLED" as const } };
}

const DEPLOYMENT = { deploymentCircuitBreaker: { enable: true, rollback: true }, minimumHealthyPercent: 100, maximumPercent: 200 };

function loadBalancers(rollOut: RollOut) {
  if (rollOut.targetGroupArn === undefined) return [];
  return [{ targetGroupArn: rollOut.targetGroupArn, containerName: rollOut.settings.name, containerPort: rollOut.port }];
}

async function createService(ecs: ECSClient, rollOut: RollOut, taskDefinition: string): Promise<void> {
  const { CreateServiceCommand } = await import("@aws-sdk/client-ecs");
  await ecs.send(
    new CreateServiceCommand({
      cluster: rollOut.settings.cluster,
      serviceName: rollOut.settings.name,
      taskDefinition,
      desiredCount: rollOut.settings.count,
      launchType: "FARGATE",
      networkConfiguration: networkConfiguration(rollOut.network),
      loadBalancers: loadBalancers(rollOut),
      deploymentConfiguration: DEPLOYMENT,
    }),
  );
}

async function updateService(ecs: ECSClient, rollOut: RollOut, taskDefinition: string): Promise<void> {
  const { UpdateServiceCommand } = await import("@aws-sdk/client-ecs");
  await ecs.send(
    new UpdateServiceCommand({
      cluster: rollOut.settings.cluster,
      service: rollOut.settings.name,
      taskDefinition,
      desiredCount: rollOut.settings.count,
      networkConfiguration: networkConfiguration(rollOut.network),
      loadBalancers: loadBalancers(rollOut),
      deploymentConfiguration: DEPLOYMENT,
    }),
  );
}

/** Answers `undefined` when all tasks of `taskDefinition` are up and healthy and no other deployment is left; else what failed. */
async function waitUntilSteady(ecs: ECSClient, rollOut: RollOut, taskDefinition: string): Promise<string | undefined> {
  let shown = "";
  for (;;) {
    const service = await activeService(ecs, rollOut.settings);
    if (service === undefined) return `The service ${rollOut.settings.name} was deleted meanwhile.`;
    const deployment = service.deployments?.find((candidate) => candidate.taskDefinition === taskDefinition);
    const failed = service.deployments?.find((candidate) => candidate.rolloutState === "FAILED");
    if (failed !== undefined) return failed.rolloutStateReason ?? "The deployment failed.";
    if (deployment === undefined) return `The deployment of ${nameOf(taskDefinition)} failed and was rolled back.`;
    const old = (service.runningCount ?? 0) - (deployment.runningCount ?? 0);
    const text = [
      `${deployment.runningCount ?? 0} of ${deployment.desiredCount ?? 0} running`,
      ...(deployment.pendingCount ? [`${deployment.pendingCount} starting`] : []),
      ...(deployment.failedTasks ? [`${deployment.failedTasks} failed`] : []),
      ...(old > 0 ? [`${old} of the revision before`] : []),
    ].join(", ");
    if (text !== shown) rollOut.onProgress((shown = text));
    if (deployment.rolloutState === "COMPLETED" && service.deployments?.length === 1 && service.runningCount === service.desiredCount)
      return undefined;
    await systemClock.sleep(POLL_MS);
  }
}

function nameOf(taskDefinitionArn: string | undefined): string {
  return taskDefinitionArn?.split("/").at(-1) ?? "unknown";
}
