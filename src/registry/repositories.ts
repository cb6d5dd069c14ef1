import type { Store, Write } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import { scopePrefix, type Scope } from "../core/scope.ts";
import { isProblem } from "../core/problem.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import { isRepositoryName, PUBLIC_PREFIX, PUBLIC_SCOPE, splitPublicName, type RepositoryRef } from "./names.ts";
import { RegistryProblem } from "./problems.ts";
import { BLOB_LINKS, digestKey, MANIFESTS, REFERRERS, REPOSITORIES, repositoryKey, tagKey, TAGS } from "./records.ts";
import type { RepositoryRecord, TagMutability } from "./records.ts";

export interface RepositorySettings {
  readonly tagMutability?: TagMutability;
  readonly mutabilityExclusions?: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
}

export interface RepositoriesOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Held, by repository key, by whoever changes what a repository holds. */
  readonly locks: KeyedLock;
  /** Ends the repository's uploads. */
  readonly endUploads: (repository: RepositoryRef) => Promise<void>;
}

/** Repositories and their settings. */
export class Repositories {
  readonly #options: RepositoriesOptions;

  constructor(options: RepositoriesOptions) {
    this.#options = options;
  }

  /** @throws RegistryProblem `repository-exists`, `name-invalid` (also for the names that are kept for public images). */
  async create(repository: RepositoryRef, settings: RepositorySettings = {}): Promise<RepositoryRecord> {
    const { account, region, name } = repository;
    const isPublic = account === PUBLIC_SCOPE.account;
    if (isPublic ? splitPublicName(name) === undefined : !isRepositoryName(name)) throw nameInvalid(name);
    if (`${name}/`.startsWith(PUBLIC_PREFIX)) {
      throw new RegistryProblem(
        "name-invalid",
        `The name '${name}' is reserved: under ${PUBLIC_PREFIX} are the kept images of public registries. Choose another name.`,
      );
    }
    const value: RepositoryRecord = {
      account,
      region,
      name,
      createdAtMs: this.#options.clock.nowMs(),
      tagMutability: settings.tagMutability ?? "MUTABLE",
      mutabilityExclusions: settings.mutabilityExclusions ?? [],
      tags: settings.tags ?? {},
    };
    try {
      await this.#options.store.transact([{ op: "create", collection: REPOSITORIES, key: repositoryKey(repository), value }]);
    } catch (cause) {
      if (!isProblem(cause, "already-exists")) throw cause;
      throw new RegistryProblem("repository-exists", `The repository with name '${name}' already exists in the registry with id '${account}'`, {
        cause,
      });
    }
    return value;
  }

  async find(repository: RepositoryRef): Promise<RepositoryRecord | undefined> {
    return (await this.#options.store.get(REPOSITORIES, repositoryKey(repository)))?.value;
  }

  /** @throws RegistryProblem `repository-unknown`. */
  async get(repository: RepositoryRef): Promise<RepositoryRecord> {
    const record = await this.find(repository);
    if (record === undefined) throw repositoryUnknown(repository);
    return record;
  }

  /** Like get, but a public image's repository is made when it is not there. */
  async getForPush(repository: RepositoryRef): Promise<RepositoryRecord> {
    const record = await this.find(repository);
    if (record !== undefined) return record;
    if (repository.account !== PUBLIC_SCOPE.account) throw repositoryUnknown(repository);
    try {
      return await this.create(repository);
    } catch (error) {
      if (error instanceof RegistryProblem && error.reason === "repository-exists") return this.get(repository);
      throw error;
    }
  }

  /** In name order. */
  async list(scope: Scope, page: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly RepositoryRecord[]> {
    const prefix = scopePrefix(scope);
    const after = page.after === undefined ? {} : { after: prefix + page.after };
    const limit = page.limit === undefined ? {} : { limit: page.limit };
    return (await this.#options.store.list(REPOSITORIES, { prefix, ...after, ...limit })).map((record) => record.value);
  }

  /** Changes settings; what is left out stays. @throws RegistryProblem `repository-unknown`. */
  async update(repository: RepositoryRef, change: RepositorySettings): Promise<RepositoryRecord> {
    return this.#options.locks.run(repositoryKey(repository), async () => {
      const value = { ...(await this.get(repository)), ...change };
      await this.#options.store.transact([{ op: "update", collection: REPOSITORIES, key: repositoryKey(repository), value }]);
      return value;
    });
  }

  /** Removes it with all it holds. @throws RegistryProblem `repository-unknown`, `repository-not-empty` (unless `force`). */
  async delete(repository: RepositoryRef, options: { readonly force: boolean }): Promise<RepositoryRecord> {
    const removed = await this.#options.locks.run(repositoryKey(repository), async () => {
      const record = await this.get(repository);
      const { store } = this.#options;
      const manifests = await store.list(MANIFESTS, { prefix: digestKey(repository) });
      if (manifests.length > 0 && !options.force) throw notEmpty(repository);
      const writes: Write[] = [{ op: "delete", collection: REPOSITORIES, key: repositoryKey(repository) }];
      for (const { key } of manifests) writes.push({ op: "delete", collection: MANIFESTS, key });
      for (const { key } of await store.list(TAGS, { prefix: tagKey(repository) })) writes.push({ op: "delete", collection: TAGS, key });
      for (const { key } of await store.list(REFERRERS, { prefix: digestKey(repository) })) writes.push({ op: "delete", collection: REFERRERS, key });
      for (const { key } of await store.list(BLOB_LINKS, { prefix: digestKey(repository) }))
        writes.push({ op: "delete", collection: BLOB_LINKS, key });
      await store.transact(writes);
      return record;
    });
    await this.#options.endUploads(repository);
    return removed;
  }
}

export function repositoryUnknown(repository: RepositoryRef): RegistryProblem {
  const { name, account } = repository;
  return new RegistryProblem("repository-unknown", `The repository with name '${name}' does not exist in the registry with id '${account}'`);
}

function nameInvalid(name: string): RegistryProblem {
  return new RegistryProblem(
    "name-invalid",
    `'${name}' is not a repository name: lower-case letters, digits, '.', '_', '-' and '/', 2 to 256 characters`,
  );
}

function notEmpty(repository: RepositoryRef): RegistryProblem {
  const message = `The repository with name '${repository.name}' in registry with id '${repository.account}' cannot be deleted because it still contains images`;
  return new RegistryProblem("repository-not-empty", message);
}
