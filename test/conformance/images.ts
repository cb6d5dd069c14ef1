import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RegistryAccess } from "../../src/builder/builder.ts";
import { PUBLIC_PREFIX } from "../../src/builder/public-names.ts";
import { type ImageConfig, pushImage } from "../../src/builder/seed/push-image.ts";
import { type Layer, packFolder, packTar } from "../../src/builder/seed/tar-layer.ts";
import { run } from "../../src/host/run.ts";
import type { ConformancePrograms } from "./programs.ts";

/**
 * The images that upstream's tests name, under the public names that they have there, from what the machine can have without a public registry:
 * upstream's agnhost over Debian where upstream has Alpine, and Debian's static busybox with bash for its shell.
 */

interface TestImage {
  /** As upstream's test/utils/image/manifest.go names it. */
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly config?: Partial<ImageConfig>;
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const E2E = "registry.k8s.io/e2e-test-images";
/** Of upstream's Dockerfile of agnhost: who they are is asked by tests of groups. */
const USERS = { passwd: "user-defined-in-image:x:1000:1000::/home/user:/bin/sh\n", group: "group-defined-in-image:x:50000:user-defined-in-image\n" };
const WEB = "/usr/share/nginx/html";

export async function pushTestImages(registry: RegistryAccess, programs: ConformancePrograms, createdAt: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-conformance-"));
  try {
    for (const { name, layers, config } of await testImages(programs, folder)) {
      const [repository = "", tag = ""] = name.split(":");
      await pushImage(registry, {
        repository: `${PUBLIC_PREFIX}/${repository}`,
        tags: [tag],
        layers,
        config: { environment: [PATH], command: [], createdAt, ...config },
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function testImages(programs: ConformancePrograms, folder: string): Promise<readonly TestImage[]> {
  const debian = await packTar(programs.debian, join(folder, "debian.tar.gz"));
  const [agnhost, busybox, setuid] = [
    await agnhostLayer(programs, folder),
    await busyboxLayer(programs, folder),
    await setuidLayer(programs, folder),
  ];
  const whole = [debian, agnhost];
  const pause = { entryPoint: ["/agnhost"], command: ["pause"] };
  const web = { entryPoint: ["/bin/httpd", "-f", "-p", "80", "-h", WEB] };
  return [
    { name: `${E2E}/agnhost:2.63.0`, layers: whole, config: pause },
    { name: `${E2E}/agnhost:2.55`, layers: whole, config: pause },
    { name: `${E2E}/glibc-dns-testing:2.0.0`, layers: whole, config: { command: ["bash"] } },
    { name: `${E2E}/nonroot:1.5`, layers: whole, config: { ...pause, user: "1234" } },
    { name: `${E2E}/nonewprivs:1.4`, layers: [setuid], config: { entryPoint: ["/nnp", "nonewprivs"] } },
    { name: "registry.k8s.io/pause:3.10.2", layers: [agnhost], config: pause },
    { name: `${E2E}/busybox:1.37.0-1`, layers: [busybox], config: { command: ["sh"] } },
    { name: `${E2E}/nginx:1.15-4`, layers: [busybox], config: web },
    { name: `${E2E}/nginx:1.27-0`, layers: [busybox], config: web },
  ];
}

/** As in upstream's Dockerfile, save for CoreDNS and the registry that it serves. What Debian has not of Alpine's commands, busybox is. */
async function agnhostLayer({ agnhost, debian, porter }: ConformancePrograms, folder: string): Promise<Layer> {
  const root = join(folder, "agnhost");
  const bin = join(root, "usr/local/bin");
  for (const path of ["uploads", "etc", "usr/local/bin"]) await mkdir(join(root, path), { recursive: true });
  await copyFile(agnhost, join(root, "agnhost"));
  await chmod(join(root, "agnhost"), 0o755);
  await symlink("agnhost", join(root, "agnhost-2"));
  for (const name of ["localhost.crt", "localhost.key"]) await copyFile(join(porter, name), join(root, name));
  for (const name of ["wget", "nslookup", "ping", "httpd", "ps", "vi", "telnet"]) await symlink("/bin/busybox", join(bin, name));
  await run(["tar", "--extract", "--file", debian, "--directory", root, ...Object.keys(USERS).map((name) => `./etc/${name}`)]);
  for (const [name, lines] of Object.entries(USERS))
    await writeFile(join(root, "etc", name), (await readFile(join(root, "etc", name), "utf8")) + lines);
  return packFolder(root, join(folder, "agnhost.tar.gz"));
}

/**
 * Debian's busybox with all its applets, and a page where nginx has its own. Its shell is Debian's bash: that of its busybox hands on no variable that is no
 * name to it, as `data-1`, which upstream's does.
 */
async function busyboxLayer({ debian }: ConformancePrograms, folder: string): Promise<Layer> {
  const root = join(folder, "busybox");
  for (const path of ["bin", "etc", "root", "tmp", "var", "home", `.${WEB}`]) await mkdir(join(root, path), { recursive: true });
  await chmod(join(root, "tmp"), 0o1777);
  const files = (await run(["tar", "--list", "--file", debian])).stdout.split("\n");
  for (const program of ["busybox", "bash-static"]) {
    const path = [`./usr/bin/${program}`, `./bin/${program}`].find((each) => files.includes(each)) ?? "";
    await run(["tar", "--extract", "--file", debian, "--directory", folder, path]);
    await copyFile(join(folder, path), join(root, "bin", program));
    await chmod(join(root, "bin", program), 0o755);
  }
  const busybox = join(root, "bin/busybox");
  const applets = (await run([busybox, "--list"])).stdout.split("\n").filter((name) => name !== "" && name !== "busybox");
  for (const applet of applets) await symlink(applet === "sh" ? "bash-static" : "busybox", join(root, "bin", applet));
  await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n");
  await writeFile(join(root, "etc/group"), "root:x:0:\nnobody:x:65534:\n");
  await writeFile(join(root, WEB, "index.html"), "<title>Welcome to nginx!</title>\n");
  return packFolder(root, join(folder, "busybox.tar.gz"));
}

/** A program that runs as root whoever starts it, unless that is forbidden. */
async function setuidLayer({ agnhost }: ConformancePrograms, folder: string): Promise<Layer> {
  const root = join(folder, "setuid");
  await mkdir(root);
  await copyFile(agnhost, join(root, "nnp"));
  await chmod(join(root, "nnp"), 0o4755);
  return packFolder(root, join(folder, "setuid.tar.gz"));
}
