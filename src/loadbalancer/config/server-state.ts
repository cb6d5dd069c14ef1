import type { ProxyModel } from "./proxy-model.ts";

/** What a starting HAProxy must know of a server beside its line: whether it may get requests before its first check. */
export type ServerCondition =
  /** Never passed a check: gets nothing, and the first passed check makes it healthy. */
  "initial" | "up" | "down";

const HEADER =
  "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

/** Operational states of HAProxy's state file: 3 is STOPPING, up but without new requests. */
const OPERATIONAL = { initial: 3, up: 2, down: 0 };

/** The server state file (version 1) that goes with a configuration; a server that `conditions` does not know is initial. */
export function serverStateFile(model: ProxyModel, conditions: ReadonlyMap<string, ServerCondition>): string {
  const lines = model.backends.flatMap((backend) => {
    const full = backend.healthCheck.healthyThreshold + backend.healthCheck.unhealthyThreshold - 1;
    return backend.servers.map((server, index) => {
      const condition = conditions.get(`${backend.name}/${server.name}`) ?? "initial";
      const health = condition === "down" ? 0 : full;
      const checked = condition === "initial" ? "1 0" : condition === "up" ? "15 3" : "17 2";
      const judged = `${OPERATIONAL[condition]} 0 1 1 0 ${checked} ${health} 6`;
      return `0 ${backend.name} ${index + 1} ${server.name} ${server.ip} ${judged} 0 0 0 - ${server.port} - 0 0 - - 0`;
    });
  });
  return ["1", HEADER, ...lines, ""].join("\n");
}
