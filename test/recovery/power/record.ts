/** Runs a program that stores things, writes down each of its file system calls in order, and plays them on the model of the disk. */
import { mkdtemp, mkdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../src/host/run.ts";
import { parseTrace, type Call } from "./trace.ts";

/** Whatever changes a file or a name; a call that the model does not know ends the replay with its name. */
const CALLS = [
  "clone,clone3,open,openat,creat,close,dup,dup2,dup3,lseek,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,fallocate",
  "copy_file_range,sendfile,splice,fsync,fdatasync,mkdir,mkdirat,rename,renameat,renameat2,link,unlink,unlinkat,rmdir",
];
const LONGEST_WRITE_BYTES = 16 * 1024 * 1024;

/** One run of a program: its arguments, and where it is killed (before the n-th sync of one of its threads), if it is. */
export interface Run {
  readonly args: readonly string[];
  readonly killedBeforeSync?: number;
}

export interface Recording {
  readonly folder: string;
  readonly ledger: string;
  /** A row of calls for each run. */
  readonly runs: readonly (readonly Call[])[];
}

/**
 * Runs `program` (a module of this folder) once for each of `runs`, in one new folder, which must be removed afterwards. It is called as
 * `program FOLDER LEDGER ARGS…`, and acknowledges each thing it has stored with a line in the ledger.
 */
export async function record(program: string, runs: readonly Run[]): Promise<Recording & AsyncDisposable> {
  const work = await mkdtemp(join(tmpdir(), "tidegate-power-"));
  const [folder, ledger] = [join(work, "disk"), join(work, "ledger")];
  await mkdir(folder);
  try {
    const calls: (readonly Call[])[] = [];
    for (const each of runs) calls.push(await recordOne(program, { folder, ledger, trace: join(work, "trace") }, each));
    return { folder, ledger, runs: calls, [Symbol.asyncDispose]: () => rm(work, { recursive: true, force: true }) };
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

async function recordOne(
  program: string,
  { folder, ledger, trace }: { readonly folder: string; readonly ledger: string; readonly trace: string },
  { args, killedBeforeSync }: Run,
): Promise<readonly Call[]> {
  // strace 6.1 sends no signal where it lets the kernel choose the calls.
  const kill = killedBeforeSync === undefined ? [] : [`inject=fsync,fdatasync:signal=KILL:when=${killedBeforeSync}`];
  const choose = killedBeforeSync === undefined ? ["--seccomp-bpf"] : [];
  const strace = ["strace", "-f", ...choose, "-xx", "-v", "-s", String(LONGEST_WRITE_BYTES), "-o", trace];
  const traced = [`trace=${CALLS.join(",")}`, ...kill].flatMap((expression) => ["-e", expression]);
  const command = [process.execPath, join(import.meta.dirname, "programs", program), folder, ledger, ...args];
  // File work through io_uring would pass strace by.
  const environment = {
    UV_USE_IO_URING: "0",
    NODE_OPTIONS: "",
    NODE_DISABLE_COMPILE_CACHE: "1",
    ...(killedBeforeSync !== undefined && { UV_THREADPOOL_SIZE: "1" }),
  };
  // strace ends as its program did, by the same signal.
  const mayBeKilled = kill.length === 0 ? [] : ["sh", "-c", '"$@" || [ $? = 137 ]', "sh"];
  await run([...mayBeKilled, ...strace, ...traced, ...command], { environment, timeoutMs: 120_000 });
  return parseTrace(await readFile(trace, "latin1"));
}
