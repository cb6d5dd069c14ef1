import { request } from "node:https";
import { getCACertificates } from "node:tls";
import type { CredentialSource } from "../contracts/credentials.ts";
import type { LogStore } from "../contracts/log-store.ts";
import type { Store } from "../contracts/store.ts";
import type { Toolbox } from "../contracts/service.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Ids } from "../core/ids.ts";
import { isProblem, Problem } from "../core/problem.ts";
import type { Fargate } from "../fargate/fargate.ts";
import type { DiskGuard } from "../host/disk-guard.ts";
import { hasBalancers } from "../ingress/ingress.ts";
import { readYaml } from "../kubelet/cluster-objects.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import { PLACEMENTS } from "../kubelet/records.ts";
import { ruleId } from "../network/default-vpc.ts";
import type { GroupRule } from "../network/records.ts";
import type { VpcNetwork } from "../network/vpc-network.ts";
import { SignatureError } from "../protocol/sigv4/errors.ts";
import { SignatureVerifier } from "../protocol/sigv4/verify.ts";
import type { Registry } from "../registry/registry.ts";
import type {
  ApiServerProbe,
  CallerVerifier,
  ClusterNetwork,
  EksPorts,
  IngressRule,
  LogWriter,
  ObjectsClient,
  Roles,
} from "../services/eks/ports.ts";
import type { IamCredentials } from "../services/iam/credentials.ts";
import { controlPlaneImages } from "./control-plane-images.ts";
import { subnetLookup } from "./ports.ts";

/** Ties EKS's ports to the rooms that own what it asks for. */

const READY_TIMEOUT_MS = 5000;

interface EksParts {
  readonly store: Store;
  readonly config: InstanceConfig;
  readonly registry: Registry;
  readonly network: VpcNetwork;
  readonly fargate: Fargate;
  readonly disk: DiskGuard;
  readonly logStore: LogStore;
  readonly credentials: IamCredentials;
  readonly toolbox: Toolbox;
  /** Made after it. */
  readonly kubelet: () => Kubelet | undefined;
}

export function eksPorts({ config, registry, network, fargate, disk, logStore, credentials, toolbox, store, kubelet }: EksParts): EksPorts {
  return {
    network: clusterNetwork(network, toolbox.ids),
    roles: clusterRoles(credentials),
    images: controlPlaneImages({ ...toolbox, config, registry }),
    volumes: {
      remove: (id) => fargate.removeVolume(id),
      folder: (id) => (config.engine === "simulated" ? undefined : fargate.volumeFolder(id)),
      ensureRoom: (what, bytes) => disk.ensureRoom(`${what} cannot be written`, bytes),
    },
    // With no compute nothing answers.
    apiServer: config.engine === "simulated" ? { isReady: async () => true } : apiServerProbe,
    callers: callerVerifier(credentials, toolbox),
    objects: {
      async of(clusterKey) {
        const objects = config.engine === "simulated" ? simulatedObjects : await kubelet()?.objects.of(clusterKey);
        if (objects === undefined) throw new Problem("unavailable", "Tidegate is starting");
        return objects;
      },
      readYaml,
    },
    pods: { left: async (clusterUid) => (await store.list(PLACEMENTS)).some(({ value }) => value.clusterUid === clusterUid) },
    trustedAuthorities: () => [...new Set([...getCACertificates("default"), ...getCACertificates("system")])].join("\n"),
    loadBalancers: { areLeft: (clusterKey) => hasBalancers(store, clusterKey) },
    logs: logWriter(logStore),
  };
}

const POD_SESSION_SECONDS = 6 * 3600;

function clusterRoles(credentials: IamCredentials): Roles {
  return {
    exists: (roleArn) => credentials.roleExists(roleArn),
    async assume({ roleArn, sessionName, tags, by }) {
      const maxSeconds = await credentials.maxSessionSeconds(roleArn);
      const account = /^arn:[^:]+:iam::(\d{12}):/.exec(roleArn)?.[1];
      if (maxSeconds === undefined || account === undefined) throw new Problem("not-found", `there is no role ${roleArn}`);
      const requests = tags.length === 0 ? ["sts:AssumeRole"] : ["sts:AssumeRole", "sts:TagSession"];
      const context = {
        ...("service" in by ? { "aws:SourceArn": [by.sourceArn], "aws:SourceAccount": [by.sourceAccount] } : { "sts:ExternalId": [by.externalId] }),
        ...Object.fromEntries(tags.map(({ key, value }) => [`aws:RequestTag/${key}`, [value]])),
        "aws:TagKeys": tags.map(({ key }) => key),
        "sts:RoleSessionName": [sessionName],
      };
      const principal =
        "service" in by ? ({ type: "Service", names: [by.service] } as const) : ({ type: "AWS", names: namesOfRole(by.roleArn) } as const);
      for (const action of requests) {
        if (await credentials.trusts(roleArn, { action, principal, context })) continue;
        throw new Problem("invalid", `the trust policy of ${roleArn} does not let ${principal.names[0]} do ${action}`);
      }
      const durationSeconds = Math.min(POD_SESSION_SECONDS, maxSeconds);
      return { ...(await credentials.issueRoleSession({ roleArn, sessionName, durationSeconds, account, tags })), accountId: account };
    },
  };
}

/** As a trust policy may name it: by itself, or by its account. */
function namesOfRole(roleArn: string): readonly string[] {
  const [, start = "", account = ""] = /^(arn:[^:]+:iam::(\d{12})):/.exec(roleArn) ?? [];
  return [roleArn, `${start}:root`, account];
}

