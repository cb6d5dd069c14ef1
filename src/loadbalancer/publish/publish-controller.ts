import { isDeepStrictEqual } from "node:util";
import type { Controller, ReconcileResult } from "../../contracts/controller.ts";
import type { PortPublisher, PublishOutcome } from "../../contracts/network.ts";
import type { Store } from "../../contracts/store.ts";
import type { Publication } from "../../core/config.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf } from "../../core/problem.ts";
import type { Scope } from "../../core/scope.ts";
import { keyOfArn, listenerRecords, loadBalancerRecords, loadBalancerStatuses } from "../records.ts";
import { planPublish, type PlannedPublication, type PublishFacts } from "./plan-publish.ts";

/** The one key: all published ports are planned together. */
const KEY = "published";
/** A port that another program holds, or an address that comes with a link: nobody tells of their change. */
const WAITING_LOOK_MS = 10_000;
const STEADY_LOOK_MS = 60_000;

/** How a publication stands. */
export interface PublicationState extends Publication {
  readonly open: boolean;
  /** Where it leads, or why it does not; in words. */
  readonly detail: string;
  /** All is as the operator wants it. */
  readonly ok: boolean;
}

export interface PublishController extends Controller {
  states(): readonly PublicationState[];
  /** A first look, before the runner's; never throws. */
  start(): Promise<void>;
}

export interface PublishControllerOptions {
  readonly store: Store;
  readonly publications: readonly Publication[];
  readonly publisher: PortPublisher;
  readonly home: Scope;
  readonly logger: Logger;
}

/** Keeps the host's ports that lead to load balancers as the operator and the records want them. */
export function createPublishController(options: PublishControllerOptions): PublishController {
  const { publications, publisher, logger } = options;
  const all = (): readonly string[] => [KEY];
  let states: readonly PublicationState[] = publications.map((publication) => ({
    ...publication,
    open: false,
    ok: false,
    detail: "Tidegate is starting",
  }));
  const show = (next: readonly PublicationState[]): void => {
    for (const [index, state] of next.entries()) {
      if (isDeepStrictEqual(states[index], state)) continue;
      const words = `${state.address}:${state.port} ${state.open ? "is published" : "is not published"}: ${state.detail}`;
      if (state.ok) logger.info(words, { key: state.loadBalancer });
      else logger.warn(words, { key: state.loadBalancer });
    }
    states = next;
  };
  const reconcile = async (): Promise<ReconcileResult> => {
    const planned = planPublish(publications, await factsOf(options));
    const wanted = planned.flatMap((plan) => ("port" in plan ? [plan.port] : []));
    const outcomes = await publisher.publish(wanted);
    show(planned.map((plan) => stateOf(plan, "port" in plan ? outcomes[wanted.indexOf(plan.port)] : undefined)));
    if (publications.length === 0) return {};
    return { requeueAfterMs: states.every(({ ok }) => ok) ? STEADY_LOOK_MS : WAITING_LOOK_MS };
  };
  return {
    name: "loadbalancer-publish",
    watches: [loadBalancerRecords, loadBalancerStatuses, listenerRecords].map((collection) => ({ collection, keysOf: all })),
    initialKeys: async () => all(),
    reconcile,
    async start() {
      await reconcile().catch((error: unknown) => logger.warn(`the published ports could not be looked at: ${messageOf(error)}`));
    },
    states: () => states,
  };
}

function stateOf(plan: PlannedPublication, outcome: PublishOutcome | undefined): PublicationState {
  const { publication } = plan;
  if ("reason" in plan) return { ...publication, open: false, ok: false, detail: plan.reason };
  const { open = false, problem } = outcome ?? {};
  return { ...publication, open, ok: open && problem === undefined, detail: problem ?? `leads to ${publication.loadBalancer} (${plan.port.target})` };
}

async function factsOf({ store, home }: PublishControllerOptions): Promise<PublishFacts> {
  const [balancers, statuses, listeners] = await Promise.all([
    store.list(loadBalancerRecords),
    store.list(loadBalancerStatuses),
    store.list(listenerRecords),
  ]);
  const statusOfKey = new Map(statuses.map(({ key, value }) => [key, value]));
  return {
    balancers: balancers.map(({ value }) => value),
    statuses: new Map(
      balancers.flatMap(({ value }) => {
        const status = statusOfKey.get(keyOfArn(value.arn));
        return status === undefined ? [] : [[value.arn, status] as const];
      }),
    ),
    listeners: listeners.map(({ value }) => value),
    home,
  };
}
