import type { V1Ingress, V1Service } from "@kubernetes/client-node";
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import { AwsError } from "../core/aws-error.ts";
import { isProblem, messageOf, Problem } from "../core/problem.ts";
import type { ClusterObjects } from "./cluster-objects.ts";
import { convergeTargets } from "./converge-targets.ts";
import { deploy, removeStack, type Deployed } from "./deploy.ts";
import { reconciledEvent, stackEvent, type StackEvent } from "./events.ts";
import { finalizerOf, ingressStack, membersOf } from "./ingress-group.ts";
import type { Model } from "./model.ts";
import type { StackName } from "./names.ts";
import { planIngress } from "./plan-ingress.ts";
import { planService, SERVICE_FINALIZER, wantsBalancer } from "./plan-service.ts";
import type { IngressCluster } from "./ports.ts";
import { parseStackKey, stackKey, STACKS, type StackRecord } from "./records.ts";
import type { IngressRoom } from "./room.ts";
import { stacksOf } from "./stack-keys.ts";

const TRY_AGAIN_MS = 10_000;
const GOING_LOOK_MS = 500;
const CHANGED_LOOK_MS = 200;

/** What a step works on. */
interface Unit {
  readonly key: string;
  readonly stack: StackName;
  readonly cluster: IngressCluster;
  readonly objects: ClusterObjects;
  /** Those that ask for the load balancer. */
  readonly members: readonly (V1Service | V1Ingress)[];
  /** Those that asked for it and do not any more, or go: they carry the finalizer still. */
  readonly leavers: readonly (V1Service | V1Ingress)[];
  readonly finalizer: string;
}

/** What this run has carried out, so that a change of pods alone asks nothing more of ELBv2 than targets. */
interface Memory {
  readonly stacks: Map<string, { readonly model: Model; readonly deployed: Deployed }>;
  /** The last event of a stack that has no record, as nothing was made for it. */
  readonly told: Map<string, string>;
}

/**
 * Gives each Service of type LoadBalancer a network load balancer and each group of Ingresses an application load balancer, keeps their targets
 * what the endpoints are, and takes all of it away when it is not asked for any more, or its cluster goes. Keyed by cluster and stack.
 */
export function createStackController(room: IngressRoom): Controller {
  const { store, ports, connections } = room;
  const memory: Memory = { stacks: new Map(), told: new Map() };
  const keyOfGroup = (test: (group: { readonly arn: string; readonly name: string }) => boolean): string | undefined =>
    [...memory.stacks].find(([, { deployed }]) => deployed.groups.some(test))?.[0];
  return {
    name: "eks-load-balancer",
    watches: [],
    sources(wake) {
      const stack = new DisposableStack();
      stack.use(connections);
      stack.use(
        connections.watch((change) => {
          const ofGroup = (name: string): StackName | undefined => {
            const key = keyOfGroup((group) => group.name === name);
            return key === undefined ? undefined : parseStackKey(key);
          };
          for (const found of stacksOf(change, connections.known(change.clusterKey), ofGroup)) wake(stackKey(change.clusterKey, found));
        }),
      );
      stack.use(
        ports.elbv2.registrar.watch(({ targetGroupArn }) => {
          const key = keyOfGroup(({ arn }) => arn === targetGroupArn);
          if (key !== undefined) wake(key);
        }),
      );
      stack.use(
        ports.clusters.watch((clusterKey) => {
          void store.list(STACKS, { prefix: `${clusterKey}|` }).then((found) => found.forEach(({ key }) => wake(key)));
        }),
      );
      return stack;
    },
    initialKeys: async () => (await store.list(STACKS)).map(({ key }) => key),
    async reconcile(key) {
      const { clusterKey, kind, id } = parseStackKey(key);
      const record = (await store.get(STACKS, key))?.value;
      if (record !== undefined && record.clusterUid !== (await ports.clusters.uidOf(clusterKey))) {
        memory.stacks.delete(key);
        return removeForGood(room, key, record);
      }
      const cluster = await ports.clusters.get(clusterKey);
      if (cluster === undefined) return undefined;
      const objects = await connections.to(cluster);
      const unit: Unit = { key, stack: { kind, id }, cluster, objects, ...partiesOf({ kind, id }, objects) };
      try {
        return await (unit.members.length === 0 ? clean(room, memory, { unit, record }) : converge(room, memory, { unit, record }));
      } catch (error) {
        if (!isProblem(error, "conflict")) throw error;
        // The watch is about to tell of a change that was seen here too late.
        return { requeueAfterMs: CHANGED_LOOK_MS };
      }
    },
  };
}

