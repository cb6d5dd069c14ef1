import type { LogScope, LogStore } from "../../contracts/log-store.ts";
import type { Members, Operation, RequestContext, Toolbox } from "../../contracts/service.ts";
import type { Scope } from "../../core/scope.ts";
import { translateProblem } from "./errors.ts";

/** What the operations work with. The log store owns the records; this service is its API. */
export interface LogsRoom {
  readonly logStore: LogStore;
  readonly toolbox: Toolbox;
  /** Runs changes that read before they write one after the other, so that none undoes another. */
  oneByOne<T>(change: () => Promise<T>): Promise<T>;
}

export function createRoom(logStore: LogStore, toolbox: Toolbox): LogsRoom {
  let last: Promise<unknown> = Promise.resolve();
  return {
    logStore,
    toolbox,
    oneByOne(change) {
      const result = last.then(change);
      last = result.catch(() => {});
      return result;
    },
  };
}

/** An operation whose Problems leave as CloudWatch Logs' errors. */
export function operation<Input, Output>(
  room: LogsRoom,
  definition: { readonly name: string; readonly members: Members; handle(input: Input, context: RequestContext): Promise<Output> },
): Operation<Input, Output> {
  const { name, members } = definition;
  return {
    name,
    members,
    handle: (input, context) => definition.handle(input, context).catch((error: unknown) => translateProblem(error, room)),
  };
}

export function groupScope({ account, region }: Scope, group: string): LogScope {
  return { account, region, group };
}