function clusterNetwork(network: VpcNetwork, ids: Ids): ClusterNetwork {
  const { admin } = network;
  const lookup = subnetLookup(network);
  return {
    async subnets(scope, subnetIds) {
      const found = await lookup.subnets(scope, subnetIds);
      const cidrs = new Map(admin.vpcs(scope).map((vpc) => [vpc.vpcId, vpc.cidr]));
      return found.map(({ subnetId, vpcId, availabilityZone }) => ({ subnetId, vpcId, availabilityZone, vpcCidr: cidrs.get(vpcId) ?? "" }));
    },
    securityGroups: (scope, groupIds) => lookup.securityGroups(scope, groupIds),
    async ensureGroup({ account, region, vpcId, name, description, tags, ingress }) {
      const scope = { account, region };
      const known = admin.securityGroups(scope).find((group) => group.vpcId === vpcId && group.groupName === name);
      const { groupId } = known ?? (await admin.createSecurityGroup({ ...scope, vpcId, groupName: name, description, tags }));
      const made = await admin.updateSecurityGroup(scope, groupId, (group) =>
        group.rules.some((rule) => !rule.egress)
          ? group
          : { ...group, rules: [...group.rules, ...ingress.map((rule) => groupRule(rule, groupId, ids))] },
      );
      return made.groupId;
    },
    async setIngress({ account, region, vpcId, name }, ingress) {
      const scope = { account, region };
      const group = admin.securityGroups(scope).find((each) => each.vpcId === vpcId && each.groupName === name);
      if (group === undefined) throw new Problem("not-found", `there is no security group ${name} in ${vpcId}`);
      const rules = ingress.map((rule) => groupRule(rule, group.groupId, ids));
      await admin.updateSecurityGroup(scope, group.groupId, (now) => ({ ...now, rules: [...now.rules.filter(({ egress }) => egress), ...rules] }));
    },
    async deleteGroup({ account, region, vpcId, name }) {
      const scope = { account, region };
      const group = admin.securityGroups(scope).find((each) => each.vpcId === vpcId && each.groupName === name);
      if (group === undefined) return true;
      try {
        await admin.deleteSecurityGroup(scope, group.groupId);
        return true;
      } catch (error) {
        if (!isProblem(error, "conflict")) throw error;
        return false;
      }
    },
    allocate: (request) => network.allocate(request),
    detach: (attachmentId) => network.detach(attachmentId),
    async endpointOf(vpcId) {
      // Brings the VPC into use; the simulated one has no namespace to be told of.
      await network.netnsOf(vpcId).catch((error: unknown) => {
        if (!isProblem(error, "unsupported")) throw error;
      });
      const endpoint = (await network.endpoints()).find((each) => each.vpcId === vpcId);
      if (endpoint === undefined) throw new Problem("unavailable", `VPC ${vpcId} is not in use yet`);
      return endpoint;
    },
  };
}

/** With no compute there is no API server: what is applied is there, and well. */
const simulatedObjects: ObjectsClient = {
  apply: async () => [],
  read: async (reference) => ({
    ...reference,
    metadata: { ...reference.metadata, generation: 1 },
    spec: { replicas: 0 },
    status: { observedGeneration: 1 },
  }),
  remove: async () => {},
  isOnFargate: async () => true,
};

function logWriter(logStore: LogStore): LogWriter {
  const unlessThere = (error: unknown): void => {
    if (!isProblem(error, "already-exists")) throw error;
  };
  return {
    async write({ account, region }, { group, stream, message, atMs }) {
      const scope = { account, region, group };
      const append = (): Promise<void> => logStore.append(scope, { stream, events: [{ timestampMs: atMs, message }] });
      try {
        await append();
      } catch (error) {
        if (!isProblem(error, "not-found")) throw error;
        await logStore.createGroup(scope, { tags: {} }).catch(unlessThere);
        await logStore.createStream(scope, stream).catch(unlessThere);
        await append();
      }
    },
  };
}

function groupRule({ protocol, port, from }: IngressRule, groupId: string, ids: Ids): GroupRule {
  const peer = from === "itself" ? { referencedGroupId: groupId } : { cidrIpv4: from.cidr };
  return { ruleId: ruleId(ids), egress: false, protocol, fromPort: port, toPort: port, ...peer, tags: {} };
}

const apiServerProbe: ApiServerProbe = {
  isReady: ({ address, authority }) =>
    new Promise((resolve) => {
      const options = { host: address, port: 443, path: "/readyz", ca: authority, agent: false, signal: AbortSignal.timeout(READY_TIMEOUT_MS) };
      const sent = request(options, (response) => {
        response.destroy();
        resolve(response.statusCode === 200);
      });
      sent.on("error", () => resolve(false));
      sent.end();
    }),
};

/** The same check that STS's own requests go through, at the time that the request was signed; whether the key is good is asked for now. */
export function callerVerifier(credentials: CredentialSource, { clock }: Pick<Toolbox, "clock">): CallerVerifier {
  const verifier = new SignatureVerifier({ credentials });
  return {
    async verify({ host, query, headers, signedAtMs }) {
      const all = { host, ...headers };
      try {
        const { credential } = await verifier.verify(
          { method: "GET", path: "/", query, headers: all, body: new Uint8Array() },
          { service: "sts", nowMs: signedAtMs, rawHeaders: Object.entries(all) },
        );
        const hasEnded = credential.expirationMs !== undefined && credential.expirationMs <= clock.nowMs();
        return hasEnded ? undefined : credential;
      } catch (error) {
        if (error instanceof SignatureError) return undefined;
        throw error;
      }
    },
  };
}
