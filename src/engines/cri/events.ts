import type { ClientReadableStream } from "@grpc/grpc-js";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf } from "../../core/problem.ts";
import { decodeTaskEvent } from "./grpc.ts";
import type { ContainerdClient } from "./grpc.ts";
import type { Envelope } from "./messages.ts";

/** A topic of our own: one that comes back shows that the subscription is in place. */
const PING_TOPIC = "/tidegate/subscribed";
const TOPICS = ["/tasks/start", "/tasks/exit", "/tasks/oom", PING_TOPIC];
const RETRY_MS = 200;
const PING_AGAIN_MS = 500;

export interface TaskEvent {
  readonly kind: "start" | "exit" | "oom";
  /** Of the container or sandbox. */
  readonly id: string;
}

export interface EventStreamOptions {
  readonly client: ContainerdClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onEvent: (event: TaskEvent) => void;
  /** After each subscription that is in place: what happened before it went unseen. */
  readonly onSubscribed: () => void;
}

/** containerd's task events, subscribed to anew whenever containerd comes back. */
export class EventStream {
  readonly #options: EventStreamOptions;
  #stream: ClientReadableStream<Envelope> | undefined;
  #closed = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Resolves when the first subscription is in place; goes on until `close`. */
  async open(): Promise<void> {
    const first = Promise.withResolvers<void>();
    void this.#run(first.resolve);
    await first.promise;
  }

  close(): void {
    this.#closed = true;
    this.#stream?.cancel();
  }

  async #run(onFirst: () => void): Promise<void> {
    const { clock, logger } = this.#options;
    while (!this.#closed) {
      try {
        await this.#subscription(onFirst);
      } catch (error) {
        if (!this.#closed) logger.info("containerd's event stream ended, subscribing anew", { err: messageOf(error) });
      }
      if (!this.#closed) await clock.sleep(RETRY_MS);
    }
  }

  /** Ends when the stream does. */
  async #subscription(onFirst: () => void): Promise<void> {
    const stream = this.#options.client.subscribe(TOPICS.map((topic) => `topic==${JSON.stringify(topic)}`));
    this.#stream = stream;
    const ended = Promise.withResolvers<void>();
    let subscribed = false;
    stream.on("data", (envelope: Envelope) => {
      if (envelope.topic !== PING_TOPIC) return this.#handle(envelope);
      if (subscribed) return;
      subscribed = true;
      this.#options.onSubscribed();
      onFirst();
    });
    stream.on("error", ended.reject);
    stream.on("end", ended.resolve);
    void this.#ping(() => subscribed || this.#stream !== stream || this.#closed);
    await ended.promise;
    this.#stream = undefined;
  }

  async #ping(done: () => boolean): Promise<void> {
    const { client, clock } = this.#options;
    for (let delayMs = 5; !done(); delayMs = Math.min(delayMs * 2, PING_AGAIN_MS)) {
      await client
        .publish({ topic: PING_TOPIC, event: { type_url: "tidegate.Subscribed", value: Buffer.alloc(0) } }, { deadlineMs: 5_000 })
        .catch(() => undefined);
      await clock.sleep(delayMs);
    }
  }

  #handle(envelope: Envelope): void {
    if (envelope.event === null) return;
    if (envelope.topic === "/tasks/exit") {
      const { containerId, id } = decodeTaskEvent("Exit", envelope.event);
      // The exit of an exec carries the exec's own id.
      if (id === containerId) this.#options.onEvent({ kind: "exit", id });
      return;
    }
    const kind = envelope.topic === "/tasks/start" ? "start" : "oom";
    const { containerId } = decodeTaskEvent(kind === "start" ? "Start" : "Oom", envelope.event);
    this.#options.onEvent({ kind, id: containerId });
  }
}