function partiesOf(stack: StackName, { services, ingresses, classes }: ClusterObjects): Pick<Unit, "members" | "leavers" | "finalizer"> {
  if (stack.kind === "service") {
    const found = services.list().filter(({ metadata }) => `${metadata?.namespace}/${metadata?.name}` === stack.id);
    const finalizer = SERVICE_FINALIZER;
    return {
      members: found.filter(wantsBalancer),
      leavers: found.filter((service) => !wantsBalancer(service) && carries(service, finalizer)),
      finalizer,
    };
  }
  const finalizer = finalizerOf(stack.id);
  const members = membersOf(stack.id, ingresses.list(), classes.list());
  const isOfStack = (ingress: V1Ingress): boolean =>
    !stack.id.includes("/") || `${ingress.metadata?.namespace}/${ingress.metadata?.name}` === stack.id;
  const leavers = ingresses.list().filter((ingress) => carries(ingress, finalizer) && isOfStack(ingress) && !members.includes(ingress));
  return { members, leavers, finalizer };
}

function carries({ metadata }: V1Service | V1Ingress, finalizer: string): boolean {
  return metadata?.finalizers?.includes(finalizer) ?? false;
}

interface Step {
  readonly unit: Unit;
  readonly record: StackRecord | undefined;
}

/** Nobody asks for it any more: what is there goes, then the finalizers, and last the record. */
async function clean(room: IngressRoom, memory: Memory, { unit, record }: Step): Promise<ReconcileResult | void> {
  memory.stacks.delete(unit.key);
  if (record !== undefined) {
    try {
      if (!(await removeStack(room.ports, ownerOf(record)))) return { requeueAfterMs: GOING_LOOK_MS };
    } catch (error) {
      return refuse(room, memory, { unit, record }, { parties: unit.leavers, reason: "FailedCleanup", words: "Failed to clean up", error });
    }
  }
  await release(unit);
  if (record !== undefined) await room.store.transact([{ op: "delete", collection: STACKS, key: unit.key }]);
}

/** Of a cluster that is gone, or goes. Differs: AWS leaves its load balancers behind; here they go with it, as nobody could take them away. */
async function removeForGood(room: IngressRoom, key: string, record: StackRecord): Promise<ReconcileResult | void> {
  if (!(await removeStack(room.ports, ownerOf(record)))) return { requeueAfterMs: GOING_LOOK_MS };
  await room.store.transact([{ op: "delete", collection: STACKS, key }]);
  room.logger.info(`the load balancer of ${record.kind} ${record.id} is gone with its cluster ${record.clusterName}`, { key });
}

function ownerOf({ account, region, vpcId, clusterName, clusterUid, kind, id }: StackRecord): Parameters<typeof removeStack>[1] {
  return { account, region, vpcId, cluster: { name: clusterName, uid: clusterUid }, stack: { kind, id } };
}

async function converge(room: IngressRoom, memory: Memory, { unit, record: before }: Step): Promise<ReconcileResult | void> {
  const { objects, cluster, key } = unit;
  let model: Model;
  try {
    model = planStack(unit);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (before !== undefined) await convergeTargets(room, { objects, groups: before.groups });
    return refuse(
      room,
      memory,
      { unit, record: before },
      { parties: unit.members, reason: "FailedBuildModel", words: "Failed build model due to", error },
    );
  }
  let record = before ?? (await save(room, key, newRecord(unit)));
  for (const member of unit.members) {
    if (!carries(member, unit.finalizer)) await objects.setFinalizers(member, [...(member.metadata?.finalizers ?? []), unit.finalizer]);
  }
  const known = memory.stacks.get(key);
  let deployed = known !== undefined && isDeepStrictEqual(known.model, model) ? known.deployed : undefined;
  if (deployed === undefined) {
    try {
      deployed = await deploy(room.ports, cluster, { stack: unit.stack, model });
    } catch (error) {
      await convergeTargets(room, { objects, groups: record.groups });
      return refuse(
        room,
        memory,
        { unit, record },
        { parties: unit.members, reason: "FailedDeployModel", words: "Failed deploy model due to", error },
      );
    }
    memory.stacks.set(key, { model, deployed });
    if (!isDeepStrictEqual(record.groups, deployed.groups)) record = await save(room, key, { ...record, groups: deployed.groups });
  }
  await convergeTargets(room, { objects, groups: deployed.groups });
  for (const member of unit.members) await objects.setHostname(member, deployed.dnsName);
  await release(unit);
  await tell(room, memory, { unit, record }, { parties: unit.members, event: reconciledEvent(unit.members) });
}

