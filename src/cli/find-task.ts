import type { ECSClient, Task } from "@aws-sdk/client-ecs";

/** The task whose id starts with `id`, running or stopped, in one cluster or in any. */
export async function findTask(ecs: ECSClient, query: { readonly id: string; readonly cluster?: string }): Promise<Task | undefined> {
  const { DescribeTasksCommand, paginateListClusters, paginateListTasks } = await import("@aws-sdk/client-ecs");
  const id = query.id.split("/").at(-1) ?? query.id;
  const clusters: string[] = query.cluster === undefined ? [] : [query.cluster];
  if (query.cluster === undefined) for await (const page of paginateListClusters({ client: ecs }, {})) clusters.push(...(page.clusterArns ?? []));
  for (const cluster of clusters) {
    for (const desiredStatus of ["RUNNING", "STOPPED"] as const) {
      for await (const page of paginateListTasks({ client: ecs }, { cluster, desiredStatus })) {
        const arn = page.taskArns?.find((candidate) => candidate.split("/").at(-1)?.startsWith(id));
        if (arn === undefined) continue;
        const answer = await ecs.send(new DescribeTasksCommand({ cluster, tasks: [arn] }));
        return answer.tasks?.[0];
      }
    }
  }
  return undefined;
}
