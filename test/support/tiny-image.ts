import { readFile } from "node:fs/promises";
import type { ImageConfig } from "../../src/engines/cri/oci-archive.ts";
import { ociArchive, writeOciArchive } from "../../src/engines/cri/oci-archive.ts";

const BUSYBOX = "/bin/busybox";
const APPLETS = [
  "sh",
  "ash",
  "cat",
  "echo",
  "sleep",
  "true",
  "false",
  "id",
  "ls",
  "mkdir",
  "nc",
  "wget",
  "httpd",
  "ip",
  "ping",
  "env",
  "hostname",
  "kill",
  "dd",
  "tail",
  "head",
  "touch",
  "grep",
  "yes",
  "ps",
  "date",
  "seq",
  "rm",
  "chmod",
  "nslookup",
  "test",
  "tar",
  "stty",
  "tty",
];
const PASSWD = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const GROUP = "root:x:0:root\nwheel:x:10:root\nnode:x:1000:\naudio:x:29:node\nnogroup:x:65534:\n";

export interface TinyImageOptions {
  /** In full, with a tag. */
  readonly reference?: string;
  readonly config?: ImageConfig;
  /** Files beside busybox, by path without a leading slash. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/**
 * Writes an OCI archive of a small image to `path`, without network: Debian's static busybox (sh, httpd, nc, wget, sleep …), the users
 * root, node (1000, also in group audio, 29) and nobody. Import it with `importImage` or `ctr images import`, or push it with skopeo
 * (`oci-archive:<path>`).
 */
export async function writeTinyImage(path: string, options: TinyImageOptions = {}): Promise<{ readonly reference: string; readonly digest: string }> {
  const reference = options.reference ?? "tidegate.test/tiny:latest";
  const folders = ["bin", "etc", "root", "home", "home/node", "tmp", "proc", "sys", "dev", "var", "www"];
  const archive = ociArchive(
    reference,
    [
      ...folders.map((folder) => ({ path: folder, ...(folder === "tmp" ? { mode: 0o1777 } : {}) })),
      { path: "bin/busybox", content: await readFile(BUSYBOX) },
      ...APPLETS.map((name) => ({ path: `bin/${name}`, linkTo: "busybox", mode: 0o777 })),
      { path: "etc/passwd", content: PASSWD, mode: 0o644 },
      { path: "etc/group", content: GROUP, mode: 0o644 },
      ...Object.entries(options.files ?? {}).map(([file, content]) => ({ path: file, content })),
    ],
    { command: ["/bin/sh"], environment: ["PATH=/bin"], ...options.config },
  );
  await writeOciArchive(path, archive);
  return { reference: archive.reference, digest: archive.digest };
}
