import type { LoadBalancers } from "../loadbalancer/load-balancers.ts";
import type { Service, Toolbox } from "../contracts/service.ts";
import type { Store } from "../contracts/store.ts";
import { isProblem, Problem } from "../core/problem.ts";
import type { Scope } from "../core/scope.ts";
import type { BalancerNetwork, Elbv2, GroupRequest, IngressClusters, IngressPorts } from "../ingress/ports.ts";
import type { KubeletPorts } from "../kubelet/ports.ts";
import { ruleId } from "../network/default-vpc.ts";
import type { VpcNetwork } from "../network/vpc-network.ts";
import { CLUSTERS } from "../services/eks/records.ts";

/** Ties load balancing for EKS to the rooms that own clusters, load balancers, subnets and groups. */

interface IngressParts {
  readonly store: Store;
  readonly network: VpcNetwork;
  readonly loadBalancers: LoadBalancers;
  readonly elbv2: Service;
  readonly clusters: KubeletPorts["clusters"];
  readonly toolbox: Toolbox;
}

export function ingressPorts({ store, network, loadBalancers, elbv2, clusters, toolbox }: IngressParts): IngressPorts {
  return {
    clusters: ingressClusters(store, clusters),
    elbv2: { balancing: loadBalancers.api, registrar: loadBalancers.registrar, call: elbv2Caller(elbv2, toolbox) },
    network: balancerNetwork(network, toolbox),
  };
}

function ingressClusters(store: Store, clusters: KubeletPorts["clusters"]): IngressClusters {
  return {
    keys: async () => (await clusters.list()).map(({ key }) => key),
    async get(key) {
      const [cluster, record] = await Promise.all([clusters.get(key), store.get(CLUSTERS, key)]);
      return cluster === undefined || record === undefined ? undefined : { ...cluster, subnetIds: record.value.vpc.subnetIds };
    },
    async uidOf(key) {
      const record = (await store.get(CLUSTERS, key))?.value;
      return record?.deletingSinceMs === undefined ? record?.uid : undefined;
    },
    watch: (listener) => clusters.watch(listener),
    adminCertificate: (key) => clusters.adminCertificate(key),
  };
}

/** What the API does, without the wire. */
export function elbv2Caller({ operations }: Service, { ids, clock, logger }: Toolbox): Elbv2["call"] {
  const byName = new Map(operations.map((operation) => [operation.name, operation]));
  return async ({ account, region }, name, input) => {
    const operation = byName.get(name);
    if (operation === undefined) throw new Problem("unsupported", `ELBv2 has no operation ${name} here`);
    const principal = { arn: `arn:aws:iam::${account}:role/tidegate-load-balancer-controller`, userId: "tidegate", accessKeyId: "" };
    const context = { account, region, requestId: ids.uuid(), principal, nowMs: clock.nowMs(), logger, host: "localhost" };
    return (await operation.handle(input, context)) as unknown;
  };
}

function balancerNetwork(network: VpcNetwork, { ids }: Toolbox): BalancerNetwork {
  const { admin } = network;
  const carries = (known: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([key, value]) => known[key] === value);
  return {
    async subnets(scope, vpcId) {
      return admin
        .subnets(scope)
        .filter((subnet) => subnet.vpcId === vpcId)
        .map(({ subnetId, availabilityZone, tags }) => ({ subnetId, availabilityZone, tags }));
    },
    async groups(scope, vpcId, tags) {
      const found = admin.securityGroups(scope).filter((group) => group.vpcId === vpcId && carries(group.tags, tags));
      return found.map(({ groupId, groupName }) => ({ groupId, name: groupName }));
    },
    async ensureGroup(request) {
      const { account, region, vpcId, name, description, tags } = request;
      const scope = { account, region };
      const known = admin.securityGroups(scope).find((group) => group.vpcId === vpcId && group.groupName === name);
      if (known !== undefined && !carries(known.tags, tags))
        throw new Problem("conflict", `a security group named ${name} is there already and is somebody else's; choose another name, or delete it`);
      const { groupId } = known ?? (await admin.createSecurityGroup({ ...scope, vpcId, groupName: name, description, tags }));
      await admin.updateSecurityGroup(scope, groupId, (group) => {
        const inbound = group.rules.filter(({ egress }) => !egress).map(({ cidrIpv4, fromPort }) => `${cidrIpv4} ${fromPort}`);
        const wanted = wantedRules(request);
        if (wanted.length === inbound.length && wanted.every(({ cidr, port }) => inbound.includes(`${cidr} ${port}`))) return group;
        const rules = wanted.map(({ cidr, port }) => {
          const ends = { fromPort: port, toPort: port };
          return { ruleId: ruleId(ids), egress: false, protocol: "tcp" as const, ...ends, cidrIpv4: cidr, tags: {} };
        });
        return { ...group, rules: [...group.rules.filter(({ egress }) => egress), ...rules] };
      });
      return groupId;
    },
    deleteGroup: (scope, groupId) => deleteGroup(network, scope, groupId),
  };
}

function wantedRules({ cidrs, ports }: GroupRequest): readonly { readonly cidr: string; readonly port: number }[] {
  return cidrs.flatMap((cidr) => ports.map((port) => ({ cidr, port })));
}

async function deleteGroup({ admin }: VpcNetwork, scope: Scope, groupId: string): Promise<boolean> {
  try {
    await admin.deleteSecurityGroup(scope, groupId);
    return true;
  } catch (error) {
    if (isProblem(error, "not-found")) return true;
    if (isProblem(error, "conflict")) return false;
    throw error;
  }
}
