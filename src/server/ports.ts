import type { LogStore, LogWriters } from "../contracts/log-store.ts";
import type { TargetRegistrar } from "../contracts/load-balancer.ts";
import type { InstanceConfig } from "../core/config.ts";
import { isProblem } from "../core/problem.ts";
import type { Scope } from "../core/scope.ts";
import type { CriRuntime } from "../engines/cri/runtime.ts";
import type { Fargate } from "../fargate/fargate.ts";
import type { ImageResolver as TaskImages, MetadataRenderer, PodCredentials, RoleCredentials } from "../fargate/ports.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import type { VpcNetwork } from "../network/vpc-network.ts";
import type { Registry } from "../registry/registry.ts";
import type { EcsService } from "../services/ecs/ecs-service.ts";
import type { EksService } from "../services/eks/service.ts";
import type { EcsPorts, NetworkLookup } from "../services/ecs/ports.ts";
import type { IamCredentials } from "../services/iam/credentials.ts";

/** Ties the services' ports to the rooms that own what they ask for. No decision is made here. */

const TASK_CREDENTIALS_SECONDS = 6 * 60 * 60;

interface EcsParts {
  readonly config: InstanceConfig;
  readonly registry: Registry;
  readonly registrar: TargetRegistrar;
  readonly network: VpcNetwork;
  readonly logStore: LogStore;
  readonly credentials: IamCredentials;
}

export function ecsPorts({ config, registry, registrar, network, logStore, credentials }: EcsParts): EcsPorts {
  return {
    images: {
      // With no compute there is no pull: any image name will do.
      resolve: async (scope, image) => (config.engine === "simulated" ? undefined : (await registry.resolveImage(image, scope)).digest),
    },
    targets: registrar,
    network: subnetLookup(network),
    logGroups: {
      exists: async (scope, group) => (await logStore.getGroup({ ...scope, group })) !== undefined,
      async create(scope, group) {
        await logStore.createGroup({ ...scope, group }, { tags: {} }).catch((error: unknown) => {
          if (!isProblem(error, "already-exists")) throw error;
        });
      },
    },
    roles: { exists: (roleArn) => credentials.roleExists(roleArn) },
  };
}

/** Subnets and groups of a scope; asking makes the scope's default VPC where it has none yet. */
export function subnetLookup({ admin }: VpcNetwork): NetworkLookup {
  const ready = (scope: Scope): Promise<unknown> => admin.ensureDefaultVpc(scope);
  return {
    async subnets(scope, subnetIds) {
      await ready(scope);
      const known = new Map(admin.subnets(scope).map((subnet) => [subnet.subnetId, subnet]));
      return subnetIds.flatMap((id) => known.get(id) ?? []);
    },
    async securityGroups(scope, groupIds) {
      await ready(scope);
      const known = new Map(admin.securityGroups(scope).map((group) => [group.groupId, group]));
      return groupIds.flatMap((id) => known.get(id) ?? []);
    },
    async defaultSecurityGroup(scope, vpcId) {
      await ready(scope);
      return admin.securityGroups(scope).find((group) => group.vpcId === vpcId && group.groupName === "default")?.groupId;
    },
  };
}

/** A task's image: what its name stands for now, and a login of its own account for the pull. */
export function imagesForTasks(registry: Registry, config: InstanceConfig, kubelet: () => Kubelet | undefined): TaskImages {
  return {
    async resolve({ image, account, region, labels }) {
      if (config.engine === "simulated") return { reference: image };
      const own = async () => {
        const { digest } = await registry.resolveImage(image, { account, region });
        return { digest, password: registry.tokens.issue({ account, region, principalArn: `arn:aws:iam::${account}:root` }).password };
      };
      const logins = (await kubelet()?.pullLogins(labels)) ?? [];
      const { digest, password } = await registry.resolveByLogin(image, logins).then(
        (opened) => opened ?? own(),
        // A copy of a public image may be here all the same.
        (refused: unknown) => own().catch(() => Promise.reject(refused)),
      );
      return { reference: image, digest, credentials: { username: "AWS", password } };
    },
  };
}

/** Sessions of task roles. Only of the instance's own account: an ARN that names another account's role gets nothing. */
export function roleCredentials(credentials: IamCredentials, config: InstanceConfig): RoleCredentials {
  return {
    async issue(roleArn, sessionName) {
      const request = { roleArn, sessionName, durationSeconds: TASK_CREDENTIALS_SECONDS, account: config.account };
      const session = await credentials.issueRoleSession(request);
      return {
        RoleArn: roleArn,
        AccessKeyId: session.accessKeyId,
        SecretAccessKey: session.secretAccessKey,
        Token: session.sessionToken,
        Expiration: new Date(session.expirationMs).toISOString(),
      };
    },
  };
}

/** ECS renders what the metadata endpoint answers; it is made after the compute layer that asks it. */
export function metadataOf(ecs: () => EcsService | undefined): MetadataRenderer {
  return {
    task: async (view, options) => ecs()?.metadata.task(view, options),
    container: async (view, container) => ecs()?.metadata.container(view, container),
  };
}

/** EKS knows whose token it is; it is made after the compute layer that asks it. */
export function podCredentialsOf(eks: () => EksService | undefined): PodCredentials {
  return {
    async answer({ workload }, token) {
      const { clusterKey, podUid } = workload.labels;
      const service = eks();
      if (clusterKey === undefined || podUid === undefined || service === undefined) {
        return {
          status: 404,
          body: { code: "ResourceNotFoundException", message: "This is the endpoint of EKS Pod Identity, and the caller is no pod." },
        };
      }
      return service.podIdentity.credentials({ clusterKey, podUid }, token);
    },
  };
}

/** containerd writes the logs; the compute layer, which is made after the collector, knows of which container each is. */
export function logWriters(runtime: CriRuntime, fargate: () => Fargate | undefined): LogWriters {
  return {
    async reopen(sourceId) {
      const id = fargate()?.writerOfLog(sourceId);
      if (id !== undefined) await runtime.reopenContainerLog(id);
    },
    holds: async (file) => runtime.hasOpen(file),
  };
}
