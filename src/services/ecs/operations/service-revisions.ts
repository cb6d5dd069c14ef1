import type { DescribeServiceRevisionsRequest, DescribeServiceRevisionsResponse, Failure, ServiceRevision } from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { invalidParameter } from "../errors.ts";
import { atMost } from "../lookups.ts";
import { clusterArn, partOfService, serviceArn, serviceRevisionArn, taskDefinitionArn } from "../names.ts";
import { networkView } from "../network-rules.ts";
import { taskDefinitionKey, taskDefinitions, type ServiceDeploymentRecord } from "../records.ts";
import type { Room } from "../room.ts";
import { historyOf } from "../service-deployments.ts";
import { launchView } from "../service-view.ts";
import { dateOf } from "../time.ts";

/** What tasks of a deployment are made from, by ARN; unknown ones are failures. @throws InvalidParameterException */
export function describeServiceRevisions(room: Room): Operation<DescribeServiceRevisionsRequest, DescribeServiceRevisionsResponse> {
  return {
    name: "DescribeServiceRevisions",
    members: { serviceRevisionArns: "used" },
    async handle(input, context) {
      const arns = input.serviceRevisionArns ?? [];
      if (arns.length === 0) throw invalidParameter("serviceRevisionArns cannot be empty.");
      atMost("serviceRevisionArns", arns, 20);
      const found: ServiceRevision[] = [];
      const failures: Failure[] = [];
      for (const arn of new Set(arns)) {
        const { cluster, service, id } = partOfService(arn, "service-revision", context);
        const { account, region } = context;
        const record = (await historyOf(room, { account, region, cluster, name: service })).find(({ deployment }) => deployment.revision.id === id);
        if (record === undefined) failures.push({ arn, reason: "MISSING" });
        else found.push(await viewOf(room, record));
      }
      return { serviceRevisions: found, failures };
    },
  };
}

async function viewOf(room: Room, record: ServiceDeploymentRecord): Promise<ServiceRevision> {
  const { revision } = record.deployment;
  const { family, taskDefinitionRevision, imageDigests = {} } = revision;
  const definition = await room.store.get(taskDefinitions, taskDefinitionKey(record, family, taskDefinitionRevision));
  return {
    serviceRevisionArn: serviceRevisionArn(record, record.cluster, record.service, revision.id),
    serviceArn: serviceArn(record, record.cluster, record.service),
    clusterArn: clusterArn(record, record.cluster),
    taskDefinition: taskDefinitionArn(record, family, taskDefinitionRevision),
    ...launchView(revision),
    platformVersion: "1.4.0",
    platformFamily: "Linux",
    loadBalancers: [...revision.loadBalancers],
    serviceRegistries: [],
    networkConfiguration: networkView(revision),
    containerImages: (definition?.value.definition.containerDefinitions ?? []).map(({ name = "", image }) => ({
      containerName: name,
      image,
      ...(imageDigests[name] === undefined ? {} : { imageDigest: imageDigests[name] }),
    })),
    guardDutyEnabled: false,
    createdAt: dateOf(revision.createdAtMs),
  };
}
