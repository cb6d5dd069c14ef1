import { dirname } from "node:path";
import { dump, load } from "js-yaml";
import type { TestInstance } from "../../support/instance.ts";

interface Kubeconfig {
  readonly users: readonly {
    readonly name: string;
    readonly user: { readonly exec: { readonly command: string; readonly args: readonly string[] } };
  }[];
}

/** Its first argument is where a token is kept, one for each access key; the rest is the command that answers one. Tokens hold for 15 minutes. */
const KEEP_TOKEN = `kept="$0-$AWS_ACCESS_KEY_ID"
if [ -n "$(find "$kept" -mmin -8 2>/dev/null)" ]; then exec cat "$kept"; fi
"$@" >"$kept.$$" && mv "$kept.$$" "$kept" && exec cat "$kept"`;

/**
 * Writes the kubeconfig of the cluster as `aws eks update-kubeconfig` does, but for one thing: a token of `aws eks get-token` is used for some
 * minutes, beside the file. Starting the aws CLI for each call of kubectl is most of what such a call costs.
 */
export async function writeKubeconfig(instance: TestInstance, { cluster, path }: { readonly cluster: string; readonly path: string }): Promise<void> {
  await instance.client(["mkdir", "-p", dirname(path)]);
  await instance.client(["aws", "eks", "update-kubeconfig", "--name", cluster, "--kubeconfig", path]);
  const made = load((await instance.client(["cat", path])).stdout) as Kubeconfig;
  const users = made.users.map(({ name, user: { exec, ...user } }) => ({
    name,
    user: { ...user, exec: { ...exec, command: "sh", args: ["-c", KEEP_TOKEN, `${path}.token`, exec.command, ...exec.args] } },
  }));
  await instance.client(["tee", path], { stdin: dump({ ...made, users }) });
}
