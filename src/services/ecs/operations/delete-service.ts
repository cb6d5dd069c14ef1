import type { DeleteServiceRequest, DeleteServiceResponse } from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { invalidParameter, serviceNotFound } from "../errors.ts";
import { activeCluster, findService } from "../lookups.ts";
import { clusterInArn } from "../names.ts";
import { type ServiceRecord, services } from "../records.ts";
import type { Room } from "../room.ts";
import { serviceView } from "../service-view.ts";
import { SERVICE_TRANSITIONS, transition } from "../transitions.ts";

/** Sets a service to DRAINING; INACTIVE comes when its tasks are gone. @throws ClusterNotFoundException, ServiceNotFoundException, InvalidParameterException */
export function deleteService(room: Room): Operation<DeleteServiceRequest, DeleteServiceResponse> {
  return {
    name: "DeleteService",
    members: { cluster: "used", service: "used", force: "used" },
    async handle(input, context) {
      const reference = input.service ?? "";
      const cluster = await activeCluster(room, context, input.cluster ?? clusterInArn(reference));
      await room.tasks.ready();
      for (;;) {
        const stored = await findService(room, context, { cluster: cluster.value.name, service: reference });
        if (stored.value.status === "INACTIVE") throw serviceNotFound();
        const answer = (service: ServiceRecord): DeleteServiceResponse => ({ service: serviceView(service, room.tasks.ofService(stored.key)) });
        if (stored.value.status === "DRAINING") return answer(stored.value);
        if (stored.value.desiredCount > 0 && input.force !== true)
          throw invalidParameter("The service cannot be stopped while it is scaled above 0.");
        const value: ServiceRecord = { ...stored.value, status: transition(SERVICE_TRANSITIONS, stored.value.status, "DRAINING"), desiredCount: 0 };
        try {
          await room.store.transact([{ op: "update", collection: services, key: stored.key, value, ifRevision: stored.revision }]);
          return answer(value);
        } catch (error) {
          if (!isProblem(error, "conflict")) throw error;
        }
      }
    },
  };
}
