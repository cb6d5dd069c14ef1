import { Problem } from "../../core/problem.ts";
import { type ServerLine, serverLinesOf } from "../config/health-check.ts";
import type { ProxyModel } from "../config/proxy-model.ts";
import type { ServerStats } from "./stats.ts";
import type { Worker } from "./proxy-process.ts";

/** Brings the servers of the worker that takes new connections to what the model says. Answers how many could not be deleted yet. */
export async function convergeCurrent(worker: Worker, model: ProxyModel): Promise<{ readonly leftOver: number }> {
  // Only target groups' backends: the others have servers of their own.
  const managed = new Set(model.backends.map(({ name }) => name));
  const present = new Map(worker.servers.flatMap((server) => (managed.has(server.backend) ? [[path(server.backend, server.name), server]] : [])));
  for (const [name, server] of wanted(model)) {
    const known = present.get(name);
    present.delete(name);
    // Something was between `add` and `ready` when Tidegate was killed.
    if (known !== undefined && isMaintained(known)) await startServing(worker, name, server);
    if (known === undefined) await addServer(worker, name, server);
  }
  let leftOver = 0;
  for (const [name, server] of present) {
    if (!isMaintained(server)) await takeOut(worker, name);
    if (!(await deleteServer(worker, name))) leftOver++;
  }
  return { leftOver };
}

/**
 * Ends what is still open to a server. One by one: a worker that a reload replaced refuses `shutdown sessions server`.
 */
export async function shutSessions(worker: Worker, backend: string, server: string): Promise<void> {
  const sessions = (await worker.client.command("show sess")).split("\n");
  for (const line of sessions.filter((session) => session.includes(` be=${backend} srv=${server} `))) {
    await worker.client.command(`shutdown session ${line.slice(0, line.indexOf(":"))}`);
  }
}

export function path(backend: string, server: string): string {
  return `${backend}/${server}`;
}

/** `<backend>/<server>` of all that is registered. */
function wanted(model: ProxyModel): ReadonlyMap<string, ServerLine> {
  return new Map(model.backends.flatMap((backend) => serverLinesOf(backend).map((server) => [path(backend.name, server.name), server])));
}

function isMaintained(server: ServerStats): boolean {
  return server.status.startsWith("MAINT");
}

async function addServer(worker: Worker, name: string, server: ServerLine): Promise<void> {
  const answer = await worker.client.command(`add server ${name} ${server.arguments}`);
  if (!answer.includes("registered")) throw new Problem("unavailable", `HAProxy did not add server ${name}: ${answer}`);
  await startServing(worker, name, server);
}

/**
 * Leaves maintenance without a moment in which it could get a request: HAProxy would take a new server for healthy until its first check
 * says otherwise. In drain it gets nothing; `stopping` then means: nothing until a check passes, which one passed check is enough for.
 */
async function startServing(worker: Worker, name: string, { isChecked }: ServerLine): Promise<void> {
  const steps = [`set server ${name} state drain`, `enable health ${name}`, `set server ${name} health stopping`];
  await worker.client.command([...(isChecked ? steps : []), `set server ${name} state ready`].join("; "));
}

/** No new request, not even from clients that were bound to it; open ones go on. */
async function takeOut(worker: Worker, name: string): Promise<void> {
  await worker.client.command(`set server ${name} state maint`);
}

async function deleteServer(worker: Worker, name: string): Promise<boolean> {
  const answer = await worker.client.command(`del server ${name}`);
  return answer.includes("deleted") || answer.includes("No such server");
}