function planStack({ stack, cluster, members, objects }: Unit): Model {
  const service = (namespace: string, name: string): V1Service | undefined =>
    objects.services.list().find(({ metadata }) => metadata?.namespace === namespace && metadata.name === name);
  const classes = objects.classes.list();
  if (stack.kind === "ingress") return planIngress({ cluster, stack, members: members as readonly V1Ingress[], classes, service });
  const [only] = members;
  if (only === undefined) throw new Problem("not-found", `there is no Service ${stack.id}`);
  return planService(cluster, only as V1Service);
}

function newRecord({ stack, cluster }: Unit): StackRecord {
  const { account, region, key: clusterKey, name: clusterName, uid: clusterUid, vpcId } = cluster;
  return { ...stack, account, region, clusterKey, clusterName, clusterUid, vpcId, groups: [], told: "" };
}

async function save(room: IngressRoom, key: string, value: StackRecord): Promise<StackRecord> {
  await room.store.transact([{ op: "put", collection: STACKS, key, value }]);
  return value;
}

/** Those that left go their way. */
async function release({ objects, leavers, finalizer, stack }: Unit): Promise<void> {
  for (const leaver of leavers) {
    const elsewhere =
      stack.kind === "ingress" && leaver.metadata?.deletionTimestamp === undefined && ingressStack(leaver as V1Ingress).id !== stack.id;
    // Where it has joined another group, that one's name is there already, or about to be.
    if (!elsewhere) await objects.setHostname(leaver, undefined);
    await objects.setFinalizers(
      leaver,
      (leaver.metadata?.finalizers ?? []).filter((each) => each !== finalizer),
    );
  }
}

interface Refusal {
  readonly parties: Unit["members"];
  readonly reason: StackEvent["reason"];
  readonly words: string;
  readonly error: unknown;
}

/** What the author can mend is said in an event; what is left is thrown, to be tried again. */
async function refuse(room: IngressRoom, memory: Memory, step: Step, { parties, reason, words, error }: Refusal): Promise<ReconcileResult | void> {
  if (!(error instanceof AwsError) && !isProblem(error, "invalid", "unsupported", "not-found", "conflict", "exhausted")) throw error;
  await tell(room, memory, step, { parties, event: { type: "Warning", reason, message: `${words} ${messageOf(error)}` } });
  // Not only the object's author may mend it.
  return reason === "FailedBuildModel" ? undefined : { requeueAfterMs: TRY_AGAIN_MS };
}

async function tell(
  room: IngressRoom,
  memory: Memory,
  { unit, record }: Step,
  { parties, event }: { readonly parties: Unit["members"]; readonly event: StackEvent },
): Promise<void> {
  const versions = parties.map(({ metadata }) => [metadata?.uid, metadata?.generation, metadata?.annotations]);
  // Told anew when its author has changed something.
  const told = createHash("sha256")
    .update(JSON.stringify([event.reason, event.message, versions]))
    .digest("hex")
    .slice(0, 16);
  const last = record?.told ?? memory.told.get(unit.key);
  if (last === told) return;
  for (const party of parties) {
    const body = stackEvent(party, event, { suffix: room.ids.hex(16), nowMs: room.clock.nowMs() });
    await unit.objects.sendEvent(party.metadata?.namespace ?? "", body);
  }
  if (record === undefined) memory.told.set(unit.key, told);
  else await save(room, unit.key, { ...record, told });
}
