import { systemClock } from "../../../core/clock.ts";
import { CommandError } from "../../command.ts";
import { type DeploymentView, describeDeployment, type EventView, explainUnready, judgeDeployment, type PodView } from "./judge-deployment.ts";
import type { KubernetesApi } from "./kubernetes-api.ts";
import { DEPLOYMENTS, deploymentOf, EVENTS, INGRESSES, ingressOf, NAMESPACE, PODS, SERVICES, serviceOf, type Shipped } from "./objects.ts";
import { untilAppAnswers } from "./until-app-answers.ts";

const LOOK_MS = 500;
const LAST_LINES = 15;
const NAMESPACE_PATH = `/api/v1/namespaces/${NAMESPACE}`;
/** A pod counts as ready once the load balancer has it, so that no old one goes too early. */
const READINESS_GATES = { "elbv2.k8s.aws/pod-readiness-gate-inject": "enabled" };
const URL_WITHIN_MS = 120_000;

export interface EksRollOut {
  readonly api: KubernetesApi;
  readonly shipped: Shipped;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Applies the Deployment, with Service and Ingress where it has a port, and waits until all pods are of the new image and ready.
 * @throws CommandError with the pod's reason and last lines: what was there before serves on, a new Deployment is removed. CommandError (exit code
 *   130) when interrupted: it goes on rolling.
 */
export async function rollOutDeployment(rollOut: EksRollOut): Promise<void> {
  const { api, shipped, say, signal } = rollOut;
  const { name } = shipped.settings;
  const path = `${DEPLOYMENTS}/${name}`;
  const before = await api.get<DeploymentView>(path);
  // The way in comes first, so that the first pods wait for it, where they wait for anything.
  if (shipped.port !== undefined) {
    await api.apply(NAMESPACE_PATH, { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels: READINESS_GATES } });
    await api.apply(`${SERVICES}/${name}`, serviceOf(shipped, shipped.port));
    await api.apply(`${INGRESSES}/${name}`, ingressOf(shipped));
  }
  await api.apply(path, deploymentOf(shipped));
  let shown = "";
  for (;;) {
    if (signal.aborted) {
      throw new CommandError(
        `Interrupted. The Deployment ${name} goes on rolling without this command: \`kubectl rollout status deployment/${name}\`.`,
        130,
      );
    }
    const now = await api.get<DeploymentView>(path);
    if (now === undefined) throw new CommandError(`The Deployment ${name} was deleted meanwhile.`);
    const pods = await podsOf(rollOut);
    const ending = pods.filter(({ metadata }) => metadata.deletionTimestamp !== undefined).length;
    const verdict = judgeDeployment(
      now,
      pods.filter(({ spec }) => spec.containers.some(({ image }) => image === shipped.image)),
    );
    // Those from before answer until they are out of the load balancer.
    if (verdict.kind === "steady" && ending === 0) return;
    if (verdict.kind === "failed") {
      const lines = verdict.pod === undefined ? "" : await lastLines(api, verdict.pod);
      const why = verdict.unready === undefined ? "" : await whyUnready(rollOut, verdict.unready);
      throw new CommandError(`${verdict.reason}\n${why}${lines}${await undo(rollOut, before)}`);
    }
    const text = [describeDeployment(now), ...(ending > 0 ? [`${ending} ending`] : [])].join(", ");
    if (text !== shown) say((shown = text));
    await systemClock.sleep(LOOK_MS);
  }
}

async function podsOf({ api, shipped: { settings } }: EksRollOut): Promise<readonly PodView[]> {
  const selector = encodeURIComponent(`app.kubernetes.io/name=${settings.name}`);
  const list = await api.get<{ readonly items: readonly PodView[] }>(`${PODS}?labelSelector=${selector}`);
  return list?.items ?? [];
}

async function whyUnready({ api, shipped: { port, settings } }: EksRollOut, pod: PodView): Promise<string> {
  const selector = encodeURIComponent(`involvedObject.name=${pod.metadata.name}`);
  const list = await api.get<{ readonly items: readonly EventView[] }>(`${EVENTS}?fieldSelector=${selector}`).catch(() => undefined);
  return explainUnready(pod, { events: list?.items ?? [], port, healthPath: settings.healthPath });
}

/** Of the attempt that ended, where there was one. */
async function lastLines(api: KubernetesApi, pod: string): Promise<string> {
  const ask = (query: string): Promise<string | undefined> => api.text(`${PODS}/${pod}/log?tailLines=${LAST_LINES}${query}`).catch(() => undefined);
  const text = (await ask("&previous=true")) ?? (await ask(""));
  if (text === undefined || text.trim() === "") return "";
  const lines = text.trimEnd().split("\n");
  return `Its last lines:\n${lines.map((line) => `    ${line}`).join("\n")}\n`;
}

async function undo({ api, shipped: { settings } }: EksRollOut, before: DeploymentView | undefined): Promise<string> {
  const path = `${DEPLOYMENTS}/${settings.name}`;
  if (before === undefined) {
    await api.delete(`${path}?propagationPolicy=Background`);
    return `The new Deployment ${settings.name} was removed again. Service and Ingress stay for the next deploy.`;
  }
  const { replicas, template } = before.spec;
  const selector = { matchLabels: { "app.kubernetes.io/name": settings.name } };
  const metadata = { name: settings.name };
  await api.apply(path, { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { replicas, selector, template } });
  return `Rolled back: the pods from before it serve on.`;
}

/** Of the Ingress' load balancer, once it has one, and has pods behind it. @throws CommandError with the command that says why it has none. */
export async function urlOf({ api, shipped: { settings }, say, signal }: EksRollOut): Promise<string> {
  const path = `${INGRESSES}/${settings.name}`;
  const untilMs = systemClock.steadyMs() + URL_WITHIN_MS;
  say("waiting for the load balancer's name");
  for (;;) {
    const ingress = await api.get<{
      readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly hostname?: string }[] } };
    }>(path);
    const hostname = ingress?.status?.loadBalancer?.ingress?.[0]?.hostname;
    if (hostname !== undefined) {
      const url = `http://${hostname}/`;
      await untilAppAnswers(url, { say, untilMs, signal });
      return url;
    }
    if (systemClock.steadyMs() > untilMs) {
      throw new CommandError(
        `The Ingress ${settings.name} has no load balancer yet: \`kubectl describe ingress ${settings.name}\` shows why. The pods run.`,
      );
    }
    await systemClock.sleep(LOOK_MS);
  }
}
