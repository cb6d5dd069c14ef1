import type { ECSClient, Service } from "@aws-sdk/client-ecs";
import { CommandError } from "../command.ts";
import type { Session } from "../session.ts";
import { explainFailure } from "./explain-failure.ts";
import type { DeploySettings } from "./settings.ts";
import type { ServiceNetwork } from "./surroundings.ts";
import { watchRollOut } from "./watch-roll-out.ts";

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
  /** Aborted: this command ends, the service goes on. */
  readonly signal: AbortSignal;
}

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

/**
 * Creates the service or rolls it over, and waits for the steady state.
 * @throws CommandError that explains the failed tasks: what was there before serves on, a new service is removed. CommandError (exit code 130)
 *   when interrupted: the service goes on rolling.
 */
export async function rollOutService(session: Session, rollOut: RollOut, taskDefinition: string): Promise<void> {
  const ecs = await session.ecs();
  const { settings } = rollOut;
  const existing = await activeService(ecs, settings);
  if (existing === undefined) await createService(ecs, rollOut, taskDefinition);
  else await updateService(ecs, rollOut, taskDefinition);
  const watched = { cluster: settings.cluster, service: settings.name, taskDefinition, hasHealthCheck: rollOut.targetGroupArn !== undefined };
  const end = await watchRollOut(ecs, { ...watched, onProgress: rollOut.onProgress, signal: rollOut.signal });
  if (end.kind === "steady") return;
  if (end.kind === "interrupted") {
    throw new CommandError(
      `Interrupted. The service ${settings.name} goes on rolling to ${nameOf(taskDefinition)} without this command: \`tidegate ps\` shows it.`,
      130,
    );
  }
  const why = await explainFailure(session, { ...watched, logGroup: rollOut.logGroup });
  const after = existing === undefined ? await removeService(ecs, rollOut) : await rollBack(ecs, rollOut, existing);
  throw new CommandError(`${end.reason}\n${why}\n${after}`);
}

async function removeService(ecs: ECSClient, { settings, targetGroupArn }: RollOut): Promise<string> {
  const { DeleteServiceCommand } = await import("@aws-sdk/client-ecs");
  await ecs.send(new DeleteServiceCommand({ cluster: settings.cluster, service: settings.name, force: true }));
  const kept = targetGroupArn === undefined ? "" : " Its load balancer stays for the next deploy.";
  return `The new service ${settings.name} was removed again.${kept}`;
}

/** ECS's circuit breaker has done it where it saw the failure; a task that starts and then dies it does not count. */
async function rollBack(ecs: ECSClient, rollOut: RollOut, before: Service): Promise<string> {
  const now = await activeService(ecs, rollOut.settings);
  if (now !== undefined && now.taskDefinition !== before.taskDefinition) {
    const { UpdateServiceCommand } = await import("@aws-sdk/client-ecs");
    const { cluster, name: service } = rollOut.settings;
    await ecs.send(new UpdateServiceCommand({ cluster, service, taskDefinition: before.taskDefinition, desiredCount: before.desiredCount }));
  }
  return `Rolled back: the revision before it (${nameOf(before.taskDefinition)}) serves on.`;
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

function nameOf(taskDefinitionArn: string | undefined): string {
  return taskDefinitionArn?.split("/").at(-1) ?? "unknown";
}
